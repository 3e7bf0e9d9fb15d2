"""The models that look at files: loaded once, named as their cards say, with maps of where they looked."""

import numpy as np
import pytest

from stream_detect.errors import AnalysisError, BundleError
from stream_detect.models.registry import Registry
from stream_detect.review.panel import HeatMaps, load_panel
from stream_detect.settings import Settings


def test_a_shipped_bundle_judges_and_shows_where_it_looked():
    settings = Settings()
    panel = load_panel(Registry.of(None), (), settings)
    (model,) = panel.models
    assert model.judge.name == settings.model.name
    assert len(model.judge.sha256) == 64
    crop = np.random.default_rng(1).integers(0, 255, (*model.classifier().crop.wh[::-1], 3), np.uint8)
    shown = model.heat_maps.draw(crop)
    assert shown.shape == crop.shape
    assert not np.array_equal(shown, crop)
    assert panel.detector() is not panel.detector()
    twice = load_panel(Registry.of(None), [settings.model.name] * 2, settings)
    assert len(twice.models) == 1
    with pytest.raises(BundleError, match="known:"):
        load_panel(Registry.of(None), ["nobody"], settings)


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
