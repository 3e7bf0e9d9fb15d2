"""The picture that every server under test gets: one face, 640x480 at 30 fps, with a frame counter drawn in it.

A clip of a talking head (without one, the public-domain astronaut, gently moving) is encoded once to H.264 or VP8 at
about 1 Mbit/s with a keyframe a second, as pictures that a peer sends over and over without encoding anything.

The counter is a column of 13 squares in the lower left corner (beside the picture, when the clip is narrower than 4:3),
white for 1 and black for 0: ten bits of the picture's index in the clip, lowest first, and three of the index modulo 7,
which reveal a misread column.
"""

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

from stream_detect.types import Image

Codec = Literal["h264", "vp8"]
Plane = NDArray[np.uint8]

WIDTH_PX, HEIGHT_PX = 640, 480
RATE_HZ = 30
CLOCK_HZ = 90_000
TICKS = CLOCK_HZ // RATE_HZ
"""Of the 90 kHz clock, from one picture to the next."""

DEFAULT_CLIP = Path(__file__).resolve().parents[2] / "shared/data/clips/LivePortrait__driving_d9.mp4"
BITRATE_BPS = 1_000_000
INDEX_BITS, CHECK_BITS, CHECK_MODULUS = 10, 3, 7
MAX_PICTURES = 1 << INDEX_BITS
SQUARE_PX = 24
BLACK, WHITE, GREY = 16, 235, 128

# Peers answer no keyframe request (aiortc ignores them for ready-made packets): a keyframe comes every second unasked.
X264_OPTIONS = {
    "preset": "veryfast",
    "profile": "baseline",
    "tune": "zerolatency",
    "x264-params": "keyint=30:scenecut=0:threads=1",
}
VPX_OPTIONS = {"deadline": "realtime", "cpu-used": "-6", "lag-in-frames": "0", "auto-alt-ref": "0"}


def encode_clip(codec: Codec, source: Path | None) -> tuple[bytes, ...]:
    """The numbered clip as encoded pictures, one item each; the first and every thirtieth is a keyframe.

    Args:
        codec: what the peer will offer; H.264 comes as Annex B with its parameter sets before each keyframe.
        source: clip to take the pictures from; None, or a file that is not there, for the astronaut.
    """
    pictures = _decoded(source) if source is not None and source.is_file() else _astronaut()
    encoder = av.CodecContext.create("libx264" if codec == "h264" else "libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
    encoder.bit_rate, encoder.gop_size, encoder.thread_count = BITRATE_BPS, RATE_HZ, 1
    encoder.framerate, encoder.time_base = Fraction(RATE_HZ), Fraction(1, RATE_HZ)
    encoder.options = X264_OPTIONS if codec == "h264" else VPX_OPTIONS
    numbered = (
        _video_frame(_numbered(_letterboxed(picture), index), index)
        for index, picture in enumerate(islice(pictures, MAX_PICTURES))
    )
    return tuple(bytes(packet) for frame in chain(numbered, [None]) for packet in encoder.encode(frame))


def save_clip(path: Path, pictures: tuple[bytes, ...]) -> None:
    """Write encoded pictures where the peers' processes can load them."""
    sizes = np.array([len(picture) for picture in pictures], np.int64)
    np.savez(path, data=np.frombuffer(b"".join(pictures), np.uint8), ends=np.cumsum(sizes))


def load_clip(path: Path) -> tuple[bytes, ...]:
    """Read what `save_clip` wrote."""
    with np.load(path) as file:
        data, ends = file["data"].tobytes(), [0, *file["ends"].tolist()]
    return tuple(data[start:end] for start, end in pairwise(ends))


def read_counter(luma: Plane) -> int | None:
    """Index of a picture in the clip, read from its counter.

    Args:
        luma: Y plane, uint8 (480, 640).

    Returns:
        The index, or None where the column cannot be read.
    """
    bits = [int(luma[_square(bit)].mean() > GREY) for bit in range(INDEX_BITS + CHECK_BITS)]
    value = sum(bit << place for place, bit in enumerate(bits))
    index, check = value & (MAX_PICTURES - 1), value >> INDEX_BITS
    return index if check == index % CHECK_MODULUS else None


def _square(bit: int, border_px: int = 6) -> tuple[slice, slice]:
    """Where a bit's square lies, less a border that compression may soften."""
    top = HEIGHT_PX - (bit + 1) * SQUARE_PX
    return slice(top + border_px, top + SQUARE_PX - border_px), slice(8 + border_px, 8 + SQUARE_PX - border_px)


def _numbered(picture: Image, index: int) -> Plane:
    """YUV 4:2:0 planes, uint8 (720, 640), of an RGB picture (480, 640, 3) with the counter drawn in."""
    planes = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420), np.uint8)
    value = index | (index % CHECK_MODULUS) << INDEX_BITS
    for bit in range(INDEX_BITS + CHECK_BITS):
        planes[_square(bit, border_px=0)] = WHITE if value >> bit & 1 else BLACK
    return planes


def _video_frame(planes: Plane, index: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    frame.pts = index
    return frame


def _letterboxed(picture: Image) -> Image:
    """Scaled into 640x480 with black bars, RGB."""
    height, width = picture.shape[:2]
    scale = min(WIDTH_PX / width, HEIGHT_PX / height)
    scaled = cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    boxed = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    top, left = (HEIGHT_PX - scaled.shape[0]) // 2, (WIDTH_PX - scaled.shape[1]) // 2
    boxed[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
    return boxed


def _decoded(source: Path) -> Iterator[Image]:
    with av.open(source) as container:
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def _astronaut(seconds: int = 12) -> Iterator[Image]:
    """The face of skimage's astronaut at a webcam's distance, swaying and nodding; ends as it begins."""
    photo = np.asarray(skimage.data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    face_xy = (222.0, 125.0)
    for index in range(seconds * RATE_HZ):
        phase = 2 * math.pi * index / (4 * RATE_HZ)
        turn = cv2.getRotationMatrix2D(face_xy, 4 * math.sin(phase), 2.2 + 0.1 * math.sin(phase / 3))
        turn[0, 2] += WIDTH_PX / 2 - face_xy[0] + 12 * math.sin(phase)
        turn[1, 2] += HEIGHT_PX / 2 - face_xy[1] + 8 * math.cos(phase)
        yield np.asarray(cv2.warpAffine(photo, turn, (WIDTH_PX, HEIGHT_PX), borderMode=cv2.BORDER_REFLECT), np.uint8)
