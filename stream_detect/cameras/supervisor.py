"""Supervisor: what happened to a camera's connection enters, its state, reason and next attempt leave.

It decides and tells; it opens nothing and has no thread. Whoever connects (camera.py) asks it with each picture, tells
it of each failure, and calls `look` now and then, as a reader that hangs cannot say so.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, RLock

from stream_detect.backoff import Backoff
from stream_detect.errors import SourceError, SourceRefusedError, SourceStalledError
from stream_detect.settings import MonitoringSettings
from stream_detect.types import CameraState, StateChange

LETS_GO_S = 1.0
"""On top of its time-outs, what a reader that was told to stop is given before its thread is left behind."""

REASON_CHARS = 200
"""A reason is one sentence; FFmpeg's own can be pages."""


class Attempt:
    """One connection, from the call to its end; of a pushed camera the wait for a publisher, and its pictures.

    Args:
        begun_s: monotonic seconds.
        pushed: pictures come when a publisher pleases: waiting for the first is no failure, nor is a stall the end.
    """

    __slots__ = ("begun_s", "last_s", "live_s", "pushed", "stopping")

    def __init__(self, begun_s: float, *, pushed: bool) -> None:
        self.stopping = Event()
        self.begun_s = begun_s
        self.pushed = pushed
        self.live_s = math.inf  # monotonic seconds of the first picture
        self.last_s = begun_s  # and of the newest

    @property
    def good_s(self) -> float:
        """How long pictures came."""
        return max(self.last_s - self.live_s, 0.0)


@dataclass(frozen=True, slots=True)
class Situation:
    """A state, as the supervisor sees it.

    Args:
        change: as others are told.
        entered_s: monotonic seconds.
        due_s: when the next attempt is to be made, monotonic seconds; None when none is.
        retry_at_s: the same as unix seconds.
    """

    change: StateChange
    entered_s: float
    due_s: float | None = None
    retry_at_s: float | None = None

    @property
    def state(self) -> CameraState:
        """What the supervisor is doing."""
        return self.change.state


@dataclass(frozen=True, slots=True)
class Clocks:
    """What the time is, and chance.

    Args:
        monotonic: seconds, the clock of `SourceFrame.arrived_s`.
        wall: unix seconds.
        chance: a random number in [0, 1).
    """

    monotonic: Callable[[], float]
    wall: Callable[[], float]
    chance: Callable[[], float]


class Supervisor:
    """The states of one camera (see `CameraState`). Safe from any thread.

    At any time one attempt counts. Whatever an earlier one still says, from a thread that was left behind, is ignored.

    Args:
        camera: its name.
        settings: time-outs and pauses.
        tell: is told of each state entered, in order, under the lock; must return at once.
        clocks: what the time is.
        lock: of the camera.
    """

    def __init__(
        self,
        camera: str,
        settings: MonitoringSettings,
        tell: Callable[[StateChange], None],
        clocks: Clocks,
        lock: RLock,
    ) -> None:
        self._camera = camera
        self._settings = settings
        self._notify = tell
        self._clocks = clocks
        self._lock = lock
        self._backoff = Backoff(
            settings.backoff_first_s, settings.backoff_last_s, settings.backoff_reset_s, clocks.chance
        )
        self._attempt: Attempt | None = None
        self.reconnects = 0
        """Attempts after the first of each start, so far."""
        change = StateChange(camera, CameraState.STOPPED, "switched off", clocks.wall())
        self._situation = Situation(change, clocks.monotonic())

    @property
    def situation(self) -> Situation:
        """The present one; takes no lock."""
        return self._situation

    @property
    def attempt(self) -> Attempt | None:
        """The one that counts now; None while stopped or pausing."""
        return self._attempt

    @property
    def due(self) -> bool:
        """Whether the next attempt is to begin now."""
        due_s = self._situation.due_s
        return due_s is not None and self._clocks.monotonic() >= due_s

    def start(self, reason: str, *, pushed: bool = False) -> Attempt:
        """Begins the first attempt: connecting; old failures are forgotten."""
        with self._lock:
            self._backoff.reset()
            return self._begin(reason, pushed=pushed)

    def again(self, reason: str, *, pushed: bool = False) -> Attempt:
        """Begins the next attempt: connecting. The one before counts no more."""
        with self._lock:
            self.reconnects += 1
            return self._begin(reason, pushed=pushed)

    def picture(self, attempt: Attempt, arrived_s: float) -> bool:
        """Notes a picture; the first makes the camera live. Costs next to nothing: called for every picture.

        Returns:
            False when the attempt counts no more: the picture is to be ignored, and reading to end.
        """
        if attempt.stopping.is_set():
            return False
        attempt.last_s = arrived_s
        return self._situation.change.state is CameraState.LIVE or self._become_live(attempt, arrived_s)

    def failed(self, attempt: Attempt, error: SourceError) -> None:
        """Notes that an attempt has ended, of itself or because it was told to."""
        with self._lock:
            if attempt is not self._attempt:
                return
            reason = one_line(str(error))
            if self._situation.state is CameraState.STALLED:
                self._back_off(self._situation.change.reason)
            elif isinstance(error, SourceRefusedError):
                self._pause(CameraState.REFUSED, reason, self._settings.refused_retry_s)
            else:
                if isinstance(error, SourceStalledError) and self._situation.state is CameraState.LIVE:
                    self._enter(CameraState.STALLED, reason)
                self._back_off(reason)

    def look(self) -> None:
        """Notices what nobody says: that no picture comes, and that a reader does not let go."""
        attempt, state, settings = self._attempt, self._situation.state, self._settings
        if attempt is None:
            return
        now_s = self._clocks.monotonic()
        if state is CameraState.LIVE and now_s - attempt.last_s >= settings.stall_s:
            self._stall(attempt, f"no picture came for {settings.stall_s:g} s")
        elif state is CameraState.CONNECTING and not attempt.pushed:
            patience_s = settings.open_timeout_s + settings.stall_s
            if now_s - attempt.begun_s >= patience_s:
                self._stall(attempt, f"no picture could be decoded within {patience_s:g} s")
        elif state is CameraState.STALLED and not attempt.pushed:
            patience_s = max(settings.open_timeout_s, settings.read_timeout_s) + LETS_GO_S
            if now_s - self._situation.entered_s >= patience_s:
                self.failed(attempt, SourceStalledError("the connection hangs"))

    def stop(self, reason: str) -> bool:
        """Enters stopped, from any state.

        Returns:
            False when it was stopped already.
        """
        with self._lock:
            if self._situation.state is CameraState.STOPPED:
                return False
            self._let_go()
            self._enter(CameraState.STOPPED, reason)
            return True

    def _begin(self, reason: str, *, pushed: bool) -> Attempt:
        self._let_go()
        self._attempt = Attempt(self._clocks.monotonic(), pushed=pushed)
        self._enter(CameraState.CONNECTING, reason)
        return self._attempt

    def _become_live(self, attempt: Attempt, arrived_s: float) -> bool:
        with self._lock:
            if attempt is not self._attempt or attempt.stopping.is_set():
                return False
            if self._situation.state is not CameraState.LIVE:
                attempt.live_s = arrived_s
                self._enter(CameraState.LIVE, "pictures are coming")
            return True

    def _stall(self, attempt: Attempt, reason: str) -> None:
        with self._lock:
            if attempt is not self._attempt or self._situation.state is CameraState.STALLED:
                return
            if not attempt.pushed:
                attempt.stopping.set()
            self._enter(CameraState.STALLED, reason)

    def _back_off(self, reason: str) -> None:
        good_s = self._attempt.good_s if self._attempt else 0.0
        self._pause(CameraState.BACKING_OFF, reason, self._backoff.pause_s(good_s))

    def _pause(self, state: CameraState, reason: str, pause_s: float) -> None:
        self._let_go()
        self._enter(state, reason, pause_s)

    def _let_go(self) -> None:
        if self._attempt is not None:
            self._attempt.stopping.set()
            self._attempt = None

    def _enter(self, state: CameraState, reason: str, pause_s: float | None = None) -> None:
        now_s, at_s = self._clocks.monotonic(), self._clocks.wall()
        change = StateChange(self._camera, state, reason, at_s)
        if pause_s is None:
            self._situation = Situation(change, now_s)
        else:
            self._situation = Situation(change, now_s, now_s + pause_s, at_s + pause_s)
        self._notify(change)


def one_line(text: str) -> str:
    """The text's first line, not endless."""
    first = text.strip().partition("\n")[0]
    return first if len(first) <= REASON_CHARS else f"{first[: REASON_CHARS - 1]}…"
