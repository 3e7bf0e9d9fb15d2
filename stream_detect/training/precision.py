"""Whether a bundle bears bf16, which halves its time where processors compute in it: measured, never assumed."""

import numpy as np
from numpy.typing import NDArray

from stream_detect.models.backend import Precision, load_model
from stream_detect.models.bundle import Bundle, write_card
from stream_detect.models.contract import Metric
from stream_detect.models.openvino import has_bf16

MAX_DIFFERENCE = 0.02
"""What bf16 may change a face's calibrated fake_probability by: a fifth of the badge's narrowest hysteresis (.1)."""


def with_bf16(bundle: Bundle, crops: NDArray[np.uint8], measured_on: str) -> Bundle:
    """The bundle with bf16 allowed on its card where that changes little; the figure is on the card either way.

    A processor that has no bf16 (AVX512-BF16, AMX) cannot measure it: the bundle comes back as it is.

    Args:
        bundle: as trained, calibrated; its card is written anew.
        crops: uint8 (n, h, w, 3), faces that it was not trained on.
        measured_on: what they are, in words for the card.
    """
    if not has_bf16():
        return bundle
    allowed = Bundle(bundle.folder, bundle.card.model_copy(update={"precision": "bf16"}))
    difference = float(np.abs(_judged(allowed, crops, "card") - _judged(allowed, crops, "f32")).max())
    figure = Metric(name="bf16_difference", value=round(difference, 4), data=measured_on, n=len(crops))
    others = tuple(metric for metric in bundle.card.metrics if metric.name != figure.name)
    precision = "bf16" if difference <= MAX_DIFFERENCE else "f32"
    write_card(bundle.folder, bundle.card.model_copy(update={"precision": precision, "metrics": (*others, figure)}))
    return Bundle.load(bundle.folder)


def _judged(bundle: Bundle, crops: NDArray[np.uint8], precision: Precision) -> NDArray[np.float64]:
    """Calibrated fake_probability of each crop."""
    classifier = load_model(bundle, "openvino", precision=precision).classifier()
    logits = np.array([classifier.calibration.logit(float(raw)) for raw in classifier.predict(crops)])
    return np.asarray(1 / (1 + np.exp(-logits)), np.float64)
