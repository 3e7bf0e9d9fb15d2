"""The learning rate of each step: a recipe's warm-up, half cosine and restarts."""

import math
from bisect import bisect_right

from stream_detect.training.recipe import Recipe

FLOOR = 1e-5
"""Where a warm-up begins."""
_LOWEST = 0.01
"""Of the peak: where a half cosine ends."""
_AGAIN = 0.5
"""Each peak as a share of the one before."""


def learning_rate(recipe: Recipe, step: int) -> float:
    """Climbs from FLOOR to the peak, falls to a hundredth of it, and does so again after each restart.

    Args:
        recipe: steps, restarts, peak and warm-up.
        step: steps done before it, from 0 to the recipe's last.
    """
    ends = (*recipe.restarts, recipe.steps)
    cycle = min(bisect_right(ends, step), len(ends) - 1)
    begin, end = (0, *ends)[cycle], ends[cycle]
    peak = recipe.learning_rate * _AGAIN**cycle
    warmup = min(recipe.warmup_steps, (end - begin) // 4)
    done = step - begin
    if done < warmup:
        return FLOOR + (peak - FLOOR) * done / warmup
    falling = (1 + math.cos(math.pi * (done - warmup) / (end - begin - warmup))) / 2
    return peak * (_LOWEST + (1 - _LOWEST) * falling)
