"""Degrades a face crop as a video call does, by a real encoder and decoder, in about 5 ms.

For training, where it may be applied to every second face. Three frames of the crop are sent: enough for a first frame,
predicted frames after it, and their artefacts. In so short a time no encoder reaches its steady quality, so it gets
more of the bit rate than the crop's share of the frame. The factors were set so that the PSNR is
that of thirty frames of 640 x 480 at the same bitrate (measured on one face: H.264 27, 31, 36 dB against 28, 31, 35 at
150, 300, 800 kbit/s; VP8 32, 35, 38 against 32, 35, 37).
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext

from stream_detect.errors import MediaError
from stream_detect.types import Frame, Image

Codec = Literal["h264", "vp8"]

_CALL_PIXELS = 640 * 480
_RATE_HZ = 30
_FRAMES = 3
_OPTIONS = {
    "h264": {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"},
    # As in WebRTC: real time, speed 6 of a laptop, no look-ahead.
    "vp8": {"deadline": "realtime", "cpu-used": "-6", "lag-in-frames": "0", "error-resilient": "1"},
}
_FACTORS = {"h264": 3.0, "vp8": 0.9}


@dataclass(frozen=True, slots=True)
class Sent:
    """Codec and bitrate for a crop.

    Args:
        codec: the codec.
        kbps: bitrate in kbit/s for a video of 640 x 480.
    """

    codec: Codec
    kbps: float


def draw_sent(rng: np.random.Generator) -> Sent:
    """Draws a codec and the bitrate of a call, 100 to 1,500 kbit/s, lower ones more often."""
    codec: Codec = "h264" if rng.random() < 0.5 else "vp8"
    return Sent(codec, float(np.exp(rng.uniform(np.log(100), np.log(1500)))))


def arrived(image: Image, sent: Sent) -> Image:
    """Encodes and decodes a crop; returns it in the same size.

    Args:
        image: RGB uint8 (h, w, 3).
        sent: codec and bitrate, drawn once for both faces of a pair.

    Raises:
        MediaError: no frame was decoded.
    """
    h, w = image.shape[:2]
    even = cv2.copyMakeBorder(image, 0, h % 2, 0, w % 2, cv2.BORDER_REPLICATE)
    wh = (w + w % 2, h + h % 2)
    rate = int(1000 * sent.kbps * _FACTORS[sent.codec] * wh[0] * wh[1] / _CALL_PIXELS)
    encoder, decoder = open_encoder(sent.codec, wh, _RATE_HZ, rate), open_decoder(sent.codec)
    frames: list[av.VideoFrame] = []
    for number in range(_FRAMES):
        # It comes to rest at its position: for a picture that never moved the encoder would have nothing to predict.
        shifted = np.roll(np.asarray(even, np.uint8), _FRAMES - 1 - number, axis=1)
        frame = av.VideoFrame.from_ndarray(shifted, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, _RATE_HZ)
        for packet in encoder.encode(frame):
            frames += decoder.decode(packet)
    for packet in encoder.encode(None):
        frames += decoder.decode(packet)
    frames += decoder.decode(None)
    if not frames:
        raise MediaError(f"expected a frame in {sent.codec} at {sent.kbps:.0f} kbit/s, received none")
    return np.ascontiguousarray(frames[-1].to_ndarray(format="rgb24")[:h, :w])


def open_encoder(codec: Codec, wh: tuple[int, int], rate_hz: int, bitrate_bps: int) -> VideoCodecContext:
    """Opens an encoder for yuv420p as in a call: no look-ahead, bitrate enforced by a buffer of half a second.

    Args:
        codec: the codec.
        wh: width and height in pixels, even numbers.
        rate_hz: frames per second, and the unit of their pts.
        bitrate_bps: its bitrate.
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
    """Opens the decoder, with one thread."""
    decoder = av.CodecContext.create("h264" if codec == "h264" else "vp8", "r")
    decoder.thread_count = 1
    return decoder


CALL_WH = (640, 480)

_ROUNDTRIP_FRAMES = 30
_DRIFT_PX = 4.0
"""How far the picture moves from its position, along a slow ellipse; at most two pixels per frame."""
_NOISE = 2.0
"""Standard deviation of the camera noise, of 255: a webcam in a lit room."""


@dataclass(frozen=True, slots=True)
class VideoCall:
    """Codec and bitrate of a call.

    Args:
        codec: the codec.
        bitrate_bps: its bitrate.
    """

    codec: Codec
    bitrate_bps: int


def in_a_call(image: Image, call: VideoCall, rng: np.random.Generator) -> Image:
    """Sends a picture through a call; returns it in the same size unless it is larger than the call.

    Args:
        image: RGB uint8 (h, w, 3); one larger than 640 x 480 is scaled down to fit, as a camera would see it.
        call: codec and bitrate.
        rng: draws the noise.

    Raises:
        MediaError: no frame was decoded.
    """
    fitted = _fit(image)
    canvas, left, top = _surrounded(fitted)
    h, w = fitted.shape[:2]
    return np.ascontiguousarray(_last(canvas, call, rng)[top : top + h, left : left + w])


def video_in_a_call(stream: Iterable[Frame], call: VideoCall) -> Iterator[Frame]:
    """Sends a video through a call; yields the decoded frames with their times.

    Args:
        stream: frames of one size; larger ones are scaled down to fit into 640 x 480.
        call: codec and bitrate.
    """
    encoder: VideoCodecContext | None = None
    decoder = open_decoder(call.codec)
    sent: dict[int, Frame] = {}
    ahead = iter(stream)
    begun = list(itertools.islice(ahead, 2))
    for number, frame in enumerate(itertools.chain(begun, ahead)):
        image = _even(_fit(frame.image))
        if encoder is None:
            interval_s = begun[-1].time_s - begun[0].time_s
            rate_hz = round(1 / interval_s) if interval_s > 0 else _RATE_HZ
            encoder = open_encoder(call.codec, (image.shape[1], image.shape[0]), max(rate_hz, 1), call.bitrate_bps)
        sent[number] = frame
        picture = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
        picture.pts = number
        for packet in encoder.encode(picture):
            yield from _arrived(decoder.decode(packet), sent)
    for packet in encoder.encode(None) if encoder else ():
        yield from _arrived(decoder.decode(packet), sent)
    yield from _arrived(decoder.decode(None), sent) if encoder else ()


def _arrived(pictures: list[av.VideoFrame], sent: dict[int, Frame]) -> Iterator[Frame]:
    """Decoded pictures as frames, each with the time of the oldest one not decoded yet: calls do not reorder."""
    for picture in pictures:
        frame = sent.pop(min(sent))
        yield replace(frame, image=np.asarray(picture.to_ndarray(format="rgb24"), np.uint8))


def _even(image: Image) -> Image:
    """The image without its last column or row if there is an odd number of them."""
    return np.ascontiguousarray(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2])


def _fit(image: Image) -> Image:
    h, w = image.shape[:2]
    scale = min(CALL_WH[0] / w, CALL_WH[1] / h)
    if scale >= 1:
        return image
    wh = (max(round(w * scale), 1), max(round(h * scale), 1))
    return np.asarray(cv2.resize(image, wh, interpolation=cv2.INTER_AREA), np.uint8)


def _surrounded(image: Image) -> tuple[Image, int, int]:
    """The picture in the middle of the call's frame, surrounded by its own blurred enlargement; and its position."""
    h, w = image.shape[:2]
    canvas = cv2.GaussianBlur(cv2.resize(image, CALL_WH, interpolation=cv2.INTER_LINEAR), (0, 0), 12)
    left, top = (CALL_WH[0] - w) // 2, (CALL_WH[1] - h) // 2
    canvas[top : top + h, left : left + w] = image
    return np.asarray(canvas, np.uint8), left, top


def _moving(canvas: Image, rng: np.random.Generator) -> Iterator[av.VideoFrame]:
    """Frames that end with the canvas at its position, with noise in the brightness."""
    w, h = CALL_WH
    planes = np.asarray(cv2.cvtColor(canvas, cv2.COLOR_RGB2YUV_I420), np.uint8)
    luma, chroma = planes[:h], planes[h:].reshape(2, h // 2, w // 2)
    # Noise is expensive to draw: one field, shifted and mirrored at random, is new enough for every frame.
    noise = (rng.standard_normal((h, w), np.float32) * _NOISE).round().astype(np.int16)
    for left in range(_ROUNDTRIP_FRAMES - 1, -1, -1):
        angle = math.tau * left / _ROUNDTRIP_FRAMES
        dx, dy = _DRIFT_PX * math.sin(angle), _DRIFT_PX / 2 * (1 - math.cos(angle))
        fresh = np.roll(noise, tuple(rng.integers(0, (h, w)).tolist()), (0, 1)) * np.int16(rng.choice((-1, 1)))
        frame = np.empty_like(planes)
        frame[:h] = cv2.add(_shifted(luma, dx, dy), fresh, dtype=cv2.CV_8U)
        frame[h:] = np.stack([_shifted(plane, dx / 2, dy / 2) for plane in chroma]).reshape(-1, w)
        yield av.VideoFrame.from_ndarray(frame, format="yuv420p")


def _shifted(plane: cv2.typing.MatLike, dx: float, dy: float) -> cv2.typing.MatLike:
    move = np.array(((1, 0, dx), (0, 1, dy)), np.float64)
    wh = (plane.shape[1], plane.shape[0])
    return cv2.warpAffine(plane, move, wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _last(canvas: Image, call: VideoCall, rng: np.random.Generator) -> Image:
    encoder, decoder = open_encoder(call.codec, CALL_WH, _RATE_HZ, call.bitrate_bps), open_decoder(call.codec)
    arrived: list[av.VideoFrame] = []
    for i, frame in enumerate(_moving(canvas, rng)):
        frame.pts = i
        for packet in encoder.encode(frame):
            arrived += decoder.decode(packet)
        del arrived[:-1]
    for packet in encoder.encode(None):
        arrived += decoder.decode(packet)
    arrived += decoder.decode(None)
    if not arrived:
        raise MediaError(f"expected a frame in {call.codec} at {call.bitrate_bps} bit/s, received none")
    return np.asarray(arrived[-1].to_ndarray(format="rgb24"), np.uint8)
