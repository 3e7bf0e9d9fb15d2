"""Repeats: a camera's states enter, those worth a line leave: what a dead camera says again and again is no news.

Tried once a minute for weeks, it would otherwise fill log and history with the same two or three states.
"""

from stream_detect.monitoring.status import CameraState, StateChange

FAILED = frozenset({CameraState.BACKING_OFF, CameraState.REFUSED})
UNDECIDED = frozenset({CameraState.CONNECTING, CameraState.STALLED})
"""What an attempt after a failure goes through before it is known what comes of it."""


class Repeats:
    """Leaves out attempts that end as the one before did. Not safe to use from two threads at once."""

    def __init__(self) -> None:
        self._failure: StateChange | None = None
        self._held: list[StateChange] = []

    def news(self, change: StateChange) -> list[StateChange]:
        """Takes the camera's next state; returns what is to be written, in order.

        An attempt after a failure is held back. Ends it the same way, for the same reason, it is left out.
        """
        before = self._failure
        if before is not None and change.state in UNDECIDED:
            self._held.append(change)
            return []
        held, self._held = self._held, []
        self._failure = change if change.state in FAILED else None
        if before is not None and (before.state, before.reason) == (change.state, change.reason):
            return []
        return [*held, change]
