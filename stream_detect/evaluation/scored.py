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
    """Faces, frames or videos with a model's judgement.

    Args:
        probability: float64 (n,), fake_probability in [0, 1].
        fake: bool (n,), the truth.
        source: str (n,), collection each comes from.
        group: str (n,), source video each comes from; the unit of the bootstrap.
        family: str (n,), kind of manipulation of each fake, "" for a real one; all "" if not given.
        generator: str (n,), what made each fake, "" where that is not known; all "" if not given.
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
        """The chosen ones."""
        return Scored(
            self.probability[chosen],
            self.fake[chosen],
            self.source[chosen],
            self.group[chosen],
            self.family[chosen],
            self.generator[chosen],
        )

    def of(self, *sources: str) -> "Scored":
        """Those of these sources."""
        return self.where(np.isin(self.source, sources))

    @property
    def both(self) -> bool:
        """Whether there are real ones and fake ones."""
        return bool(self.fake.any() and not self.fake.all())

    @property
    def families(self) -> tuple[str, ...]:
        """The families of the fakes, sorted; those of fakes without one are left out."""
        return tuple(sorted(set(self.family[self.fake].tolist()) - {""}))


def score(faces: Faces, predict: Callable[[NDArray[np.uint8]], NDArray[np.float32]]) -> Scored:
    """Scores every face, in batches.

    Args:
        faces: of one split.
        predict: crops, uint8 (n, h, w, 3), to fake_probability (n,).
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
    """The calibration half and the held-out half, by a hash of the group's name: the same for every model."""
    second = np.array([held_out(name) for name in scored.group], bool)
    return scored.where(~second), scored.where(second)


def held_out(group: str) -> bool:
    """Whether a group is in the held-out half, that no calibration and no threshold is fitted on."""
    return hashlib.sha256(group.encode()).digest()[0] % 2 == 1


def balanced_weights(scored: Scored) -> NDArray[np.float64]:
    """The weight of each face, such that neither a large source nor a long video outweighs the others.

    Real and fake faces weigh the same together. Among the fakes a family weighs as the square root of its number of
    groups, among the real ones a source does; within them each group weighs the same, regardless of its number of
    frames. Equal weights for all families would rest a fifth of the result on the two or three videos of the smallest.

    Returns:
        float64 (n,), with a sum of 1; of .5 a class where there are both.
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
        fitted_on: which faces these are, in words for the card.

    Raises:
        DatasetError: one class only, or the scores do not rise with the truth.
    """
    if not scored.both:
        raise DatasetError("expected real and fake faces to calibrate on, received one kind only")
    logits = _logits(scored.probability)[:, None]
    model = LogisticRegression(C=1e6).fit(logits, scored.fake, balanced_weights(scored) * len(scored))
    slope = float(model.coef_[0, 0])
    if slope <= 0:
        raise DatasetError(f"expected scores that rise with the truth, received a slope of {slope:.3g}: train longer")
    return PlattScaling(slope=round(slope, 4), intercept=round(float(model.intercept_[0]), 4), fitted_on=fitted_on)


def _logits(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    raw = Calibration()
    return np.array([raw.logit(float(p)) for p in probability])
