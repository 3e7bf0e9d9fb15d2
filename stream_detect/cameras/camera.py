"""One camera in this process: reads its frames, has them analysed and shown, and knows its state.

    reader's thread, one a connection ──┬──frame──> supervisor ──> intake ──┬──> viewers
    publisher (push) ───────────────────┘               │                   └──> worker ──results──> observer
    clockwork (fleet.py) ──look──> stalls, due attempts ┴──states──> observer

It implements `fleet.HostedCamera`.
"""

import logging
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from threading import RLock

from av import VideoFrame

from stream_detect.analysis.challenge_control import ChallengeControl
from stream_detect.analysis.engine import Engine
from stream_detect.cameras.connections import MAX_HANGING, CameraParts, Connections, FrameSource
from stream_detect.cameras.intake import FrameRate, Intake, KeyframeOnly
from stream_detect.cameras.status import CameraStatus, Totals, Watch
from stream_detect.cameras.supervisor import Attempt, Supervisor, one_line
from stream_detect.errors import ConflictError, SourceEndedError, SourceError, SourceStalledError
from stream_detect.events.rules import RepeatedFailures
from stream_detect.settings import CameraSettings
from stream_detect.sources.address import Address, parse_address, redacted
from stream_detect.sources.hls import Position
from stream_detect.sources.reader import ReaderSettings
from stream_detect.types import CameraState, Result, StateChange

__all__ = ("Camera", "CameraParts")

STOP_S = 4.8
"""Time limit of a stop; whatever still hangs then is left on daemon threads."""

ANALYSIS_CLOSE_S = 1.0
"""Part of it that waits for a model call in progress, which takes some 10 ms unless it hangs."""

WAITING = "waiting for a publisher"

log = logging.getLogger(__name__)


def check(settings: CameraSettings, engine: Engine, *, from_settings_file: bool = False) -> Address:
    """Checks the settings of a camera and returns its address, without creating anything.

    Args:
        settings: settings of the camera.
        engine: engine that would analyse it.
        from_settings_file: whether files and devices are permitted.

    Raises:
        AddressError: the address is malformed or not permitted.
        SettingsError: at this rate no verdict could be reached.
    """
    address = parse_address(settings.url.get_secret_value(), from_settings_file=from_settings_file)
    engine.sampler(settings.rate_hz)  # raises now what would otherwise fail at the start
    return address


class Camera:
    """A camera, watched between `start` and `stop`, repeatedly. Thread-safe; every call takes a bounded time.

    `look` must be called several times a second (by `Fleet`).

    Args:
        settings: settings of the camera.
        parts: its parts.
        from_settings_file: whether files and devices are permitted.

    Raises:
        AddressError: its address is malformed or not permitted.
        SettingsError: at its rate no verdict could be reached.
    """

    def __init__(self, settings: CameraSettings, parts: CameraParts, *, from_settings_file: bool = False) -> None:
        self.settings = settings
        self._address = check(settings, parts.engine, from_settings_file=from_settings_file)
        self._parts = parts
        self._clock = parts.clocks.monotonic
        self._lock = RLock()
        self._supervisor = Supervisor(settings.name, parts.monitoring, self._notify, parts.clocks, self._lock)
        self._keyframe_only = KeyframeOnly(allowed=settings.keyframes_only_when_idle, stall_s=parts.monitoring.stall_s)
        self._rate = FrameRate()
        self._totals = Totals()
        self._repeats = RepeatedFailures()
        self._analysed = 0
        self._latest: tuple[Result, float] | None = None  # and the arrival of its frame in monotonic seconds
        self._reader: FrameSource | None = None  # that of the current attempt
        self._codec = ""
        self._position = Position()
        self._troubled = False  # whether trouble of this connection was logged
        self._connections = Connections(settings.name)

    @property
    def name(self) -> str:
        """Name of the camera."""
        return self.settings.name

    def start(self) -> None:
        """Starts to watch; returns at once. Does nothing if the camera is watched already."""
        with self._lock:
            if self._totals.watch is not None:
                return
            watch = self._new_watch()
            self._totals = replace(self._totals, watch=watch)
            watch.worker.start()
            if self._address.is_pushed:
                self._supervisor.start(WAITING, pushed=True)
            else:
                self._read(watch, self._supervisor.start(self._connecting))

    def stop(self, reason: str = "stopped by an operator") -> None:
        """Stops watching, from any state, within 5 s; the state is "stopped" at once.

        A thread that hangs longer is abandoned; its results are ignored.

        Args:
            reason: one short sentence, for people.
        """
        self._end(self._totals.watch, reason)

    def status(self) -> CameraStatus:
        """Current status; takes no lock, so observers may call it."""
        now_s = self._clock()
        totals, situation, latest = self._totals, self._supervisor.situation, self._latest
        live = situation.state is CameraState.LIVE
        counts = replace(totals.counts, analysed=self._analysed, reconnects=self._supervisor.reconnects)
        fps = self._rate.hz(now_s, counts.pictures) if live else 0.0
        newest = totals.watch.intake.newest if totals.watch else None
        change = situation.change
        return CameraStatus(
            name=self.name,
            change=replace(change, reason=self._live_reason(fps)) if fps >= 1.0 else change,
            counts=counts,
            fps=fps,
            wh=(newest.width, newest.height) if newest else None,
            codec=self._codec,
            viewers=self._parts.viewing.viewers,
            retry_at_s=situation.retry_at_s,
            result=latest[0] if live and latest else None,
            result_age_s=now_s - latest[1] if live and latest else None,
        )

    def _live_reason(self, fps: float) -> str:
        reader = self._reader
        trouble = reader.trouble if reader is not None else ""
        return one_line(f"{fps:.0f} fps{f'; {trouble}' if trouble else ''}")

    def snapshot(self) -> tuple[VideoFrame, Result | None, float] | None:
        """The newest frame (read-only), while live the newest result, and when the frame arrived (monotonic seconds).

        None before the first frame.
        """
        watch, latest = self._totals.watch, self._latest
        newest = watch.intake.newest if watch else None
        if watch is None or newest is None:
            return None
        return newest, latest[0] if latest else None, watch.intake.newest_s

    def judged(self) -> tuple[VideoFrame, Result | None] | None:
        """The newest result and its frame (read-only); None before the first result.

        An observer that calls it while it receives a result gets the frame that was analysed, however late that is.
        """
        watch, latest = self._totals.watch, self._latest
        judged = watch.intake.judged if watch else None
        return None if judged is None else (judged, latest[0] if latest else None)

    @property
    def challenge(self) -> ChallengeControl:
        """The challenge of the person in front of the camera.

        Raises:
            ConflictError: the camera is not live.
        """
        watch = self._totals.watch
        if watch is None or not self._live:
            raise ConflictError(f"camera {self.name} is not live: a challenge needs live video")
        return watch.challenge

    def push(self, frame: VideoFrame, codec: str, *, gap: bool = False, arrived_s: float | None = None) -> None:
        """Accepts a publisher's next frame; returns at once. While stopped, frames are dropped.

        Args:
            frame: upright, with its timestamp.
            codec: its codec, in FFmpeg's name ("h264").
            gap: something was lost just before it.
            arrived_s: its arrival before decoding, in monotonic seconds; default now.

        Raises:
            ConflictError: this camera does not accept publishers.
        """
        self._expect_pushed()
        self._codec = codec
        watch, attempt = self._totals.watch, self._supervisor.attempt
        if arrived_s is None:
            arrived_s = self._clock()
        if watch is not None and attempt is not None and self._supervisor.picture(attempt, arrived_s):
            watch.intake.take(frame, arrived_s if frame.time is None else frame.time, arrived_s, gap=gap)

    def publisher_left(self, reason: str) -> None:
        """Called when the publisher has left: waits for the next one.

        Args:
            reason: one short sentence, for people.

        Raises:
            ConflictError: this camera does not accept publishers.
        """
        self._expect_pushed()
        with self._lock:
            if self._totals.watch is not None:
                self._totals.watch.intake.begin()
                self._supervisor.again(f"{WAITING}: {one_line(redacted(reason))}", pushed=True)

    def look(self) -> None:
        """Does what is due: detects a stall, starts the next attempt, switches an idle camera to key frames only."""
        with self._lock:
            watch = self._totals.watch
            if watch is None:
                return
            was_live, reader = self._live, self._reader
            if reader is None:
                self._supervisor.look()
            else:
                self._supervisor.look(reader.packet_s, reader.trouble)
                self._log_trouble(reader.trouble)
            if self._live:
                self._rate.mark(self._clock(), self._totals.counts.pictures)
                self._spare()
            elif was_live and reader is not None and reader.keyframes_only:
                log.warning("camera %s: key frames are too rare; all frames are decoded from now on", self.name)
                self._keyframe_only.forbid()
            if self._supervisor.due:
                self._reconnect(watch)

    def _log_trouble(self, trouble: str) -> None:
        """Logs trouble once per connection."""
        if trouble and not self._troubled:
            self._troubled = True
            log.warning("camera %s: %s", self.name, trouble)

    @property
    def _live(self) -> bool:
        return self._supervisor.situation.state is CameraState.LIVE

    @property
    def _connecting(self) -> str:
        return f"connecting to {self._address.shown}"

    def _new_watch(self) -> Watch:
        engine, rate_hz = self._parts.engine, self.settings.rate_hz
        challenge = engine.challenge()
        worker = engine.worker(lambda result: self._take_result(watch, result), rate_hz, challenge)
        watch = Watch(worker, Intake(self._parts.viewing, engine.sampler(rate_hz), worker.submit), challenge)
        return watch

    def _end(self, watch: Watch | None, reason: str) -> None:
        """Ends a watch, unless it has ended."""
        deadline_s = time.monotonic() + STOP_S
        with self._lock:
            if watch is None or self._totals.watch is not watch:
                return
            self._supervisor.stop(reason)
            self._totals, self._reader = self._totals.stopped(), None
            thread = self._connections.newest  # earlier ones were abandoned already
        watch.worker.close(ANALYSIS_CLOSE_S)
        if thread is not None:
            self._connections.wait(thread, deadline_s)

    def _spare(self) -> None:
        """Switches between all frames and key frames only."""
        reader = self._reader
        if reader is None:
            return
        suffices = self._keyframe_only.suffices(self._clock(), self._parts.viewing.viewers)
        if reader.keyframes_only != suffices:
            reader.keyframes_only = suffices

    def _reconnect(self, watch: Watch) -> None:
        self._disconnected()
        watch.intake.begin()
        attempt = self._supervisor.again(self._connecting)
        if self._connections.hang:
            hanging = f"{MAX_HANGING} connections hang and have to end before the next"
            self._supervisor.failed(attempt, SourceStalledError(hanging))
        else:
            self._read(watch, attempt)

    def _read(self, watch: Watch, attempt: Attempt) -> None:
        self._troubled = False
        self._keyframe_only.begin(self._clock())
        self._connections.begin(
            partial(self._reader_of, attempt),
            partial(self._take_frames, watch, attempt),
            partial(self._failed, watch, attempt),
        )

    def _reader_of(self, attempt: Attempt) -> AbstractContextManager[FrameSource, bool | None]:
        limits, wanted = self._parts.monitoring, self.settings
        how = ReaderSettings(
            wanted.transport, wanted.loop, limits.open_timeout_s, limits.read_timeout_s, limits.max_pixels
        )
        taps = self._parts.taps(self.name)
        return self._parts.open_reader(self._address, how, attempt.stopping, taps, self._position)

    def _take_frames(self, watch: Watch, attempt: Attempt, reader: FrameSource) -> SourceError:
        """Processes the frames of a connection; returns why there are no more."""
        with self._lock:
            if attempt is self._supervisor.attempt:
                self._totals, self._reader = replace(self._totals, connection=reader), reader
                self._codec = reader.codec
        try:
            for picture in reader.pictures():
                if not self._supervisor.picture(attempt, picture.arrived_s):
                    break
                if picture.keyframe:
                    self._keyframe_only.keyframe(picture.arrived_s)
                watch.intake.take(picture.frame, picture.time_s, picture.arrived_s, gap=picture.gap)
        except SourceError as error:
            return error
        return SourceEndedError("the stream ended")

    def _failed(self, watch: Watch, attempt: Attempt, error: SourceError) -> None:
        with self._lock:
            if attempt is not self._supervisor.attempt:
                return  # stopped, or given up
            ended = isinstance(error, SourceEndedError) and not self._address.is_live
            if not ended:
                self._disconnected()
                self._supervisor.failed(attempt, type(error)(redacted(str(error))))
        if ended:
            self._end(watch, "the file ended")

    def _disconnected(self) -> None:
        self._totals, self._reader = self._totals.disconnected(), None

    def _take_result(self, watch: Watch, result: Result) -> None:
        """Called on the worker's thread.

        A result that arrives when the camera is no longer live is out of date, and so is that of a frame from before an
        interruption which has ended meanwhile: a slow analysis may take longer than it lasted.
        """
        now_s = self._clock()
        with self._lock:
            attempt = self._supervisor.attempt
            if self._totals.watch is not watch or not self._live or attempt is None:
                return
            if result.error is None and result.arrived_s < attempt.live_again_s:
                return
            if result.tracks:
                self._keyframe_only.face(now_s)
            self._latest = result, result.arrived_s
            self._parts.viewing.show_result(result)
            self._analysed += result.error is None
            self._parts.observer.result(self.name, result, self._parts.clocks.wall() - (now_s - result.arrived_s))

    def _notify(self, change: StateChange) -> None:
        """Notifies observers; call with the lock held, so that they get states and results in order."""
        self._latest = None
        self._parts.viewing.show_result(None)
        self._rate.clear()
        if change.state is CameraState.LIVE:
            self._rate.mark(self._clock(), self._totals.counts.pictures)
        for news in self._repeats.news(change):
            log.info("camera %s: %s: %s", self.name, news.state.value, news.reason)
        self._parts.observer.state(change)

    def _expect_pushed(self) -> None:
        if not self._address.is_pushed:
            raise ConflictError(f"camera {self.name} does not accept a publisher: its address is not whip:")
