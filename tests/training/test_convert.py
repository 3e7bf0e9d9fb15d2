"""Conversion: published weights keep their reference scores on both backends; unsuitable files are refused by name."""

import json

import cv2
import numpy as np
import pytest

from stream_detect.errors import BundleError
from stream_detect.models.backend import load_model
from stream_detect.models.bundle import FILES, Bundle
from stream_detect.types import CropPolicy

# ruff: noqa: PLC0415 - TensorFlow is imported by the tests that run, not while tests are collected
# TensorFlow's variables do not support NumPy 2's `copy` yet.
pytestmark = [pytest.mark.tensorflow, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]

# P(real) of the published Meso4 on its authors' own crops (measured with the published code's preprocessing).
GOLDEN = {"df00204": 0.048169, "df01254": 0.025262, "real00240": 0.989748, "real00772": 0.996568}


@pytest.fixture(scope="module")
def untrained():
    from stream_detect.training.architectures import meso4

    return meso4()


@pytest.fixture
def draft():
    from stream_detect.models.card import Card, NetworkInput, Output, Training

    return Card(
        name="small",
        title="A test's",
        version="1",
        architecture="meso4",
        input=NetworkInput(width_px=256, height_px=256),
        output=Output(means="fake"),
        training=Training(data="none", terms="none", recipe="none"),
        limits=("Knows nothing.",),
        sha256={},
    )


@pytest.fixture(scope="module")
def published(shared, tmp_path_factory):
    from stream_detect.training.convert import import_weights

    folder = tmp_path_factory.mktemp("bundles")
    return Bundle.load(import_weights(shared / "mesonet" / "Meso4_DF.h5", "meso4", "real", "meso4-df", folder))


@pytest.mark.parametrize("backend", ["openvino", "tensorflow"])
def test_published_weights_give_the_golden_values(published, shared, backend):
    crops = []
    for name in GOLDEN:
        image = cv2.cvtColor(cv2.imread(str(shared / "mesonet" / f"{name}.jpg")), cv2.COLOR_BGR2RGB)
        crops.append(cv2.resize(image, (256, 256), interpolation=cv2.INTER_LINEAR))
    got = load_model(published, backend).classifier().predict(np.stack(crops).astype(np.uint8))
    assert got == pytest.approx([1 - real for real in GOLDEN.values()], abs=1e-3)


def test_an_imported_bundle_is_whole(published):
    again = Bundle.load(published.folder)
    assert set(again.card.sha256) == set(FILES)
    assert again.card.output.means == "real"
    assert again.card.crop_policy() == CropPolicy((256, 256))
    assert sum((again.folder / name).stat().st_size for name in FILES) < 500_000


def test_weights_of_another_architecture_are_refused(shared, tmp_path):
    from stream_detect.training.convert import import_weights

    with pytest.raises(BundleError, match=r"expected weights of meso4, .* 28,073 values; received .* 28,725 values"):
        import_weights(shared / "mesonet" / "MesoInception_DF.h5", "meso4", "real", "x", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["My Model", "", "../up", "x" * 65])
def test_a_name_that_is_none_is_refused(tmp_path, name):
    from stream_detect.training.convert import import_weights

    with pytest.raises(BundleError, match="lower-case letters"):
        import_weights(tmp_path / "w.h5", "meso4", "real", name, tmp_path / "Bundles")


def test_unknown_architecture_is_refused(tmp_path):
    from stream_detect.training.convert import import_weights

    with pytest.raises(BundleError, match=r"streamnet; received 'meso5'"):
        import_weights(tmp_path / "w.h5", "meso5", "real", "x", tmp_path)


def test_a_whole_model_is_imported_too(published, tmp_path):
    from stream_detect.training.convert import import_weights

    again = import_weights(published.folder / "model.keras", "meso4", "real", "again", tmp_path)
    crops = np.random.default_rng(1).integers(0, 256, (2, 256, 256, 3), np.uint8)
    one, other = (load_model(b, "openvino").classifier().predict(crops) for b in (published, Bundle.load(again)))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("name", ["w.h5", "w.keras"])
@pytest.mark.parametrize("content", [None, b"not what its name says"], ids=["missing", "something else"])
def test_file_of_another_form_is_refused(tmp_path, content, name):
    from stream_detect.training.convert import import_weights

    file = tmp_path / name
    if content:
        file.write_bytes(content)
    with pytest.raises(BundleError, match=name):
        import_weights(file, "meso4", "real", "x", tmp_path)


def test_a_bundle_is_replaced_and_anything_else_is_not(untrained, draft, tmp_path):
    from stream_detect.training.convert import write_bundle

    first = write_bundle(untrained, draft, tmp_path / "small")
    second = write_bundle(untrained, draft.model_copy(update={"version": "2"}), tmp_path / "small")
    assert first.folder == second.folder
    assert Bundle.load(tmp_path / "small").card.version == "2"
    assert [entry.name for entry in tmp_path.iterdir()] == ["small"]
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(BundleError, match="letters"):
        write_bundle(untrained, draft, tmp_path / "letters")
    assert (tmp_path / "letters" / "mine.txt").read_text(encoding="utf-8") == "mine"


def test_backends_that_disagree_are_found(untrained, draft, tmp_path):
    import keras

    from stream_detect.models.bundle import sha256_of
    from stream_detect.training.architectures import meso4
    from stream_detect.training.convert import check_agreement, write_bundle

    bundle = write_bundle(untrained, draft, tmp_path / "small")
    assert check_agreement(bundle) < 1e-5
    keras.utils.set_random_seed(5)
    other = meso4()
    other.set_weights([weight * 3 for weight in other.get_weights()])
    other.save(bundle.folder / "model.keras")
    card = json.loads((bundle.folder / "card.json").read_text(encoding="utf-8"))
    card["sha256"]["model.keras"] = sha256_of(bundle.folder / "model.keras")
    (bundle.folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(BundleError, match="agree within"):
        check_agreement(Bundle.load(bundle.folder))


def test_another_network_than_the_card_s_is_refused(draft, tmp_path):
    import keras

    from stream_detect.training.convert import write_bundle

    given = keras.Input((256, 256, 3))
    other = keras.Model(given, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(given)))
    with pytest.raises(BundleError, match="weights of meso4"):
        write_bundle(other, draft, tmp_path / "small")
    assert not (tmp_path / "small").exists()


def test_meso4_has_the_published_number_of_values(untrained):
    from stream_detect.training.architectures import meso4

    assert untrained.count_params() == 28_073
    assert [layer.rate for layer in meso4(dropout=0.3).layers if hasattr(layer, "rate")] == [0.3, 0.3]
