"""Encodes live video in H.264: Annex B with in-band SPS and PPS, one packet per frame, without delay.

x264 "ultrafast" plus its deblocking filter, in one thread: .6-1.0 ms per frame at 640x480. Deblocking costs .1 ms and
gains 1.0-2.3 dB at the same bit rate (measured on two talking heads at .4 to 1.5 Mbit/s): .9 Mbit/s with it looks like
1.5 Mbit/s without it, with less encoding and two thirds of the RTP packets.
"""

import math
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from stream_detect.errors import MediaError

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

    VideoPacket = Packet[VideoStream]

NOMINAL_FPS = 30
"""Frame rate that x264 assumes. It budgets bits per frame, so its bitrate is scaled by this rate and the measured one;
with timestamps instead (force-cfr=0) it delays by one frame (measured)."""

KEYFRAME_INTERVAL = 300
"""Frames between keyframes unless one is requested; a viewer who needs one requests it (PLI)."""

SLOWEST_FPS = 15
"""At this rate and above the highest bitrate is reached; below it frames do not get larger."""

PEAK_S = 0.1
"""Largest frame, as seconds of the highest bitrate: a scene cut or keyframe stays within a jitter buffer."""

MIN_QUANTISER = 26
"""Finer quantisers spend bits on nothing visible: 26 gives 42 dB of luma on a talking head at .50 Mbit/s, 24 one
decibel more at .68 (640x480, measured). So a simple scene takes less than its bitrate, and less time."""

ENOUGH_BPS_AT_VGA = 850_000
"""Bitrate at 640x480 above which no difference is visible. For other sizes it is scaled by the three-quarter power of
the number of pixels, because the detail of larger frames grows less than their size. Two lively talking heads lose 1.7
and 1.9 dB against their 1.3 and 1.4 Mbit/s without it (to 41.3 and 39.8 dB, measured), and a third of the packets."""


def enough_bps(width: int, height: int) -> int:
    """Highest useful bitrate of a video of this size in pixels: .85 Mbit/s at 640x480, 1.9 at 720p, 3.6 at 1080p."""
    return round(ENOUGH_BPS_AT_VGA * math.pow(width * height / (640 * 480), 0.75))


class H264Encoder:
    """Encoder of one stream. It opens at the first frame, and again when the size or colour tags change.

    Not safe to call from two threads at once, except that `target_bitrate_bps` may be set from any thread.

    Args:
        min_bitrate_bps: lowest target.
        start_bitrate_bps: target until another is set.
        max_bitrate_bps: highest target.

    Raises:
        MediaError: not 0 < min <= start <= max.
    """

    def __init__(self, min_bitrate_bps: int, start_bitrate_bps: int, max_bitrate_bps: int) -> None:
        if not 0 < min_bitrate_bps <= start_bitrate_bps <= max_bitrate_bps:
            raise MediaError(
                "expected 0 < min_bitrate_bps <= start_bitrate_bps <= max_bitrate_bps, "
                f"received {min_bitrate_bps}, {start_bitrate_bps}, {max_bitrate_bps}"
            )
        self._min_bps = min_bitrate_bps
        self._max_bps = max_bitrate_bps
        self._target_bps = start_bitrate_bps
        self._context: VideoCodecContext | None = None
        self._opened_for: tuple[object, ...] = ()
        self._last_time_s: float | None = None
        self._interval_s = 1.0 / NOMINAL_FPS
        self._closed = False

    @property
    def target_bitrate_bps(self) -> int:
        """Target bitrate in bits per second, clamped to the limits; applied at the next frame, without a keyframe."""
        return self._target_bps

    @target_bitrate_bps.setter
    def target_bitrate_bps(self, bitrate_bps: int) -> None:
        self._target_bps = min(max(bitrate_bps, self._min_bps), self._max_bps)

    def encode(self, frame: av.VideoFrame, keyframe: bool = False) -> "list[VideoPacket]":  # noqa: FBT001, FBT002
        """Encodes a frame as one packet with the frame's pts and time base.

        Args:
            frame: yuv420p of even width and height, with a pts (`copy_yuv420p` makes one); its picture type is
                overwritten, its planes only read.
            keyframe: whether to make it a keyframe.

        Raises:
            MediaError: the frame has another form, the encoder failed, or it is closed.
        """
        self._check(frame)
        self._measure_interval(frame)
        try:
            context = self._context_for(frame)
            self._apply_bitrate(context)
            frame.pict_type = PictureType.I if keyframe else PictureType.NONE
            packets = context.encode(frame)
        except (av.FFmpegError, ValueError) as error:
            self._context = None
            raise MediaError(f"x264 refused a {frame.width}x{frame.height} frame: {error}") from error
        for packet in packets:
            packet.pts = packet.dts = frame.pts
            packet.time_base = cast("Fraction", frame.time_base)
        return packets

    def close(self) -> None:
        """Frees x264's memory. Encoding afterwards is an error; closing again is allowed."""
        self._closed = True
        self._context = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, frame: av.VideoFrame) -> None:
        if self._closed:
            raise MediaError("the encoder is closed; make another one")
        if frame.format.name != "yuv420p" or frame.width % 2 or frame.height % 2 or not frame.width * frame.height:
            raise MediaError(
                "expected a yuv420p frame of even width and height, received "
                f"{frame.format.name} {frame.width}x{frame.height}; pass it through copy_yuv420p"
            )
        if frame.pts is None or frame.time_base is None:
            raise MediaError("expected a frame with pts and time base, received one without")

    def _context_for(self, frame: av.VideoFrame) -> VideoCodecContext:
        """The open encoder; a new one, which starts with a keyframe, if it does not fit the frame."""
        wanted = (frame.width, frame.height, frame.colorspace, frame.color_range, frame.time_base)
        if self._context is None or self._opened_for != wanted:
            self._context = self._open(frame)
            self._opened_for = wanted
        return self._context

    def _open(self, frame: av.VideoFrame) -> VideoCodecContext:
        context = av.CodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = frame.width, frame.height, "yuv420p"
        context.colorspace, context.color_range = frame.colorspace, frame.color_range
        context.framerate, context.time_base = Fraction(NOMINAL_FPS), cast("Fraction", frame.time_base)
        context.gop_size = KEYFRAME_INTERVAL
        context.max_b_frames = 0
        context.thread_count = 1
        context.qmin = MIN_QUANTISER
        # x264 accepts a new bitrate while running only if it was opened with a constant bitrate (bit rate = maxrate).
        context.bit_rate = self._highest_at_nominal_fps
        context.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "profile": "baseline",
            "maxrate": str(self._highest_at_nominal_fps),
            "bufsize": str(round(self._max_bps * PEAK_S)),
            "x264-params": "repeat-headers=1:annexb=1:scenecut=0:sliced-threads=0:no-deblock=0:deblock=0,0",
        }
        context.open()
        return context

    @property
    def _highest_at_nominal_fps(self) -> int:
        return self._max_bps * NOMINAL_FPS // SLOWEST_FPS

    def _apply_bitrate(self, context: VideoCodecContext) -> None:
        """Sets x264's bitrate; a change below 2 % (jitter of the timestamps) is not worth a reset of the encoder."""
        target_bps = min(self._target_bps, max(enough_bps(context.width, context.height), self._min_bps))
        wanted_bps = min(round(target_bps * NOMINAL_FPS * self._interval_s), self._highest_at_nominal_fps)
        if abs(wanted_bps - (context.bit_rate or 0)) > 0.02 * wanted_bps:
            context.bit_rate = wanted_bps

    def _measure_interval(self, frame: av.VideoFrame) -> None:
        """Tracks the stream's frame interval; jumps (a pause, a timestamp that wrapped) do not count."""
        time_s = float(cast("int", frame.pts) * cast("Fraction", frame.time_base))
        if self._last_time_s is not None and 1 / 240 < (elapsed_s := time_s - self._last_time_s) < 1.0:
            self._interval_s += 0.1 * (elapsed_s - self._interval_s)
        self._last_time_s = time_s
