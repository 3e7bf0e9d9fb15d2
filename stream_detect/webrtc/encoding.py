"""Encodes the drawn frames of a camera into RTP payloads, once per codec for all of its viewers."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

import av
from aiortc.codecs.h264 import H264Encoder as H264Packetiser
from aiortc.codecs.vpx import Vp8Encoder, VpxPayloadDescriptor
from av.video.frame import PictureType

from stream_detect.errors import MediaError
from stream_detect.media.encoder import H264Encoder
from stream_detect.settings import VideoSettings
from stream_detect.webrtc.offer import Codec


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One encoded frame.

    Args:
        codec: codec of the payloads.
        payloads: payloads of RTP packets, at most 1300 bytes each.
        timestamp: 90 kHz ticks since the stream's first frame.
        keyframe: whether it is a keyframe.
    """

    codec: Codec
    payloads: tuple[bytes, ...]
    timestamp: int
    keyframe: bool


class Encoding(Protocol):
    """Encoder of one codec. Used on one thread; `follow` may be called from any thread."""

    def encode(self, frame: av.VideoFrame, *, keyframe: bool) -> EncodedFrame:
        """Encodes a frame; the first one is a keyframe.

        Args:
            frame: yuv420p of even width and height, with pts in 1 / 90000.
            keyframe: whether to make it a keyframe.

        Raises:
            MediaError: the encoder failed; the next frame is a keyframe.
        """
        ...

    def follow(self, bitrate_bps: int) -> None:
        """Sets the target bitrate from the next frame on, within the encoder's limits."""
        ...

    def close(self) -> None:
        """Frees the encoder."""
        ...


class H264Encoding:
    """H.264 by our own encoder, packetised by aiortc once for all viewers; an `Encoding`."""

    def __init__(self, video: VideoSettings) -> None:
        self._encoder = H264Encoder(video.min_bitrate_bps, video.start_bitrate_bps, video.max_bitrate_bps)
        self._packetiser = H264Packetiser()

    def encode(self, frame: av.VideoFrame, *, keyframe: bool) -> EncodedFrame:
        """See `Encoding`."""
        (packet,) = self._encoder.encode(frame, keyframe)
        payloads, timestamp = self._packetiser.pack(packet)
        return EncodedFrame(Codec.H264, tuple(payloads), timestamp, keyframe=packet.is_keyframe)

    def follow(self, bitrate_bps: int) -> None:
        """See `Encoding`."""
        self._encoder.target_bitrate_bps = bitrate_bps

    def close(self) -> None:
        """See `Encoding`."""
        self._encoder.close()


class Vp8Encoding:
    """VP8 by aiortc's encoder, once for all viewers that support nothing else; an `Encoding` with aiortc's limits."""

    def __init__(self, video: VideoSettings) -> None:
        self._encoder = Vp8Encoder()
        self.follow(video.start_bitrate_bps)

    def encode(self, frame: av.VideoFrame, *, keyframe: bool) -> EncodedFrame:
        """See `Encoding`."""
        frame.pict_type = PictureType.NONE  # another encoder may have requested a keyframe
        timestamp, time_base = cast("int", frame.pts), frame.time_base
        try:
            payloads, _ = self._encoder.encode(frame, keyframe)
        except (av.FFmpegError, ValueError) as error:
            self._encoder = Vp8Encoder()
            raise MediaError(f"libvpx refused a {frame.width}x{frame.height} frame: {error}") from error
        finally:
            frame.pts, frame.time_base = timestamp, time_base  # PyAV has converted them to libvpx's clock
        return EncodedFrame(Codec.VP8, tuple(payloads), timestamp, keyframe=_is_vp8_keyframe(payloads))

    def follow(self, bitrate_bps: int) -> None:
        """See `Encoding`."""
        self._encoder.target_bitrate = bitrate_bps

    def close(self) -> None:
        """See `Encoding`."""
        self._encoder.codec = None


def _is_vp8_keyframe(payloads: list[bytes]) -> bool:
    """The lowest bit of a VP8 frame is 0 in a keyframe (RFC 6386, 9.1)."""
    if not payloads:
        return False
    _, data = VpxPayloadDescriptor.parse(payloads[0])
    return not data[0] & 1


def new_encoding(codec: Codec, video: VideoSettings) -> Encoding:
    """Makes an encoder for a codec."""
    return H264Encoding(video) if codec is Codec.H264 else Vp8Encoding(video)


class KeyframeGate:
    """Grants keyframes at most every `interval_s`. A request in between is kept, not dropped.

    A peer with packet loss repeats its request for every broken frame, and a keyframe for each would cause more loss.
    `request` is thread-safe; `take` is called on one thread.

    Args:
        interval_s: minimum time between two grants.
        clock: returns monotonic seconds.
    """

    def __init__(self, interval_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._requested = False
        self._granted_s: float | None = None

    def request(self, *, at_once: bool = False) -> None:
        """Requests a keyframe; `at_once` does not wait for the end of the interval."""
        self._requested = True
        if at_once:
            self._granted_s = None

    def take(self) -> bool:
        """Whether a keyframe is due now; clears the request."""
        if not self._requested:
            return False
        now_s = self._clock()
        if self._granted_s is not None and now_s - self._granted_s < self._interval_s:
            return False
        self._requested = False
        self._granted_s = now_s
        return True
