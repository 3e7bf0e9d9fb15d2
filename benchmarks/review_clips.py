"""Clips of the reviews' benchmark: the ones beside the checkout, or a made one; a short one made hours long."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

SHARED = Path(__file__).resolve().parents[2] / "shared/data/clips"
NAMES = {"480p": "LivePortrait__driving_d9.mp4", "1080p": "icpr2020dfdc__dfdc_widuwuoiur.mp4"}
SIZES = {"480p": (640, 480), "1080p": (1920, 1080)}
_FPS = 30
_TICK = Fraction(1, 90_000)


def clip_of(size: str, folder: Path) -> Path:
    """A talking head of that size ("480p", "1080p"); the astronaut, swaying, where the shared clips are absent."""
    shared = SHARED / NAMES[size]
    return shared if shared.is_file() else coded(folder / f"{size}.mp4", swaying(SIZES[size], 10.0, _FPS), _FPS)


def swaying(wh: tuple[int, int], seconds: float, fps: int) -> Iterator[NDArray[np.uint8]]:
    """The face of skimage's astronaut, moving: RGB uint8 (h, w, 3)."""
    photo = np.asarray(skimage.data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    scale = wh[1] / 270
    for index in range(round(seconds * fps)):
        phase = index / fps
        turn = cv2.getRotationMatrix2D((222.0, 125.0), 4 * np.sin(phase), scale)
        turn[:, 2] += np.array((wh[0] / 2 - 222 + 6 * scale * np.sin(phase), wh[1] / 2 - 125))
        yield np.asarray(cv2.warpAffine(photo, turn, wh, borderMode=cv2.BORDER_REFLECT), np.uint8)


def coded(to: Path, images: Iterator[NDArray[np.uint8]], fps: int) -> Path:
    """A video of these pictures, as cameras' software makes them."""
    with av.open(str(to), "w") as container:
        stream = None
        for image in images:
            if stream is None:
                stream = container.add_stream("libx264", rate=fps, options={"preset": "veryfast", "crf": "23"})
                stream.height, stream.width, stream.pix_fmt = *image.shape[:2], "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        if stream is not None:
            container.mux(stream.encode())
    return to


def looped(clip: Path, to: Path, seconds: float) -> Path:
    """The clip over and over, so long: its packets are copied, nothing is coded."""
    with av.open(str(clip)) as source, av.open(str(to), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        packets = [
            (bytes(packet), round(packet.pts * stream.time_base / _TICK), round(packet.dts * stream.time_base / _TICK),
             packet.is_keyframe)
            for packet in source.demux(stream) if packet.pts is not None and packet.dts is not None and stream.time_base
        ]  # fmt: skip
        first = min(dts for _, _, dts, _ in packets)
        length = max(dts for _, _, dts, _ in packets) - first + round(1 / _FPS / _TICK)
        for turn in range(round(seconds / float(length * _TICK)) or 1):
            for data, pts, dts, keyframe in packets:
                packet = av.Packet(data)
                packet.pts, packet.dts, packet.time_base = (
                    pts - first + turn * length,
                    dts - first + turn * length,
                    _TICK,
                )
                packet.is_keyframe, packet.stream = keyframe, copy
                target.mux_one(packet)
    return to
