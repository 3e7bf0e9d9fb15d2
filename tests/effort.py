"""Measures processor time as reliably as possible on a busy machine."""

import time
from collections.abc import Callable


def least_s(work: Callable[[], object], times: int = 10) -> float:
    """Minimum processor time over several runs: other programs on the machine can only add to it."""
    took_s = []
    for _ in range(times):
        begun_s = time.process_time()
        work()
        took_s.append(time.process_time() - begun_s)
    return min(took_s)
