"""What work costs, as steadily as a busy machine lets it be told."""

import time
from collections.abc import Callable


def least_s(work: Callable[[], object], times: int = 10) -> float:
    """The least CPU time of the process that it takes: what others do on the machine only adds to it."""
    took_s = []
    for _ in range(times):
        begun_s = time.process_time()
        work()
        took_s.append(time.process_time() - begun_s)
    return min(took_s)
