"""Makes Motion-JPEG files of pictures for Chromium's fake webcam (--use-file-for-fake-video-capture)."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""RGB (480, 640, 3)."""

WH = (640, 480)
RATE_HZ = 30


def write(file: Path, pictures: Iterable[Picture]) -> None:
    """Write a file that Chromium plays over and over."""
    with av.open(str(file), "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=RATE_HZ)
        stream.width, stream.height = WH
        stream.pix_fmt = "yuvj420p"  # in any other format the picture is green
        stream.options = {"qmin": "3", "qmax": "3"}
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuvj420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def of_clip(clip: Path, length_s: float) -> Iterator[Picture]:
    """The first seconds of a clip, letterboxed, at the webcam's rate."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        scale = min(WH[0] / stream.width, WH[1] / stream.height)
        w, h = round(stream.width * scale / 2) * 2, round(stream.height * scale / 2) * 2
        left, top = (WH[0] - w) // 2, (WH[1] - h) // 2
        shown = 0
        for frame in container.decode(stream):
            canvas = np.zeros((WH[1], WH[0], 3), np.uint8)
            canvas[top : top + h, left : left + w] = frame.reformat(width=w, height=h, format="rgb24").to_ndarray()
            while shown <= (frame.time or 0.0) * RATE_HZ and shown < length_s * RATE_HZ:
                yield canvas
                shown += 1


def astronaut(length_s: float, periods_s: tuple[float, ...] = (2.0,)) -> Iterator[Picture]:
    """The public-domain astronaut, gently moving; with periods of no common multiple the picture does not repeat."""
    return _moving((50.0, 0.0, 400.0, 300.0), length_s, periods_s)


def faceless(length_s: float) -> Iterator[Picture]:
    """A moving corner of the same photo in which nobody is."""
    return _moving((10.0, 385.0, 160.0, 120.0), length_s)


def _moving(
    view: tuple[float, float, float, float], length_s: float, periods_s: tuple[float, ...] = (2.0,)
) -> Iterator[Picture]:
    """A view (left, top, width, height in pixels) of the photo that sways sideways, once in each of the periods."""
    photo = np.asarray(skimage.data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    left, top, width, height = view
    for number in range(round(length_s * RATE_HZ)):
        sway = 0.02 * width * sum(np.sin(2 * np.pi * number / RATE_HZ / period_s) for period_s in periods_s)
        placed = np.array([[WH[0] / width, 0, 0], [0, WH[1] / height, 0]])
        placed[:, 2] = -placed[:, :2] @ (left + sway, top)
        yield np.asarray(cv2.warpAffine(photo, placed, WH, flags=cv2.INTER_CUBIC), np.uint8)
