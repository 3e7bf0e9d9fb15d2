"""A crop as a video call leaves it: a crop enters, what a real encoder and decoder make of it leaves, in about 5 ms.

For training, where every second face may take this way. Three frames of the crop alone are sent: enough for a first
frame, predicted ones after it, and their artefacts. In so short a time no encoder reaches the quality that it settles
on, so it is given more of the bitrate than the crop's share of the picture. The factors were set so that the PSNR is
that of thirty frames of 640 x 480 at the same bitrate (measured on one face: H.264 27, 31, 36 dB against 28, 31, 35 at
150, 300, 800 kbit/s; VP8 32, 35, 38 against 32, 35, 37).
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext

from stream_detect.errors import MediaError
from stream_detect.types import Image

Codec = Literal["h264", "vp8"]

_CALL_PIXELS = 640 * 480
_RATE_HZ = 30
_FRAMES = 3
_OPTIONS = {
    "h264": {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"},
    # As WebRTC sets it: real time, speed 6 of a laptop, no look ahead.
    "vp8": {"deadline": "realtime", "cpu-used": "-6", "lag-in-frames": "0", "error-resilient": "1"},
}
_FACTORS = {"h264": 3.0, "vp8": 0.9}


@dataclass(frozen=True, slots=True)
class Sent:
    """How a crop is sent.

    Args:
        codec: that compresses it.
        kbps: kbit/s that a picture of 640 x 480 would be given.
    """

    codec: Codec
    kbps: float


def draw_sent(rng: np.random.Generator) -> Sent:
    """A codec and the bitrate of a call, 100 to 1,500 kbit/s, lower ones more often."""
    codec: Codec = "h264" if rng.random() < 0.5 else "vp8"
    return Sent(codec, float(np.exp(rng.uniform(np.log(100), np.log(1500)))))


def arrived(image: Image, sent: Sent) -> Image:
    """What arrives of a crop, of the same size.

    Args:
        image: RGB uint8 (h, w, 3).
        sent: drawn once for both faces of a pair.

    Raises:
        MediaError: nothing arrives.
    """
    h, w = image.shape[:2]
    even = cv2.copyMakeBorder(image, 0, h % 2, 0, w % 2, cv2.BORDER_REPLICATE)
    wh = (w + w % 2, h + h % 2)
    rate = int(1000 * sent.kbps * _FACTORS[sent.codec] * wh[0] * wh[1] / _CALL_PIXELS)
    encoder, decoder = open_encoder(sent.codec, wh, _RATE_HZ, rate), open_decoder(sent.codec)
    frames: list[av.VideoFrame] = []
    for number in range(_FRAMES):
        # It comes to rest in its place: a picture that never moved would leave the encoder nothing to predict.
        shifted = np.roll(np.asarray(even, np.uint8), _FRAMES - 1 - number, axis=1)
        frame = av.VideoFrame.from_ndarray(shifted, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, _RATE_HZ)
        for packet in encoder.encode(frame):
            frames += decoder.decode(packet)
    for packet in encoder.encode(None):
        frames += decoder.decode(packet)
    frames += decoder.decode(None)
    if not frames:
        raise MediaError(f"expected a picture by {sent.codec} at {sent.kbps:.0f} kbit/s, none arrived")
    return np.ascontiguousarray(frames[-1].to_ndarray(format="rgb24")[:h, :w])


def open_encoder(codec: Codec, wh: tuple[int, int], rate_hz: int, bitrate_bps: int) -> VideoCodecContext:
    """An encoder for yuv420p as a call has it: no look ahead, the bitrate held by a buffer of half a second.

    Args:
        codec: that compresses.
        wh: width and height in pixels, even numbers.
        rate_hz: frames a second, and the unit of their pts.
        bitrate_bps: that it is given.
    """
    encoder = av.CodecContext.create("libx264" if codec == "h264" else "libvpx", "w")
    encoder.width, encoder.height = wh
    encoder.pix_fmt = "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, rate_hz), Fraction(rate_hz)
    encoder.thread_count = 1
    encoder.gop_size = 10 * rate_hz
    encoder.bit_rate = bitrate_bps
    encoder.options = {**_OPTIONS[codec], "maxrate": str(bitrate_bps), "bufsize": str(bitrate_bps // 2)}
    return encoder


def open_decoder(codec: Codec) -> VideoCodecContext:
    """What decodes it, on one thread."""
    decoder = av.CodecContext.create("h264" if codec == "h264" else "vp8", "r")
    decoder.thread_count = 1
    return decoder
