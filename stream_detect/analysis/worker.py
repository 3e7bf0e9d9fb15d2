"""Runs the analysis of one stream on its own thread, and restarts it after a failure.

submit ──> mailbox (one slot, newest wins) ──> supplier() ──> pipeline.step ──> on_result
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from threading import Lock, Thread, current_thread
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from stream_detect.analysis.sampler import Mailbox
from stream_detect.backoff import Backoff
from stream_detect.errors import StreamDetectError
from stream_detect.types import Frame, Result, Verdict, VerdictState

if TYPE_CHECKING:
    from stream_detect.analysis.challenge_control import ChallengeActions

FIRST_RETRY_S = 0.5
LAST_RETRY_S = 8.0
"""After a failure the analysis is retried after .5 s, 1, 2, 4 and then every 8 s: a failing detector costs next to
nothing, and one that works again is used within seconds."""

CLOSE_S = 2.0
"""A step takes some 10 ms; a model that does not return within this time hangs."""

log = logging.getLogger(__name__)


REMEMBER_S = 60.0
"""How long a failure counts after its stream ended. If it counted for ever, it could keep a load balancer from sending
the very stream that would show that all is well again."""


class Health:
    """Health of the analysis, shared by all streams. Thread-safe.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._streams: dict[object, str | None] = {}
        self._remembered: str | None = None
        self._remembered_s = 0.0

    @property
    def failing(self) -> str | None:
        """Why no stream can be judged; None if one was, or if no failure is known."""
        with self._lock:
            if self._streams:
                messages = list(self._streams.values())
                return None if None in messages else messages[0]
            if self._clock() - self._remembered_s > REMEMBER_S:
                self._remembered = None
            return self._remembered

    def record(self, stream: object, error: str | None) -> None:
        """Records the outcome of a stream's newest analysis: its error, or None if it succeeded."""
        with self._lock:
            self._streams[stream] = error

    def forget(self, stream: object) -> None:
        """Records that a stream ended; the last one's outcome is kept for a while."""
        with self._lock:
            if stream in self._streams:
                self._remembered = self._streams.pop(stream)
                self._remembered_s = self._clock()


class FrameAnalysis(Protocol):
    """What the worker runs: a `Pipeline`."""

    def step(self, frame: Frame) -> Result:
        """The result of one sampled frame."""
        ...


class AnalysisWorker:
    """Runs the analysis of one stream off the event loop.

    A failing detector or classifier does not end it: each frame then gives a `Result` with the error and no verdict,
    and the analysis is retried with growing pauses. After `close` no result is delivered.

    Args:
        pipeline_factory: makes the stream's pipeline; called on the worker's thread, because loading models takes a
            while.
        on_result: called with each result, on the worker's thread.
        health: where failure and recovery are recorded.
        clock: monotonic seconds, the clock of `Frame.arrived_s`.
        challenge: of the stream, which goes on while the analysis fails; None if nobody can request one.
    """

    def __init__(
        self,
        pipeline_factory: Callable[[], FrameAnalysis],
        on_result: Callable[[Result], None],
        health: Health,
        clock: Callable[[], float] = time.monotonic,
        challenge: "ChallengeActions | None" = None,
    ) -> None:
        self._pipeline_factory = pipeline_factory
        self._challenge = challenge
        self._pipeline: FrameAnalysis | None = None
        self._on_result = on_result
        self._health = health
        self._clock = clock
        self._mailbox: Mailbox[Callable[[], Frame]] = Mailbox()
        # A daemon, so that a model call that never returns cannot keep the process from ending.
        self._thread = Thread(target=self._run, name="analysis", daemon=True)
        self._latest = Result(0, 0.0, 0.0, None, (0, 0), _no_verdict(""), (), 0.0, 0)
        self._error: str | None = None
        self._edge_error: str | None = None
        # Streams need no jitter; without it each pause is half of its ceiling.
        self._backoff = Backoff(FIRST_RETRY_S, 2 * LAST_RETRY_S, chance=lambda: 0.0)
        self._retry_at_s = -math.inf

    @property
    def dropped_samples(self) -> int:
        """Number of frames that were replaced by newer ones before they were analysed."""
        return self._mailbox.replaced

    def start(self) -> None:
        """Starts the thread; call once."""
        self._thread.start()

    def submit(self, supplier: Callable[[], Frame]) -> None:
        """Submits a frame, replacing one that is still waiting; returns at once, from any thread.

        Args:
            supplier: makes the frame (decoding, conversion to RGB); called on the worker's thread, at most once.
        """
        self._mailbox.put(supplier)

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Ends the thread; waits at most `timeout_s` for a step in progress, so do not call it on the event loop."""
        self._mailbox.close()
        if self._thread.ident is None or self._thread is current_thread():
            return
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            log.warning(
                "the analysis did not end within %.1f s: a model call hangs, and its thread is abandoned", timeout_s
            )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            while (supplier := self._mailbox.take()) is not None:
                self._deliver(self._analyse(supplier))
        finally:
            self._health.forget(self)

    def _analyse(self, supplier: Callable[[], Frame]) -> Result:
        try:
            frame = supplier()
        except Exception as error:  # noqa: BLE001 - the thread's edge: one bad picture must not end the analysis
            self._log_edge("a picture could not be converted", error)
            return self._unavailable("analysis unavailable: the picture could not be converted")
        self._latest = replace(
            self._latest,
            time_s=frame.time_s,
            arrived_s=frame.arrived_s,
            pts=frame.pts,
            wh=(frame.image.shape[1], frame.image.shape[0]),
        )
        if self._error is not None and self._clock() < self._retry_at_s:
            return self._unavailable(self._error)
        try:
            if self._pipeline is None:
                self._pipeline = self._pipeline_factory()
            result = self._pipeline.step(frame)
        except Exception as error:  # noqa: BLE001 - the thread's edge: whatever fails, the video goes on and says so
            return self._failed(error)
        self._succeeded()
        return result

    def _succeeded(self) -> None:
        if self._error is not None:
            log.info("analysis available again")
        self._error = None
        self._backoff.reset()
        self._health.record(self, None)

    def _failed(self, error: Exception) -> Result:
        ours = isinstance(error, StreamDetectError)  # other errors may contain what a viewer must not see
        message = f"analysis unavailable: {error if ours else f'unexpected {type(error).__name__}'}"
        if message != self._error:
            log.error("%s", message, exc_info=None if ours else error)
        self._error = message
        self._retry_at_s = self._clock() + self._backoff.pause_s()
        self._health.record(self, message)
        return self._unavailable(message)

    def _unavailable(self, message: str) -> Result:
        challenge = None if self._challenge is None else self._challenge.record
        return replace(self._latest, verdict=_no_verdict("analysis unavailable"), error=message, challenge=challenge)

    def _deliver(self, result: Result) -> None:
        if self._mailbox.closed:
            return
        self._latest = replace(self._latest, sequence=self._latest.sequence + 1)
        stamped = replace(
            result,
            sequence=self._latest.sequence,
            latency_s=self._clock() - result.arrived_s,
            dropped_samples=self._mailbox.replaced,
        )
        try:
            self._on_result(stamped)
        except Exception as error:  # noqa: BLE001 - the thread's edge: a receiver that fails must not end the analysis
            self._log_edge("a result could not be delivered", error)

    def _log_edge(self, what: str, error: Exception) -> None:
        """Logs a failure before or after the analysis, once per change: it may well happen on every frame."""
        message = f"{what}: {type(error).__name__}"
        if message != self._edge_error:
            log.error("%s", message, exc_info=error)
        self._edge_error = message


def _no_verdict(reason: str) -> Verdict:
    return Verdict(VerdictState.NO_FACE, reason, None, 0, 0)
