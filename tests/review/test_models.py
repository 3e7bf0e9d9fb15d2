"""The models that examine files: loaded once, named by their cards, with heat maps."""

import json
import shutil

import numpy as np
import pytest

from stream_detect.errors import AnalysisError, BundleError, BundleTamperedError
from stream_detect.models.bundle import CARD_FILE
from stream_detect.models.registry import SHIPPED, Registry
from stream_detect.review.models import ExaminationSettings, HeatMaps, ReviewModelLoader, load_review_models


def test_a_shipped_bundle_judges_and_shows_where_it_looked():
    settings = ExaminationSettings()
    review_models = load_review_models(Registry.of(None), (), settings)
    (model,) = review_models.models
    assert model.judge.name == settings.model.name
    assert len(model.judge.sha256) == 64
    crop = np.random.default_rng(1).integers(0, 255, (*model.classifier().crop.wh[::-1], 3), np.uint8)
    shown = model.heat_maps.draw(crop)
    assert shown.shape == crop.shape
    assert not np.array_equal(shown, crop)
    assert review_models.detector() is not review_models.detector()
    twice = load_review_models(Registry.of(None), [settings.model.name] * 2, settings)
    assert len(twice.models) == 1
    with pytest.raises(BundleError, match="known:"):
        load_review_models(Registry.of(None), ["nobody"], settings)


def raises(error):
    def load():
        raise error

    return load


class Broken:
    features = staticmethod(lambda _: raises(AnalysisError("broken"))())


@pytest.mark.parametrize("load", [None, raises(BundleError("no convolution")), Broken])
def test_a_model_without_maps_scores_all_the_same(load):
    maps = HeatMaps(load)
    assert maps.draw(np.zeros((64, 64, 3), np.uint8)) is None
    assert maps.draw(np.zeros((64, 64, 3), np.uint8)) is None


def test_models_are_loaded_once_until_their_bundle_changes(tmp_path, monkeypatch):
    name = ExaminationSettings().model.name
    other = next(each for each in Registry.of(None).names() if each != name)
    shutil.copytree(SHIPPED / name, tmp_path / name)
    loader = ReviewModelLoader(Registry.of(tmp_path), ExaminationSettings())
    first, again = loader.load([name]), loader.load([name])
    assert again.models[0] is first.models[0]
    card = json.loads((tmp_path / name / CARD_FILE).read_text())
    (tmp_path / name / CARD_FILE).write_text(json.dumps(card | {"title": "Changed"}))
    changed = loader.load([name]).models[0]
    assert changed.judge.title == "Changed"
    (tmp_path / name / "model.bin").write_bytes(b"broken")
    with pytest.raises(BundleTamperedError):
        loader.load([name])
    monkeypatch.setattr("stream_detect.review.models._KEPT_MODELS", 1)
    kept = loader.load([other]).models[0]
    assert loader.load([other]).models[0] is kept
