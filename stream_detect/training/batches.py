"""The batches of a training: degraded pairs of a fake and a real face, each batch determined by its number.

A batch is drawn from a generator seeded by (seed, step): a resumed training continues with the same batches, whatever
threads or processes made them.
"""

import math
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from multiprocessing import get_context

import cv2
import numpy as np
from numpy.typing import NDArray

from stream_detect.errors import TrainingError
from stream_detect.evaluation.dataset import Faces, JoinedCrops
from stream_detect.evaluation.degradation import Degradation, degrade, draw, move, sometimes_sent
from stream_detect.training.blended_pairs import BlendedPairs
from stream_detect.training.pairs import Pairs
from stream_detect.training.recipe import Recipe
from stream_detect.types import Image

Batch = tuple[NDArray[np.uint8], NDArray[np.float32]]
"""Crops, RGB uint8 (n, h, w, 3), and labels (n,), 1 = fake."""

_LEAST_THREADS = 2
_AHEAD = 4
"""Batches made ahead beyond those in progress, 13 MB each for 64 crops of 256 x 256: bounds the memory."""


class Batches:
    """Draws pairs of a real and a fake face; some fakes are made from the real face.

    Args:
        faces: faces of the training split.
        recipe: pairings, shares, batch size and seed.

    Raises:
        DatasetError: there are no faces for a pairing of the recipe, or no real face to make a fake from.
    """

    def __init__(self, faces: Faces, recipe: Recipe) -> None:
        if not isinstance(faces.crops, JoinedCrops):  # which other processes can map too
            faces = replace(faces, crops=JoinedCrops((faces.crops,)))
        self._crops = faces.crops
        self._threads = max(_LEAST_THREADS, os.cpu_count() or 0)
        self._recipe = recipe
        # Blended pairs first, if there are both.
        self._drawing: list[Callable[[np.random.Generator], tuple[Image, Image]]] = []
        if recipe.blended:
            self._drawing.append(BlendedPairs(faces, recipe, self._threads).draw)
        if recipe.blended < 1:
            self._drawing.append(partial(self._collected, Pairs(faces, recipe)))

    def batch(self, step: int) -> Batch:
        """The batch of a step: fake, real, fake, ...; a pair is degraded alike, and each face moved independently."""
        rng = np.random.default_rng((self._recipe.seed, step))
        crops = [crop for _ in range(self._recipe.batch // 2) for crop in self._pair(rng)]
        labels = np.tile(np.array((1.0, 0.0), np.float32), self._recipe.batch // 2)
        return np.stack(crops), labels

    def from_step(self, first: int, processes: int = 0) -> Iterator[tuple[int, Batch]]:
        """Yields the batches from step `first` to the recipe's last, made ahead.

        Args:
            first: first step, from 1.
            processes: number of processes that make them, not limited by Python's global lock: 14 on 16 cores made
                1,530 faces per second (measured). 0 makes them on threads, which is enough when a CPU trains.

        Raises:
            TrainingError: one of the processes was killed.
        """
        waiting: deque[tuple[int, Future[Batch]]] = deque()
        pool: Executor = ThreadPoolExecutor(self._threads, "batches")
        make = self.batch
        if processes:
            # Not forked: the backend of this process has threads, and may use a GPU.
            pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin_process, (self,))
            make = _batch_of_process
        try:
            for step in range(first, self._recipe.steps + 1):
                waiting.append((step, pool.submit(make, step)))
                if len(waiting) > (processes or self._threads) + _AHEAD:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        except BrokenProcessPool as error:
            raise TrainingError(
                "a process that makes batches was killed, probably because memory ran out: use fewer (--processes); "
                "the same command goes on from the last checkpoint"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _pair(self, rng: np.random.Generator) -> tuple[Image, Image]:
        blended = len(self._drawing) == 1 or rng.random() < self._recipe.blended
        fake, real = self._drawing[0 if blended else 1](rng)
        how = draw(rng)
        if self._recipe.degraded < 1 and rng.random() >= self._recipe.degraded:
            how = Degradation()
        how = sometimes_sent(how, self._recipe.sent, rng)
        worse_fake, worse_real = (degrade(move(crop, rng), how, rng) for crop in (fake, real))
        return worse_fake, worse_real

    def _collected(self, pairs: Pairs, rng: np.random.Generator) -> tuple[Image, Image]:
        """A collected fake and a real face, not degraded yet."""
        pair = pairs.draw(rng)
        fake, real = (np.ascontiguousarray(self._crops[index]) for index in (pair.fake, pair.real))
        if self._recipe.levelled and not pair.same_group and rng.random() < self._recipe.levelled:
            return levelled(fake, real, rng)
        return fake, real


_of_process: Batches | None = None


def _begin_process(batches: Batches) -> None:
    """Initialises a process that makes batches."""
    global _of_process  # noqa: PLW0603 - what a process pool's initializer can leave to its tasks
    cv2.setNumThreads(1)
    _of_process = batches


def _batch_of_process(step: int) -> Batch:
    assert _of_process is not None  # noqa: S101 - the pool has called _begin_process
    return _of_process.batch(step)


_ALIKE = 1.4
"""Ratio of two faces' Laplacian variances up to which they count as equally sharp."""
_BLURS_PX = (0.4, 0.55, 0.7, 0.85, 1.0, 1.2, 1.5, 1.9, 2.4)


def levelled(one: Image, other: Image, rng: np.random.Generator) -> tuple[Image, Image]:
    """Blurs the sharper of two faces towards the other: from half as far to slightly further.

    Sharpness is the variance of the Laplacian. In faces2 its median is 103 for fakes and 232 for real faces: a network
    trained on these would take softness for a fake.

    Args:
        one: RGB uint8 (h, w, 3).
        other: RGB uint8 (h, w, 3).
        rng: draws how far.
    """
    first, second = sharpness(one), sharpness(other)
    low, high = min(first, second), max(first, second)
    if high < _ALIKE * low:
        return one, other
    wanted = math.exp(math.log(high) + (math.log(low) - math.log(high)) * rng.uniform(0.5, 1.05))
    sharper = one if first > second else other
    softer = sharper
    for sigma in _BLURS_PX:
        softer = np.asarray(cv2.GaussianBlur(sharper, (0, 0), sigma), np.uint8)
        if sharpness(softer) <= wanted:
            break
    return (softer, other) if first > second else (one, softer)


def sharpness(face: Image) -> float:
    """Variance of the Laplacian of the brightness, plus 1 so that it has a logarithm."""
    return float(cv2.Laplacian(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var()) + 1
