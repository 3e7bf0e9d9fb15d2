"""Scored faces, from which figures and thresholds are computed; and their calibration by Platt scaling.

No figure of a card comes from faces that a number of the card was fitted on. (The best checkpoint of a training is
chosen by the AUC on all validation groups; with a few dozen checkpoints that flatters the AUC by less than its
interval.)
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from stream_detect.errors import DatasetError
from stream_detect.evaluation.dataset import Faces
from stream_detect.models.card import PlattScaling
from stream_detect.types import Calibration

_BATCH = 64


def _unnamed() -> NDArray[np.str_]:
    return np.empty(0, np.str_)


@dataclass(frozen=True, slots=True)
class Scored:
    """Faces, frames or videos with a model's scores.

    Args:
        probability: float64 (n,), fake_probability in [0, 1].
        fake: bool (n,), the label.
        source: str (n,), collection of each.
        group: str (n,), group of each, the unit of the bootstrap.
        family: str (n,), family of each fake, "" for a real one; default all "".
        generator: str (n,), generator of each fake, "" if unknown; default all "".
    """

    probability: NDArray[np.float64]
    fake: NDArray[np.bool_]
    source: NDArray[np.str_]
    group: NDArray[np.str_]
    family: NDArray[np.str_] = field(default_factory=_unnamed)
    generator: NDArray[np.str_] = field(default_factory=_unnamed)

    def __post_init__(self) -> None:
        for name in ("family", "generator"):
            if len(getattr(self, name)) != len(self.fake):
                object.__setattr__(self, name, np.full(len(self.fake), "", np.str_))

    def __len__(self) -> int:
        return len(self.fake)

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> "Scored":
        """The chosen items."""
        return Scored(
            self.probability[chosen],
            self.fake[chosen],
            self.source[chosen],
            self.group[chosen],
            self.family[chosen],
            self.generator[chosen],
        )

    def of(self, *sources: str) -> "Scored":
        """Items of these sources."""
        return self.where(np.isin(self.source, sources))

    @property
    def both(self) -> bool:
        """Whether there are real items and fakes."""
        return bool(self.fake.any() and not self.fake.all())

    @property
    def families(self) -> tuple[str, ...]:
        """The families of the fakes, sorted, without ""."""
        return tuple(sorted(set(self.family[self.fake].tolist()) - {""}))


def score(faces: Faces, predict: Callable[[NDArray[np.uint8]], NDArray[np.float32]]) -> Scored:
    """Scores every face, in batches.

    Args:
        faces: faces of one split.
        predict: maps crops, uint8 (n, h, w, 3), to fake_probability (n,).
    """
    parts = [predict(np.asarray(faces.crops[i : i + _BATCH])) for i in range(0, len(faces.rows), _BATCH)]
    generators = np.array([row.generator for row in faces.rows], np.str_)
    probability = np.concatenate(parts).astype(np.float64)
    return Scored(probability, faces.fake, faces.sources, faces.groups, faces.families, generators)


def auc(scored: Scored) -> float:
    """The area under the ROC curve of real and fake faces, without an interval."""
    return float(roc_auc_score(scored.fake, scored.probability))


def calibrated(scored: Scored, calibration: Calibration) -> Scored:
    """The same faces with calibrated fake_probability."""
    logits = [calibration.logit(float(p)) for p in scored.probability]
    probability = np.array([1 / (1 + math.exp(-logit)) for logit in logits])
    return Scored(probability, scored.fake, scored.source, scored.group, scored.family, scored.generator)


def halves(scored: Scored) -> tuple[Scored, Scored]:
    """The calibration half and the held-out half, by a hash of the group's name, so equal for all models."""
    second = np.array([held_out(name) for name in scored.group], bool)
    return scored.where(~second), scored.where(second)


def held_out(group: str) -> bool:
    """Whether a group is in the held-out half, which no calibration and no threshold uses."""
    return hashlib.sha256(group.encode()).digest()[0] % 2 == 1


def balanced_weights(scored: Scored) -> NDArray[np.float64]:
    """Weights of faces, so that neither a large source nor a long video dominates.

    Real and fake faces have the same total weight. Fakes are weighted by family and real faces by source, in proportion
    to the square root of the number of groups; within these, each group has the same weight, regardless of its number
    of frames. With equal weights for all families, a fifth of the result would depend on the two or three videos of the
    smallest.

    Returns:
        float64 (n,), with a sum of 1; .5 per label if there are both.
    """
    weights = np.zeros(len(scored))
    for is_fake, kind in ((False, scored.source), (True, scored.family)):
        of_class = scored.fake == is_fake
        for name in set(kind[of_class].tolist()):
            chosen = of_class & (kind == name)
            _, which, frames = np.unique(scored.group[chosen], return_inverse=True, return_counts=True)
            weights[chosen] = 1 / (np.sqrt(len(frames)) * frames[which])
        total = weights[of_class].sum()
        if total:
            weights[of_class] *= (0.5 if scored.both else 1.0) / total
    return weights


def fit_calibration(scored: Scored, fitted_on: str) -> PlattScaling:
    """Platt scaling (Platt 1999) of raw scores, balanced by class, by family and by source (`balanced_weights`).

    Args:
        scored: raw scores of the calibration half.
        fitted_on: description of these faces for the card.

    Raises:
        DatasetError: there is only one label, or the scores do not increase with the label.
    """
    if not scored.both:
        raise DatasetError("expected real and fake faces to calibrate on, received one kind only")
    logits = _logits(scored.probability)[:, None]
    model = LogisticRegression(C=1e6).fit(logits, scored.fake, balanced_weights(scored) * len(scored))
    slope = float(model.coef_[0, 0])
    if slope <= 0:
        raise DatasetError(
            f"expected scores that rise with the truth, received a slope of {slope:.3g}: train for longer"
        )
    return PlattScaling(slope=round(slope, 4), intercept=round(float(model.intercept_[0]), 4), fitted_on=fitted_on)


def _logits(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    raw = Calibration()
    return np.array([raw.logit(float(p)) for p in probability])
