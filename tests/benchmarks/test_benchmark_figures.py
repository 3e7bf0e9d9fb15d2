"""Medians are taken over rounds of ratios, and a void observation voids its figures."""

import numpy as np
import pytest
from figures import DEFINITIONS, SCENES, Target, growth_figures, plain, ready_figure, round_figures
from scene import Observation, Scene
from servers import Footprint, ServerKind
from soak import growth_of
from stream import Stream

COSTS = {"ours": 0.12, "echo vp8": 0.12, "echo h264": 0.3}


def one_round(noise: float, void: tuple[str, ...] = ()):
    return {scene: observation(scene, noise, void) for scene in SCENES}


def observation(scene: Scene, noise: float, void: tuple[str, ...]) -> Observation:
    ours = scene.kind is ServerKind.OURS
    stream = Stream(
        returned_hz=30.0,
        returned_kbps=800.0,
        round_trip_ms=np.array([80.0 if ours else 70.0]),
        result_ms=np.array([20.0]),
        score_age_ms=np.array([110.0]),
        void=void if ours and scene.streams == 1 else (),
    )
    cost = COSTS["ours" if ours else f"echo {scene.codec}"] * noise
    return Observation(scene, cost, 300.0 + 30 * (scene.streams - 1), (stream,) * scene.streams)


def figures_of(*rounds):
    return {figure.key: figure for figure in round_figures(list(rounds), DEFINITIONS)}


def test_noise_in_a_whole_round_does_not_change_the_ratios():
    figures = figures_of(one_round(1.0), one_round(2.0), one_round(0.5))
    assert figures["cpu_ratio_vp8"].runs == pytest.approx((1.0, 1.0, 1.0))
    assert figures["cpu_ratio_h264"].value == pytest.approx(0.4)
    assert figures["added_latency_p95_ms"].value == pytest.approx(10)
    assert figures["rss_per_stream_mb"].value == pytest.approx(30)
    assert all(figure.met is not False for figure in figures.values())


def test_a_void_observation_voids_the_figures_made_of_it_and_no_other():
    figures = figures_of(one_round(1.0), one_round(1.0, void=("no face",)))
    assert figures["cpu_ratio_vp8"].void == ("ours h264 x1: no face",)
    assert figures["cpu_ratio_vp8"].met is False
    assert figures["fps_min_4_streams"].met is True


def test_the_file_has_what_the_readme_quotes():
    keys = {"cpu_ratio_vp8", "cpu_ratio_h264", "fps_min_4_streams", "added_latency_p95_ms", "score_age_p95_ms"}
    keys |= {"rss_one_stream_mb", "rss_per_stream_mb", "ready_s"}
    figures = {**figures_of(one_round(1.0)), "ready_s": ready_figure((1.4, 1.2, 1.3))}
    assert keys <= figures.keys()
    assert figures["ready_s"].to_json()["value"] == 1.3
    assert figures["ready_s"].to_json()["runs"] == [1.4, 1.2, 1.3]


@pytest.mark.parametrize(("value", "met"), [(3.0, True), (3.1, False), (float("nan"), False)])
def test_a_target_is_met_up_to_its_limit(value: float, met: bool):
    assert Target(3.0).met(value) is met


def test_nan_is_null_in_the_file():
    assert plain(float("nan")) is None


@pytest.mark.parametrize(("leak_mb", "met"), [(0.0, True), (1.0, False)])
def test_a_leak_shows_after_the_first_fifth(leak_mb: float, met: bool):
    times_s = [10.0 * number for number in range(60)]
    weights = [Footprint(0.0, 300 + leak_mb * number + (number % 2), 12, 40) for number in range(60)]
    figures = {figure.key: figure for figure in growth_figures(growth_of(times_s, weights))}
    assert figures["growth_rss_mb"].met is met
    assert figures["growth_rss_mb_per_min"].value == pytest.approx(6 * leak_mb, abs=0.1)


def test_too_short_a_soak_is_refused():
    with pytest.raises(ValueError, match="soak for longer"):
        growth_of([0.0], [Footprint(0.0, 300, 12, 40)])
