"""Degradations are reproducible by seed, keep shape and dtype, and do what their names say."""

import numpy as np
import pytest

from stream_detect.evaluation.degradation import Degradation, degrade, draw, move


def rng(seed=7):
    return np.random.default_rng(seed)


def sharpness(image):
    return float(np.abs(np.diff(image.astype(np.float32), axis=1)).mean())


def test_shape_and_dtype_are_kept_for_any_draw(face):
    generator = rng()
    for _ in range(40):
        worse = degrade(move(face, generator), draw(generator), generator)
        assert worse.shape == face.shape
        assert worse.dtype == np.uint8
        assert worse.flags.c_contiguous


def test_same_seed_same_picture_other_seed_another(face):
    def made(seed):
        generator = rng(seed)
        return degrade(move(face, generator), draw(generator), generator)

    assert np.array_equal(made(1), made(1))
    assert not np.array_equal(made(1), made(2))


def test_each_step_is_drawn_at_times_and_left_out_at_times():
    generator = rng()
    drawn = [draw(generator) for _ in range(300)]
    for name, neutral in (("blur_px", None), ("scale", None), ("jpeg", None), ("noise", None), ("gain", 1.0)):
        share = np.mean([getattr(how, name) != neutral for how in drawn])
        assert 0.2 < share < 0.8, name
    assert all(30 <= how.jpeg < 95 for how in drawn if how.jpeg is not None)


@pytest.mark.parametrize("how", [Degradation(blur_px=2.0), Degradation(scale=0.25)], ids=["blur", "rescale"])
def test_blur_and_rescaling_soften(face, how):
    assert sharpness(degrade(face, how, rng())) < 0.8 * sharpness(face)


def test_nothing_drawn_changes_nothing(face):
    assert np.array_equal(degrade(face, Degradation(), rng()), face)


def test_gain_bias_and_gamma_change_brightness(face):
    mean = face.mean()
    assert degrade(face, Degradation(bias=20), rng()).mean() == pytest.approx(mean + 20, abs=4)
    assert degrade(face, Degradation(gamma=1.4), rng()).mean() < mean - 5
    assert degrade(face, Degradation(gain=0.7), rng()).std() == pytest.approx(0.7 * face.std(), rel=0.05)


def test_jpeg_keeps_colours_in_their_places(face):
    red = np.zeros_like(face)
    red[..., 0] = 200
    worse = degrade(red, Degradation(jpeg=60), rng())
    assert worse[..., 0].mean() == pytest.approx(200, abs=3)
    assert worse[..., 1:].mean() < 4


def test_noise_has_its_deviation(face):
    grey = np.full_like(face, 128)
    assert degrade(grey, Degradation(noise=6.0), rng()).std() == pytest.approx(6.0, rel=0.05)


def test_moving_mirrors_half_of_the_time(face):
    generator = rng()
    left_darker = face[:, :112].mean() < face[:, 112:].mean()
    kept = sum(
        (m[:, :112].mean() < m[:, 112:].mean()) == left_darker for m in (move(face, generator) for _ in range(60))
    )
    assert 15 < kept < 45
