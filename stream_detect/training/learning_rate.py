"""The learning rate of each step: a recipe's warm-up, half cosine and restarts."""

from itertools import pairwise
from typing import Any

import keras

from stream_detect.training.recipe import Recipe

FLOOR = 1e-5
"""Where a warm-up begins."""
_LOWEST = 0.01
"""Of the peak: where a half cosine ends."""
_AGAIN = 0.5
"""Each peak as a share of the one before."""


class LearningRate(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc] # Keras has no types
    """Climbs from FLOOR to the peak, falls to a hundredth of it, and does so again after each restart.

    Args:
        recipe: steps, restarts, peak and warm-up.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self._begins = (0, *recipe.restarts)
        self._falls = []
        for cycle, (begin, end) in enumerate(pairwise((*self._begins, recipe.steps))):
            warmup = min(recipe.warmup_steps, (end - begin) // 4)
            self._falls.append(
                keras.optimizers.schedules.CosineDecay(
                    FLOOR,
                    end - begin - warmup,
                    alpha=_LOWEST,
                    warmup_target=recipe.learning_rate * _AGAIN**cycle,
                    warmup_steps=warmup,
                )
            )

    def __call__(self, step: Any) -> Any:  # Keras' types: a number or a tensor
        """The rate of a step, counted from 0."""
        rate = self._falls[0](step)
        for begin, fall in zip(self._begins[1:], self._falls[1:], strict=True):
            rate = keras.ops.where(step >= begin, fall(keras.ops.maximum(step - begin, 0)), rate)
        return rate
