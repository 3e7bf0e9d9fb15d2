"""Lanes: a drawn picture enters, the RTP payloads of one codec leave, the same for everybody who watches."""

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
class Coded:
    """One picture as it travels.

    Args:
        codec: of the payloads.
        payloads: of one RTP packet each, at most 1300 bytes.
        timestamp: 90 kHz ticks since the stream's first picture.
        keyframe: it decodes by itself.
    """

    codec: Codec
    payloads: tuple[bytes, ...]
    timestamp: int
    keyframe: bool


class Lane(Protocol):
    """One codec's encoder. Used on one thread; `follow` may be called from any."""

    def encode(self, picture: av.VideoFrame, *, keyframe: bool) -> Coded:
        """The picture, coded; the first one is a keyframe.

        Args:
            picture: yuv420p of even sides, with pts in 1 / 90000.
            keyframe: make it one that decodes by itself.

        Raises:
            MediaError: the encoder refused it; the next one is a keyframe.
        """
        ...

    def follow(self, bitrate_bps: int) -> None:
        """Bitrate to keep to from the next picture on, within the lane's bounds."""
        ...

    def close(self) -> None:
        """Frees the encoder."""
        ...


class H264Lane:
    """H.264 by our own encoder, packetised by aiortc once for all viewers. As a `Lane`."""

    def __init__(self, video: VideoSettings) -> None:
        self._encoder = H264Encoder(video.min_bitrate_bps, video.start_bitrate_bps, video.max_bitrate_bps)
        self._packetiser = H264Packetiser()

    def encode(self, picture: av.VideoFrame, *, keyframe: bool) -> Coded:
        """As a `Lane`."""
        (packet,) = self._encoder.encode(picture, keyframe)
        payloads, timestamp = self._packetiser.pack(packet)
        return Coded(Codec.H264, tuple(payloads), timestamp, keyframe=packet.is_keyframe)

    def follow(self, bitrate_bps: int) -> None:
        """As a `Lane`."""
        self._encoder.target_bitrate_bps = bitrate_bps

    def close(self) -> None:
        """As a `Lane`."""
        self._encoder.close()


class Vp8Lane:
    """VP8 by aiortc's encoder, once for all viewers who take nothing else. As a `Lane`; its bounds are aiortc's."""

    def __init__(self, video: VideoSettings) -> None:
        self._encoder = Vp8Encoder()
        self.follow(video.start_bitrate_bps)

    def encode(self, picture: av.VideoFrame, *, keyframe: bool) -> Coded:
        """As a `Lane`."""
        picture.pict_type = PictureType.NONE  # another lane may have asked for a keyframe of its own
        timestamp, time_base = cast("int", picture.pts), picture.time_base
        try:
            payloads, _ = self._encoder.encode(picture, keyframe)
        except (av.FFmpegError, ValueError) as error:
            self._encoder = Vp8Encoder()
            raise MediaError(f"libvpx refused a {picture.width}x{picture.height} frame: {error}") from error
        finally:
            picture.pts, picture.time_base = timestamp, time_base  # PyAV has put them into libvpx' clock
        return Coded(Codec.VP8, tuple(payloads), timestamp, keyframe=_is_vp8_keyframe(payloads))

    def follow(self, bitrate_bps: int) -> None:
        """As a `Lane`."""
        self._encoder.target_bitrate = bitrate_bps

    def close(self) -> None:
        """As a `Lane`."""
        self._encoder.codec = None


def _is_vp8_keyframe(payloads: list[bytes]) -> bool:
    """The lowest bit of a VP8 frame is 0 in a keyframe (RFC 6386, 9.1)."""
    if not payloads:
        return False
    _, data = VpxPayloadDescriptor.parse(payloads[0])
    return not data[0] & 1


def lane_of(codec: Codec, video: VideoSettings) -> Lane:
    """A new lane of a codec."""
    return H264Lane(video) if codec is Codec.H264 else Vp8Lane(video)


class KeyframeGate:
    """Grants keyframes no more often than every `interval_s`. A request in between is kept, not dropped.

    A peer under loss repeats its request with every broken frame, and a keyframe for each would cause more loss.
    Requests may come from any thread; grants are taken on one.

    Args:
        interval_s: least time between two grants.
        clock: monotonic seconds.
    """

    def __init__(self, interval_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._requested = False
        self._granted_s: float | None = None

    def request(self) -> None:
        """The picture cannot be decoded without a keyframe."""
        self._requested = True

    def take(self) -> bool:
        """Whether a keyframe is due now; the request is then taken off."""
        if not self._requested:
            return False
        now_s = self._clock()
        if self._granted_s is not None and now_s - self._granted_s < self._interval_s:
            return False
        self._requested = False
        self._granted_s = now_s
        return True
