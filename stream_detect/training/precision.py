"""Whether a bundle bears bf16, which halves its time where processors compute in it: measured, never assumed."""

import numpy as np
from numpy.typing import NDArray

from stream_detect.models.backend import Precision, load_model
from stream_detect.models.bundle import Bundle, write_card
from stream_detect.models.contract import Metric
from stream_detect.models.openvino import has_bf16

NOISE = 1
"""Grey levels of 255 that each value is moved by, up or down or not: less than any camera's own noise."""
_SEED = 20261122


def with_bf16(bundle: Bundle, crops: NDArray[np.uint8], measured_on: str) -> Bundle:
    """The bundle with bf16 allowed on its card where it changes faces' scores less than noise of one grey level does.

    What is compared is the mean change of calibrated fake_probability; the largest one is on the card either way. A
    processor that has no bf16 (AVX512-BF16, AMX) cannot measure it: the bundle comes back as it is.

    Args:
        bundle: as trained, calibrated; its card is written anew.
        crops: uint8 (n, h, w, 3), faces that it was not trained on.
        measured_on: what they are, in words for the card.
    """
    if not has_bf16():
        return bundle
    allowed = Bundle(bundle.folder, bundle.card.model_copy(update={"precision": "bf16"}))
    exact = _judged(bundle, crops, "f32")
    by_bf16 = np.abs(_judged(allowed, crops, "card") - exact)
    by_noise = np.abs(_judged(bundle, _noisy(crops), "f32") - exact)
    figure = Metric(name="bf16_difference", value=round(float(by_bf16.max()), 4), data=measured_on, n=len(crops))
    others = tuple(metric for metric in bundle.card.metrics if metric.name != figure.name)
    precision = "bf16" if by_bf16.mean() < by_noise.mean() else "f32"
    write_card(bundle.folder, bundle.card.model_copy(update={"precision": precision, "metrics": (*others, figure)}))
    return Bundle.load(bundle.folder)


def _noisy(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    moves = np.random.default_rng(_SEED).integers(-NOISE, NOISE, crops.shape, np.int16, endpoint=True)
    return np.asarray(np.clip(crops + moves, 0, 255), np.uint8)


def _judged(bundle: Bundle, crops: NDArray[np.uint8], precision: Precision) -> NDArray[np.float64]:
    """Calibrated fake_probability of each crop."""
    classifier = load_model(bundle, "openvino", precision=precision).classifier()
    logits = np.array([classifier.calibration.logit(float(raw)) for raw in classifier.predict(crops)])
    return np.asarray(1 / (1 + np.exp(-logits)), np.float64)
