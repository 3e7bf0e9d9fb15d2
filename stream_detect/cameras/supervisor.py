"""The states of one camera: decides from frames, failures and silence whether it is live, and when to try again.

It opens nothing and has no thread. The camera (camera.py) reports each frame and failure, and calls `look` several
times a second, because a reader that hangs reports nothing.
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
"""Time beyond its time-outs that a stopping reader is given before its thread is abandoned."""

UNDECODABLE_S = 30.0
"""How long a connection is kept whose packets give no frame. Reconnecting at once does not help if packets are lost on
the way; later it may, because cameras send a key frame to a new client."""

REASON_CHARS = 200
"""A reason is one sentence; FFmpeg's own can be pages."""


class Attempt:
    """One connection, from opening to its end; for a pushed camera, the wait for a publisher and its frames.

    Args:
        begun_s: its start in monotonic seconds.
        pushed: a publisher sends the frames: waiting for the first is not a failure, and a stall not the end.
    """

    __slots__ = ("begun_s", "last_s", "live_again_s", "live_s", "pushed", "stopped_s", "stopping")

    def __init__(self, begun_s: float, *, pushed: bool) -> None:
        self.stopping = Event()
        self.begun_s = begun_s
        self.pushed = pushed
        self.live_s = math.inf  # monotonic seconds of the first frame
        self.live_again_s = math.inf  # of the first frame since the newest stall
        self.last_s = begun_s  # of the newest frame
        self.stopped_s = math.inf  # of the request to stop because of a stall

    @property
    def good_s(self) -> float:
        """How long frames arrived."""
        return max(self.last_s - self.live_s, 0.0)


@dataclass(frozen=True, slots=True)
class Situation:
    """A state of the supervisor.

    Args:
        change: as observers are notified of it.
        entered_s: monotonic seconds.
        due_s: time of the next attempt, monotonic seconds; None if none is due.
        retry_at_s: that time in unix seconds.
    """

    change: StateChange
    entered_s: float
    due_s: float | None = None
    retry_at_s: float | None = None

    @property
    def state(self) -> CameraState:
        """The current state."""
        return self.change.state


@dataclass(frozen=True, slots=True)
class Clocks:
    """Clocks and random numbers of a camera.

    Args:
        monotonic: returns seconds, on the clock of `SourceFrame.arrived_s`.
        wall: returns unix seconds.
        chance: returns a random number in [0, 1).
    """

    monotonic: Callable[[], float]
    wall: Callable[[], float]
    chance: Callable[[], float]


class Supervisor:
    """The state machine of one camera (see `CameraState`). Thread-safe.

    Only one attempt is current at any time. Reports of earlier ones, from abandoned threads, are ignored.

    Args:
        camera: name of the camera.
        settings: time-outs and pauses.
        notify: called with each state entered, in order, with the lock held; must return at once.
        clocks: the clocks.
        lock: lock of the camera.
    """

    def __init__(
        self,
        camera: str,
        settings: MonitoringSettings,
        notify: Callable[[StateChange], None],
        clocks: Clocks,
        lock: RLock,
    ) -> None:
        self._camera = camera
        self._settings = settings
        self._notify = notify
        self._clocks = clocks
        self._lock = lock
        self._backoff = Backoff(
            settings.backoff_first_s, settings.backoff_last_s, settings.backoff_reset_s, clocks.chance
        )
        self._attempt: Attempt | None = None
        self._problem = ""  # of the newest failure since frames arrived
        self.reconnects = 0
        """Number of attempts after the first of each start so far."""
        change = StateChange(camera, CameraState.STOPPED, "switched off", clocks.wall())
        self._situation = Situation(change, clocks.monotonic())

    @property
    def situation(self) -> Situation:
        """The current situation; takes no lock."""
        return self._situation

    @property
    def attempt(self) -> Attempt | None:
        """The current attempt; None while stopped or pausing."""
        return self._attempt

    @property
    def due(self) -> bool:
        """Whether the next attempt is due."""
        due_s = self._situation.due_s
        return due_s is not None and self._clocks.monotonic() >= due_s

    def start(self, reason: str, *, pushed: bool = False) -> Attempt:
        """Starts the first attempt: connecting; earlier failures are forgotten."""
        with self._lock:
            self._backoff.reset()
            self._problem = ""
            return self._begin(reason, pushed=pushed)

    def again(self, reason: str, *, pushed: bool = False) -> Attempt:
        """Starts the next attempt: connecting. The previous one is no longer current.

        Args:
            reason: one short sentence; after a failure, its reason is shown instead until frames arrive.
            pushed: see `Attempt`.
        """
        with self._lock:
            self.reconnects += 1
            return self._begin(f"trying again: {self._problem}" if self._problem else reason, pushed=pushed)

    def picture(self, attempt: Attempt, arrived_s: float) -> bool:
        """Records a frame; the first makes the camera live. Called for every frame, so it must be cheap.

        Returns:
            False if the attempt is no longer current: the frame must be ignored, and reading must end.
        """
        if attempt.stopping.is_set():
            return False
        attempt.last_s = arrived_s
        return self._situation.change.state is CameraState.LIVE or self._become_live(attempt, arrived_s)

    def failed(self, attempt: Attempt, error: SourceError) -> None:
        """Records that an attempt has ended, by itself or because it was told to."""
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

    def look(self, packet_s: float = -math.inf, trouble: str = "") -> None:
        """Detects what nobody reports: that no frame arrives, and that a reader does not stop.

        Args:
            packet_s: arrival of the connection's newest packet, monotonic seconds.
            trouble: why its packets give no frames; empty if unknown.
        """
        attempt, state, settings = self._attempt, self._situation.state, self._settings
        if attempt is None:
            return
        now_s = self._clocks.monotonic()
        receiving = now_s - packet_s < settings.stall_s
        why = f": {trouble}" if trouble else ""
        if state is CameraState.LIVE and now_s - attempt.last_s >= settings.stall_s:
            what = "packets come, but no frame" if receiving else "no frame came"
            self._stall(attempt, f"{what} for {settings.stall_s:g} s{why}", receiving=receiving)
        elif state is CameraState.CONNECTING and not attempt.pushed:
            patience_s = settings.open_timeout_s + settings.stall_s
            if now_s - attempt.begun_s >= patience_s:
                self._stall(attempt, f"no frame could be decoded within {patience_s:g} s{why}", receiving=receiving)
        elif state is CameraState.STALLED and not attempt.pushed:
            self._give_up(attempt, now_s, receiving=receiving)

    def stop(self, reason: str) -> bool:
        """Enters stopped, from any state.

        Returns:
            False if it was stopped already.
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
                attempt.live_s = min(attempt.live_s, arrived_s)
                attempt.live_again_s = arrived_s
                self._problem = ""
                self._enter(CameraState.LIVE, "frames are coming")
            return True

    def _stall(self, attempt: Attempt, reason: str, *, receiving: bool) -> None:
        with self._lock:
            if attempt is not self._attempt or self._situation.state is CameraState.STALLED:
                return
            if not attempt.pushed and not receiving:
                self._ask_to_stop(attempt)
            self._enter(CameraState.STALLED, reason)

    def _give_up(self, attempt: Attempt, now_s: float, *, receiving: bool) -> None:
        """Ends a stalled attempt once there is no hope for it, and later the wait for its reader."""
        if not attempt.stopping.is_set():
            if not receiving or now_s - self._situation.entered_s >= UNDECODABLE_S:
                self._ask_to_stop(attempt)
            return
        patience_s = max(self._settings.open_timeout_s, self._settings.read_timeout_s) + LETS_GO_S
        if now_s - attempt.stopped_s >= patience_s:
            self.failed(attempt, SourceStalledError("the connection hangs"))

    def _ask_to_stop(self, attempt: Attempt) -> None:
        attempt.stopped_s = self._clocks.monotonic()
        attempt.stopping.set()

    def _back_off(self, reason: str) -> None:
        good_s = self._attempt.good_s if self._attempt else 0.0
        self._pause(CameraState.BACKING_OFF, reason, self._backoff.pause_s(good_s))

    def _pause(self, state: CameraState, reason: str, pause_s: float) -> None:
        self._problem = reason
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
    """The first line of a text, truncated."""
    first = text.strip().partition("\n")[0]
    return first if len(first) <= REASON_CHARS else f"{first[: REASON_CHARS - 1]}…"
