"""What a network is shown: faces of a split enter, batches of degraded pairs leave, each given by its number alone.

A batch is drawn from a generator seeded by (seed, step): a training that was broken off goes on with the very batches
it would have had, whatever threads made them.
"""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from stream_detect.analysis.mesh import FaceMesh
from stream_detect.errors import DatasetError
from stream_detect.evaluation.dataset import Faces, Row
from stream_detect.evaluation.degradation import Degradation, degrade, draw, move, sometimes_sent
from stream_detect.training.blending import self_blended
from stream_detect.training.recipe import ANY_PAIRING, Pairing, Recipe
from stream_detect.types import Image

Batch = tuple[NDArray[np.uint8], NDArray[np.float32]]
"""Crops, RGB uint8 (n, h, w, 3), and whether each is fake (n,), 0 or 1."""

_LEAST_THREADS = 2
_BLEND_ATTEMPTS = 16
"""The mesh is found in 97 of 100 faces."""
_AHEAD = 4
"""Batches made beyond those in the making, 13 MB each at 64 crops of 256 x 256: bounds the memory."""


@dataclass(frozen=True, slots=True)
class _Pool:
    """The faces of a pairing: real ones beside each fake one."""

    fakes: tuple[int, ...]
    reals: tuple[tuple[int, ...], ...]
    """For each fake, the real faces that it may be paired with."""


class Batches:
    """Draws pairs of a real and a fake face, the fake one at times made of the real one.

    Args:
        faces: of the training split.
        recipe: sources, pairings, shares, batch size and seed.

    Raises:
        DatasetError: no fake has a real face to be paired with, or there is none to make one of.
    """

    def __init__(self, faces: Faces, recipe: Recipe) -> None:
        self._crops = faces.crops
        self._threads = max(_LEAST_THREADS, os.cpu_count() or 0)
        self._recipe = recipe
        self._reals = [i for i, row in enumerate(faces.rows) if row.label == "real" and recipe.learns_from(row.source)]
        self._meshes: SimpleQueue[FaceMesh] = SimpleQueue()
        if recipe.blended:
            _check_some(self._reals, recipe)
            first = FaceMesh()
            for _ in range(self._threads):
                self._meshes.put(first.sibling())
        filled = [(pairing.share, _pool(pairing, faces.rows, recipe)) for pairing in recipe.pairings]
        filled = [(share, pool) for share, pool in filled if pool.fakes]
        if not filled:
            filled = [(1.0, _pool(ANY_PAIRING, faces.rows, recipe))]
        self._pools = [pool for _, pool in filled]
        if not self._pools[0].fakes and recipe.blended < 1:
            raise DatasetError("expected real and fake faces to train on, received one kind only")
        shares = np.array([share for share, _ in filled])
        self._until = np.cumsum(shares / shares.sum())

    def batch(self, step: int) -> Batch:
        """The batch of a step: fake, real, fake, real, ...; both of a pair degraded alike, each moved on its own."""
        rng = np.random.default_rng((self._recipe.seed, step))
        pictures = [picture for _ in range(self._recipe.batch // 2) for picture in self._pair(rng)]
        labels = np.tile(np.array((1.0, 0.0), np.float32), self._recipe.batch // 2)
        return np.stack(pictures), labels

    def from_step(self, first: int) -> Iterator[tuple[int, Batch]]:
        """The batches of steps `first` to the recipe's last, made ahead on threads of their own."""
        waiting: deque[tuple[int, Future[Batch]]] = deque()
        pool = ThreadPoolExecutor(self._threads, "batches")
        try:
            for step in range(first, self._recipe.steps + 1):
                waiting.append((step, pool.submit(self.batch, step)))
                if len(waiting) > self._threads + _AHEAD:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _pair(self, rng: np.random.Generator) -> tuple[Image, Image]:
        blended = self._recipe.blended and rng.random() < self._recipe.blended
        fake, real = self._blended(rng) if blended else self._collected(rng)
        how = draw(rng)
        if self._recipe.degraded < 1 and rng.random() >= self._recipe.degraded:
            how = Degradation()
        how = sometimes_sent(how, self._recipe.sent, rng)
        fake_picture, real_picture = (degrade(move(picture, rng), how, rng) for picture in (fake, real))
        return fake_picture, real_picture

    def _collected(self, rng: np.random.Generator) -> tuple[Image, Image]:
        pool = self._pools[min(int(np.searchsorted(self._until, rng.random())), len(self._pools) - 1)]
        chosen = int(rng.integers(len(pool.fakes)))
        beside = pool.reals[chosen]
        real = beside[int(rng.integers(len(beside)))]
        return self._crops[pool.fakes[chosen]], self._crops[real]

    def _blended(self, rng: np.random.Generator) -> tuple[Image, Image]:
        """A fake made of a real face, and that real face; faces in which no mesh is found are passed over."""
        mesh = self._meshes.get()
        try:
            for _ in range(_BLEND_ATTEMPTS):
                crop = np.ascontiguousarray(self._crops[self._reals[int(rng.integers(len(self._reals)))]])
                points = mesh.points(crop)
                if points is not None:
                    real, fake = self_blended(crop, points, rng)
                    return fake, real
        finally:
            self._meshes.put(mesh)
        raise DatasetError(f"expected real faces to blend, {_BLEND_ATTEMPTS} crops in a row show none to the face mesh")


def _check_some(reals: list[int], recipe: Recipe) -> None:
    if not reals:
        raise DatasetError(
            f"expected real faces to blend, there are none of {', '.join(recipe.sources) or 'any source'}"
        )


def _pool(pairing: Pairing, rows: tuple[Row, ...], recipe: Recipe) -> _Pool:
    reals: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        if row.label == "real" and recipe.learns_from(row.source) and pairing.real in (None, row.source):
            reals.setdefault(row.group if pairing.same_group else "", []).append(index)
    # One tuple for each group, shared by its fakes.
    beside = {group: tuple(members) for group, members in reals.items()}
    fakes = [
        (index, beside[group])
        for index, row in enumerate(rows)
        if row.label == "fake"
        and recipe.learns_from(row.source)
        and pairing.fake in (None, row.source)
        and (group := row.group if pairing.same_group else "") in beside
    ]
    return _Pool(tuple(index for index, _ in fakes), tuple(members for _, members in fakes))
