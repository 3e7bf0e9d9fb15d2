"""Platt scaling of a model's scores: fitted on one half of the validation groups, measured on the other.

No figure of a card comes from faces that a number of the card was fitted on. (The best checkpoint of a training is
chosen by the AUC on all validation groups; with a few dozen checkpoints that flatters the AUC by less than its
interval.)
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from stream_detect.errors import DatasetError
from stream_detect.evaluation.scored import Scored, balanced_weights
from stream_detect.models.card import PlattScaling
from stream_detect.types import Calibration


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
