"""The learning rate of each step."""

import pytest

from stream_detect.errors import TrainingError
from stream_detect.training.recipe import FLOOR, Recipe, learning_rate

ONCE_MORE = Recipe(steps=1000, warmup_steps=100, restarts=(400,), learning_rate=1e-3)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, FLOOR),
        (50, (FLOOR + 1e-3) / 2),
        (100, 1e-3),
        (250, 1e-3 * 0.505),  # halfway down to a hundredth
        (400, FLOOR),
        (500, 5e-4),
        (1000, 5e-6),
    ],
)
def test_climbs_falls_and_does_so_again_to_half_the_peak(step, expected):
    assert learning_rate(ONCE_MORE, step) == pytest.approx(expected, rel=1e-4)


def test_before_a_restart_it_is_that_of_a_training_which_ends_there():
    shorter = Recipe(steps=400, warmup_steps=100, learning_rate=1e-3)
    assert all(learning_rate(ONCE_MORE, step) == learning_rate(shorter, step) for step in range(400))


@pytest.mark.parametrize("restarts", [(0,), (1000,), (600, 400), (400, 400)])
def test_restarts_out_of_order_or_of_the_training_are_refused(restarts):
    with pytest.raises(TrainingError, match="rise between 0 and 1000"):
        Recipe(steps=1000, restarts=restarts)
