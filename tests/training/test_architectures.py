"""The networks: parameter counts as published, training at other sizes, plausible scores with published weights."""

import cv2
import numpy as np
import pytest

from stream_detect.errors import BundleError
from stream_detect.evaluation.dataset import Faces, Row
from stream_detect.models.backend import load_model
from stream_detect.models.bundle import Bundle
from stream_detect.models.card import WindowThresholds
from stream_detect.training.recipe import Recipe

# ruff: noqa: PLC0415 - TensorFlow is imported by the tests that run, not while tests are collected
# TensorFlow's variables do not support NumPy 2's `copy` yet.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]

# P(real) of the published MesoInception weights on their authors' crops: real faces, and fakes of another making than
# Face2Face, which those weights never saw. Measured with this network; no other figures are published.
GOLDEN = {"MesoInception_DF": (0.0189, 0.0008, 1.0, 1.0), "MesoInception_F2F": (0.9992, 1.0, 1.0, 0.9991)}
SAMPLES = ("df00204", "df01254", "real00240", "real00772")


@pytest.fixture(scope="module")
def samples(shared):
    """The four published crops, preprocessed as in the published code, uint8 (4, 256, 256, 3)."""
    read = [cv2.cvtColor(cv2.imread(str(shared / "mesonet" / f"{name}.jpg")), cv2.COLOR_BGR2RGB) for name in SAMPLES]
    return np.stack([cv2.resize(image, (256, 256), interpolation=cv2.INTER_LINEAR) for image in read]).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("meso4", 28_073),
        ("mesoinception4", 28_725),
        ("dilated10", 653_314),
        ("streamnet", 685_073),
        ("efficientnet_lite0", 3_414_305),
    ],
)
def test_each_has_its_number_of_values_and_outputs(name, values):
    from stream_detect.training.architectures import architecture_named

    known = architecture_named(name)
    model = known.build(known.wh, known.dropout)
    assert model.count_params() == values
    assert model.output_shape == (None, known.outputs)
    rates = {layer.rate for layer in known.build(known.wh, 0.2).layers if hasattr(layer, "rate")}
    assert rates == {0.2}


@pytest.mark.parametrize("name", ["dilated10", "streamnet", "efficientnet_lite0"])
def test_size_does_not_change_their_values(name):
    from stream_detect.training.architectures import architecture_named

    known = architecture_named(name)
    assert known.build((64, 96), 0.0).count_params() == known.build(known.wh, 0.0).count_params()


def test_the_inner_layers_are_those_of_the_paper():
    from stream_detect.training.architectures import dilated10, mesoinception4

    def convolutions(model):
        return [
            (layer.filters, layer.kernel_size[0], layer.dilation_rate[0])
            for layer in model.layers
            if hasattr(layer, "kernel_size")
        ]

    assert convolutions(dilated10()) == [(64, 5, 1)] * 3 + [(32, 3, 2), (16, 3, 2), (16, 3, 2)]
    found = convolutions(mesoinception4())
    for first, at in ((1, 0), (2, 7)):
        expected = {(first, 1, 1), (4, 1, 1), (2, 1, 1), (4, 3, 1), (4, 3, 2), (2, 3, 3)}
        assert set(found[at : at + 7]) == expected
    assert found[14:] == [(16, 5, 1)] * 2


@pytest.mark.parametrize("weights", GOLDEN)
def test_published_inception_weights_judge_the_published_crops(weights, shared, samples, tmp_path):
    from stream_detect.training.convert import check_agreement, import_weights

    file = shared / "mesonet" / f"{weights}.h5"
    bundle = Bundle.load(import_weights(file, "mesoinception4", "real", "inception", tmp_path))
    for backend in ("openvino", "tensorflow"):
        real = 1 - load_model(bundle, backend).classifier().predict(samples)
        assert real == pytest.approx(GOLDEN[weights], abs=1e-3)
    assert check_agreement(bundle, samples) < 1e-3


def test_two_outputs_learn_opposite_things_and_the_card_names_the_fake_one(marked_faces, tmp_path):
    import keras

    from stream_detect.training.architectures import architecture_named
    from stream_detect.training.card import draft_card, trained_card
    from stream_detect.training.convert import write_bundle
    from stream_detect.training.train import predict, train
    from stream_detect.types import CropPolicy

    small = Faces(np.ascontiguousarray(marked_faces.crops[:, 96:160, 96:160]), marked_faces.rows, ())
    recipe = Recipe("dilated10", 40, 16, learning_rate=3e-3, dropout=0.0, ema_from=20, ema=0.8, validate_every=20)
    model = keras.saving.load_model(train(recipe, small, small, tmp_path), compile=False)
    both = np.asarray(model.predict_on_batch(small.crops.astype(np.float32) / np.float32(255)))
    assert np.corrcoef(both.T)[0, 1] < -0.9
    scores = predict(model, small.crops, architecture_named("dilated10"))
    assert scores[small.fake].min() > scores[~small.fake].max()
    card = trained_card(
        draft_card("two", recipe, "again", CropPolicy((64, 64))),
        recipe=recipe,
        rows=small.rows,
        calibration=_uncalibrated(),
        thresholds=WindowThresholds(),
        metrics=_measured(),
    )
    bundle = write_bundle(model, card, tmp_path / "two")
    served = load_model(bundle, "openvino").classifier().predict(small.crops)
    assert served == pytest.approx(both[:, 1], abs=1e-3)


@pytest.mark.parametrize(("index", "column"), [(None, 1), (0, 0), (1, 1)])
def test_the_output_that_is_meant_can_be_named(index, column, tmp_path):
    from stream_detect.training.architectures import dilated10
    from stream_detect.training.convert import import_weights

    model = dilated10()
    model.save(tmp_path / "w.keras")
    folder = import_weights(tmp_path / "w.keras", "dilated10", "fake", "two", tmp_path, index=index)
    assert Bundle.load(folder).card.output.index == column


def test_an_output_that_is_not_there_is_refused(tmp_path):
    from stream_detect.training.convert import import_weights

    with pytest.raises(BundleError, match="output of dilated10 below 2, received 2"):
        import_weights(tmp_path / "w.keras", "dilated10", "fake", "two", tmp_path, index=2)


def _uncalibrated():
    from stream_detect.models.card import PlattScaling

    return PlattScaling()


def _measured():
    from stream_detect.models.card import Metric

    counted = [("false_alarm_rate", 0.5), ("recall", 0.5), ("false_alarm_rate", 0.8), ("recall", 0.8)]
    return tuple(
        Metric(name=name, value=0.5, data="a test", n=1, threshold=threshold)
        for name, threshold in [*counted, ("taken_for_real", 0.2)]
    )


def test_the_card_of_a_model_that_saw_no_collected_fake_says_so():
    from stream_detect.training.card import draft_card, trained_card
    from stream_detect.types import CropPolicy

    recipe = Recipe("streamnet", blended=1.0, sources=("fairface",))
    card = trained_card(
        draft_card("blended", recipe, "again", CropPolicy((192, 192))),
        recipe=recipe,
        rows=(Row("a.jpg", "real", "fairface", "a", "train"),),
        calibration=_uncalibrated(),
        thresholds=WindowThresholds(),
        metrics=_measured(),
    )
    assert card.title == "Streamnet, trained by this project on FairFace"
    for text in (card.training.data, card.limits[0]):
        assert "blending a changed copy of a real face" in text
    assert "research terms" not in card.training.terms
