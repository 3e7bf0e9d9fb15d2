"""Decides in which precisions a bundle may be served: bf16 and INT8, each only if its measured error is small enough.

INT8 weights and activations are chosen after training (NNCF's post-training quantization, Kozlov et al. 2020,
arXiv:2002.08679) on faces that the network was trained on.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream_detect.errors import TrainingError
from stream_detect.evaluation.bootstrap import rounded
from stream_detect.evaluation.scored import Scored, auc
from stream_detect.models.backend import Precision, load_model
from stream_detect.models.bundle import INT8_FILE, INT8_WEIGHTS_FILE, IR_FILE, Bundle, sha256_of, write_card
from stream_detect.models.card import Metric
from stream_detect.models.openvino import has_bf16, read_network, save_network

NOISE = 1
"""Grey levels by which each value may be moved, up or down: less than the noise of any camera."""
MOST_AUC_CHANGE = 0.003
"""Largest change of the AUC of all validation faces with which INT8 is used."""
MOST_FAMILY_CHANGE = 0.01
"""Largest change of the AUC of any family's fakes against all real faces with which INT8 is used."""
FEWEST_OF_A_FAMILY = 20
"""With fewer fakes in a family, a single one changes its AUC by more than that."""
CALIBRATED_ON = 300
"""Faces from which NNCF determines the ranges of the activations; its default, and more changed nothing."""
_SEED = 20261122
_WEIGHTED = ("Convolution", "GroupConvolution", "MatMul")
"""Operations of OpenVINO with weights."""

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def with_bf16(bundle: Bundle, crops: NDArray[np.uint8], measured_on: str) -> Bundle:
    """Allows bf16 on the card of a bundle if it changes scores less than noise of one grey level does.

    The mean change of calibrated fake_probability is compared; the largest one is on the card in any case. A processor
    without bf16 (AVX512-BF16, AMX) cannot measure it: the bundle is returned unchanged.

    Args:
        bundle: the calibrated bundle; its card is rewritten.
        crops: uint8 (n, h, w, 3), faces that it was not trained on.
        measured_on: description of these faces for the card.
    """
    if not has_bf16():
        return bundle
    exact = _probability(bundle, crops, "f32")
    by_bf16 = np.abs(_probability(bundle, crops, "bf16") - exact)
    by_noise = np.abs(_probability(bundle, _noisy(crops), "f32") - exact)
    figure = Metric(name="bf16_difference", value=round(float(by_bf16.max()), 4), data=measured_on, n=len(crops))
    others = tuple(metric for metric in bundle.card.metrics if metric.name != figure.name)
    precision = "bf16" if by_bf16.mean() < by_noise.mean() else "f32"
    write_card(bundle.folder, bundle.card.model_copy(update={"precision": precision, "metrics": (*others, figure)}))
    return Bundle.load(bundle.folder)


def with_int8(
    bundle: Bundle, training_crops: NDArray[np.uint8], exact: Scored, score: Callable[[Predict], Scored]
) -> Bundle:
    """Adds an INT8 network to a bundle, if it changes the AUC little enough.

    Args:
        bundle: the calibrated bundle; its card is rewritten.
        training_crops: uint8 (n, h, w, 3), faces that it was trained on.
        exact: scores in f32 of faces that it was not trained on.
        score: scores those faces with another prediction function.

    Returns:
        The bundle; its card states the changes in any case.

    Raises:
        TrainingError: NNCF is not installed, or cannot quantize the network.
    """
    quantize(bundle, training_crops)
    sums = bundle.card.sha256 | {name: sha256_of(bundle.folder / name) for name in (INT8_FILE, INT8_WEIGHTS_FILE)}
    write_card(bundle.folder, bundle.card.model_copy(update={"int8": True, "sha256": sums}))
    quantized = Bundle.load(bundle.folder)
    changes = auc_changes(exact, score(load_model(quantized, "openvino", precision="int8").classifier().predict))
    measured = tuple(
        Metric(
            name="int8_auc_change",
            value=rounded(change),
            data=f"validation faces, family {family}" if family else "validation faces",
            n=int((exact.family == family).sum()) if family else len(exact),
            family=family,
        )
        for family, change in changes.items()
    )
    others = tuple(metric for metric in bundle.card.metrics if metric.name != "int8_auc_change")
    card = quantized.card.model_copy(update={"metrics": (*others, *measured)})
    if not borne(changes):
        for name in (INT8_FILE, INT8_WEIGHTS_FILE):
            (bundle.folder / name).unlink()
        card = card.model_copy(update={"int8": False, "sha256": bundle.card.sha256})
    write_card(bundle.folder, card)
    return Bundle.load(bundle.folder)


def auc_changes(before: Scored, after: Scored) -> dict[str, float]:
    """Changes of the AUC of all faces (key "") and of each large enough family's fakes against all real faces."""

    def aucs(scored: Scored) -> dict[str, float]:
        found = {"": auc(scored)}
        for family in scored.families:
            some = scored.where(~scored.fake | (scored.family == family))
            if some.fake.sum() >= FEWEST_OF_A_FAMILY and some.both:
                found[family] = auc(some)
        return found

    first, second = aucs(before), aucs(after)
    return {family: second[family] - first[family] for family in first}


def borne(changes: dict[str, float]) -> bool:
    """Whether INT8 changes the AUC little enough."""
    return all(abs(change) <= (MOST_FAMILY_CHANGE if family else MOST_AUC_CHANGE) for family, change in changes.items())


def require_nncf() -> None:
    """Checks that NNCF is installed.

    Raises:
        TrainingError: it is not.
    """
    if find_spec("nncf") is None:
        raise TrainingError(
            "expected NNCF to make an INT8 network, but it is not installed: pip install 'stream-detect[train]', or do "
            "without by --no-int8"
        )


def quantize(bundle: Bundle, crops: NDArray[np.uint8]) -> Path:
    """Writes model-int8.xml and .bin to the bundle's folder; its card is not changed.

    Args:
        bundle: the bundle.
        crops: uint8 (n, h, w, 3), faces that determine the ranges of the activations.

    Raises:
        TrainingError: NNCF is not installed.
    """
    require_nncf()
    import nncf  # noqa: PLC0415 - seconds, and only a training installs it

    given = bundle.card.input
    ordered = crops[..., ::-1] if given.colour_order == "BGR" else crops
    chosen = np.random.default_rng(_SEED).permutation(len(ordered))[:CALIBRATED_ON]
    scaled = [
        ordered[i : i + 1].astype(np.float32) * np.float32(given.scale) + np.float32(given.offset) for i in chosen
    ]
    network = read_network(bundle.folder / IR_FILE, (1, given.height_px, given.width_px, 3))
    weighted = [each.get_friendly_name() for each in network.get_ordered_ops() if each.get_type_name() in _WEIGHTED]
    quantized = nncf.quantize(
        network,
        nncf.Dataset(scaled),
        preset=nncf.QuantizationPreset.MIXED,  # for signed activations of depthwise networks
        subset_size=len(scaled),
        fast_bias_correction=False,
        # The first layer, which gets the pixels, and the last one are kept in floating point, as is usual
        # (Krishnamoorthi 2018, arXiv:1806.08342), which halves the effect of INT8 (lite0-faces: AUC -.0006, not
        # -.0026).
        ignored_scope=nncf.IgnoredScope(names=[weighted[0], weighted[-1]]),
    )
    save_network(quantized, bundle.folder / INT8_FILE)
    return bundle.folder / INT8_FILE


def _noisy(crops: NDArray[np.uint8]) -> NDArray[np.uint8]:
    moves = np.random.default_rng(_SEED).integers(-NOISE, NOISE, crops.shape, np.int16, endpoint=True)
    return np.asarray(np.clip(crops + moves, 0, 255), np.uint8)


def _probability(bundle: Bundle, crops: NDArray[np.uint8], precision: Precision) -> NDArray[np.float64]:
    """Calibrated fake_probability of each crop."""
    classifier = load_model(bundle, "openvino", precision=precision).classifier()
    logits = np.array([classifier.calibration.logit(float(raw)) for raw in classifier.predict(crops)])
    return np.asarray(1 / (1 + np.exp(-logits)), np.float64)
