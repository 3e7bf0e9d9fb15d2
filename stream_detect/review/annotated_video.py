"""The annotated video: a file and a model enter, an MP4 with the live overlay burnt in leaves; of a picture a JPEG.

The same overlay, encoder and pipeline as live: at each moment the badge says what a viewer of the live check would have
seen. The file appears under its name when it is whole, and not before.
"""

import errno
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

import av
from av.container import OutputContainer

from stream_detect.analysis.engine import at_rate
from stream_detect.analysis.pipeline import SideBySide
from stream_detect.analysis.sampler import Sampler
from stream_detect.errors import DiskFullError, MediaError, StorageError, StreamDetectError
from stream_detect.media.encoder import NOMINAL_FPS, H264Encoder
from stream_detect.media.jpeg import encode_jpeg
from stream_detect.media.planes import copy_yuv420p, to_rgb
from stream_detect.overlay.overlay import Overlay
from stream_detect.review.examination import Allowance, Hooks
from stream_detect.review.models import ReviewModels
from stream_detect.review.samples import ahead, goes_ahead
from stream_detect.review.verdict import of_picture
from stream_detect.settings import Settings, VideoSettings
from stream_detect.sources.file_frame import CLOCK_HZ, FAILURES, TIME_BASE, Decoding, Shot, words
from stream_detect.sources.media import Media, open_media
from stream_detect.sources.sound import open_sound
from stream_detect.types import Frame, Result

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.packet import Packet
    from av.video.stream import VideoStream


_COPIED = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus"})
"""Codecs of sound that MP4 takes and browsers mostly play."""

_BITRATE_BPS = 8_000_000
"""At most: a file is not a call. The encoder's quantiser and its size of picture bound it below that."""


class Film:
    """A video file that is written. A context manager: left by an error, the file is not finished.

    Args:
        to: the file.
        original: whose sound is copied.
        settings: bounds of the bitrate.

    Raises:
        MediaError: it cannot be begun.
    """

    def __init__(self, to: Path, original: Path, settings: VideoSettings) -> None:
        most_bps = max(_BITRATE_BPS, settings.max_bitrate_bps)
        self._encoder = H264Encoder(settings.min_bitrate_bps, most_bps, most_bps)
        self._to = to
        self._copied = _Copied(original)
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._wh = (0, 0)
        self._pts = -1

    def put(self, frame: av.VideoFrame) -> None:
        """Adds a frame; one of another size than the first is scaled to it.

        Args:
            frame: yuv420p of even sides, with a pts in a 90 kHz clock, later than the one before.

        Raises:
            MediaError: it cannot be encoded, or not written.
        """
        try:
            if self._container is None:
                self._begin(frame)
            if (frame.width, frame.height) != self._wh:
                pts = frame.pts
                frame = frame.reformat(*self._wh)
                frame.pts, frame.time_base = pts, TIME_BASE
            frame.pts = self._pts = max(cast("int", frame.pts), self._pts + 1)
            for packet in self._encoder.encode(frame):
                packet.stream = cast("VideoStream", self._stream)
                cast("OutputContainer", self._container).mux_one(packet)
            self._copied.copy(cast("OutputContainer", self._container), self._pts / CLOCK_HZ)
        except FAILURES as error:
            raise _unwritten(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._encoder.close()
        try:
            if self._container is not None:
                if kind is None:
                    self._copied.copy(self._container, self._pts / CLOCK_HZ + 1.0)
                self._container.close()
        except FAILURES as problem:
            if kind is None:
                raise _unwritten(problem) from problem
        finally:
            self._copied.close()

    def _begin(self, frame: av.VideoFrame) -> None:
        self._wh = (frame.width, frame.height)
        self._container = av.open(str(self._to), "w", format="mp4", options={"movflags": "+faststart"})
        # Not add_stream: that opens an encoder of its own, whose headers would not be those of our packets.
        stream = self._container.add_mux_stream("h264", rate=NOMINAL_FPS, width=frame.width, height=frame.height)
        stream.time_base = TIME_BASE
        self._stream = cast("VideoStream", stream)
        self._copied.begin(self._container)


class _Copied:
    """The original's sound, packet by packet; silent where there is none that can be copied."""

    def __init__(self, original: Path) -> None:
        self._sound = open_sound(original, _COPIED)
        self._packets: Iterator[Packet[AudioStream]] = iter(())
        self._next: Packet[AudioStream] | None = None
        self._to: AudioStream | None = None

    def begin(self, container: OutputContainer) -> None:
        if self._sound is not None:
            self._to = container.add_stream_from_template(self._sound.stream)
            self._packets = self._sound.packets()
            self._next = next(self._packets, None)

    def copy(self, container: OutputContainer, until_s: float) -> None:
        """Writes what is due before that time, counted from the first picture."""
        while self._next is not None and self._sound is not None:
            packet = self._next
            tick_s = packet.time_base
            shift = round(self._sound.begins_s / tick_s)
            pts, dts = cast("int", packet.pts) - shift, cast("int", packet.dts) - shift
            if float(pts * tick_s) > until_s:
                return
            if min(pts, dts) >= 0:
                packet.pts, packet.dts, packet.stream = pts, dts, cast("AudioStream", self._to)
                container.mux_one(packet)
            self._next = next(self._packets, None)

    def close(self) -> None:
        if self._sound is not None:
            self._sound.close()


def _unwritten(error: BaseException) -> StreamDetectError:
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFullError("no room on the disk for the annotated video")
    return MediaError(f"the annotated video cannot be written: {words(error)}")


_QUALITY = 90
_STALE_S = 3600.0
"""Of nothing here: results come when they are due."""


def annotate(path: Path, to: Path, review_models: ReviewModels, rate_hz: float, hooks: Hooks | None = None) -> None:
    """Makes the annotated video, or picture, by the review_models's first model; bounded as an examination is.

    Args:
        path: of the file.
        to: what is written; its suffix says nothing.
        review_models: models and settings.
        rate_hz: samples a second, as of the review.
        hooks: what is asked and told on the way.

    Raises:
        MediaError: the file cannot be decoded, or a frame not encoded.
        ReviewCancelledError: somebody asked to stop; nothing is left behind.
        StorageError: it cannot be written there.
    """
    hooks = hooks or Hooks()
    settings = at_rate(review_models.settings, rate_hz)
    allowance = Allowance(hooks, settings.review.max_run_s)
    decoding = Decoding(settings.review.max_pixels, settings.review.threads, allowance.check)
    with closing(open_media(path, decoding)) as media, _whole(to) as part:
        look = _Look(review_models, settings, rate_hz)
        if media.facts.kind == "image":
            _picture(media, look, part)
        else:
            _video(path, media, look, part, (hooks, allowance))
    hooks.on_progress(1.0)


class _Look:
    """One model at a file, and its badge."""

    def __init__(self, review_models: ReviewModels, settings: Settings, rate_hz: float) -> None:
        model = review_models.models[0]
        self.settings = settings
        self.thresholds = model.judge.thresholds
        self.overlay = Overlay(self.thresholds, _STALE_S)
        self._look = SideBySide(review_models.detector(), (model.classifier(),), settings)
        self._sampler = Sampler(rate_hz)
        self._result: Result | None = None
        self._sequence = 0

    def at(self, shot: Shot) -> tuple[Result | None, bool]:
        """The newest result, and whether it is of this very shot."""
        if not self._sampler.wants(shot.time_s):
            return self._result, False
        (result,) = self._look.step(Frame(shot.rgb(), shot.time_s, shot.time_s))
        self._sequence += 1
        self._result = replace(result, sequence=self._sequence)
        return self._result, True


def _picture(media: Media, look: _Look, to: Path) -> None:
    for shot in media.shots():
        result, _ = look.at(shot)
        frame = copy_yuv420p(shot.upright())
        look.overlay.draw(frame, result and of_picture(result, look.thresholds), shot.time_s)
        to.write_bytes(encode_jpeg(to_rgb(frame), _QUALITY))


def _video(path: Path, media: Media, look: _Look, to: Path, bounds: tuple[Hooks, Allowance]) -> None:
    hooks, allowance = bounds
    shots = media.shots()
    with Film(to, path, look.settings.video) as film, ExitStack() as stack:
        if goes_ahead(media.facts, look.settings.review.threads):
            shots = stack.enter_context(closing(ahead(shots)))
        stack.callback(allowance.leave)
        for shot in shots:
            if shot.time_s > look.settings.review.max_duration_s or allowance.used_up:
                break
            result, sampled = look.at(shot)
            frame = copy_yuv420p(shot.upright())
            look.overlay.draw(frame, result, shot.time_s)
            film.put(frame)
            if sampled:
                hooks.on_progress(media.done_share)
                allowance.give_way()


@contextmanager
def _whole(to: Path) -> Iterator[Path]:
    """A path beside `to`, renamed to it in the end; nothing is left behind otherwise."""
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=to.parent, prefix=".", suffix=".part", delete=False) as file:
            part = Path(file.name)
        try:
            yield part
            part.chmod(0o644)
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        kind = DiskFullError if error.errno in {errno.ENOSPC, errno.EDQUOT} else StorageError
        raise kind(f"{to} cannot be written: {error.strerror}") from error
