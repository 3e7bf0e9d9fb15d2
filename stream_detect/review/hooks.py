"""What a review asks and tells on its way: progress leaves; wishes to stop, or to let live streams go first, enter."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from stream_detect.errors import ReviewCancelledError


@dataclass(frozen=True, slots=True)
class Hooks:
    """On the review's thread, but for `cancelled`.

    Args:
        on_progress: is told the share done, in [0, 1], often.
        cancelled: asked often, also on a thread that decodes ahead; True ends the review with `ReviewCancelledError`.
        give_way: called between samples; may block as long as live streams need the machine.
    """

    on_progress: Callable[[float], None] = lambda _: None
    cancelled: Callable[[], bool] = lambda: False
    give_way: Callable[[], None] = lambda: None


class Allowance:
    """A bound on the time that one file takes; what `give_way` waits for is not counted.

    Args:
        hooks: asked on the way.
        max_run_s: the bound.
    """

    def __init__(self, hooks: Hooks, max_run_s: float) -> None:
        self._hooks = hooks
        self._end_s = time.monotonic() + max_run_s
        self._going = Event()
        self._going.set()
        self._left = False

    @property
    def used_up(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._end_s

    def check(self) -> None:
        """Between packets, on whatever thread decodes; rests there while the review's own gives way.

        Raises:
            ReviewCancelledError: somebody asked to stop, or the review was left.
        """
        self._going.wait()
        if self._left or self._hooks.cancelled():
            raise ReviewCancelledError("cancelled")

    def give_way(self) -> None:
        """Between samples: lets live streams go first."""
        began_s = time.monotonic()
        self._going.clear()
        try:
            self._hooks.give_way()
        finally:
            self._going.set()
        self._end_s += time.monotonic() - began_s

    def leave(self) -> None:
        """Nothing more is wanted: what decodes ahead ends at its next packet."""
        self._left = True
