"""Scenes of the benchmark of cuts: people of the shared clips, switched, faded, and side by side in a call grid."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from stream_detect.analysis.detector import BlazeFace
from stream_detect.types import Image, Xyxy

CLIPS = Path(__file__).resolve().parents[2] / "shared/data/clips"
KEPT_PX = 640
KEPT_HZ = 10
SCENE_CHANGE = 0.5
"""Correlation of two neighbouring thumbnails below which a clip itself has a cut."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A frame of a clip.

    Args:
        image: RGB uint8 (h, w, 3), longer side of at most 640 px.
        box: of its face; None where it has none.
        cut: the clip itself cuts just before it, or its face comes back.
    """

    image: Image
    box: Xyxy | None
    cut: bool


def people(seconds: float) -> dict[str, list[Shot]]:
    """Each clip's first so many seconds, ten frames a second."""
    finder = BlazeFace("full", 0.6, 8)
    return {path.stem: list(shots(path, finder, seconds)) for path in sorted(CLIPS.glob("*.m*"))}


def shots(path: Path, finder: BlazeFace, seconds: float) -> Iterator[Shot]:
    """Frames of a clip as they are filmed."""
    before: Image | None = None
    seen = False
    for image in _sampled(path, seconds):
        faces = finder.detect(image)
        box = max((face.xyxy for face in faces), key=lambda each: each[2] - each[0], default=None)
        small = np.asarray(cv2.resize(image, (32, 18), interpolation=cv2.INTER_AREA), np.uint8)
        cut = before is not None and _alike(before, small) < SCENE_CHANGE
        yield Shot(image, box, cut or (box is not None and not seen))
        before, seen = small, box is not None


def lossy(images: Sequence[Image], every: int, drop: float, seed: int) -> list[Image | None]:
    """The images as a decoder shows them whose packets get lost; None where it shows none.

    Args:
        images: of one size.
        every: frames from one key frame to the next.
        drop: share of the packets that is lost.
        seed: of the losses.
    """
    h, w = (side & ~1 for side in images[0].shape[:2])
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = w, h, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.gop_size = Fraction(1, KEPT_HZ), Fraction(KEPT_HZ), every
    encoder.options = {"preset": "veryfast", "tune": "zerolatency", "x264-params": "scenecut=0:slices=6"}
    decoder = av.CodecContext.create("h264", "r")
    rng = np.random.default_rng(seed)
    shown: list[Image | None] = []
    for number, image in enumerate(images):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:h, :w]), format="rgb24")
        frame.pts = number
        decoded: list[Image] = []
        for packet in encoder.encode(frame):
            kept = _losing(bytes(packet), rng, drop if number else 0.0)
            try:
                decoded += [
                    np.asarray(one.to_ndarray(format="rgb24"), np.uint8) for one in decoder.decode(av.Packet(kept))
                ]
            except av.FFmpegError:
                continue
        shown.append(decoded[-1] if decoded else None)
    return shown


def _losing(data: bytes, rng: np.random.Generator, drop: float) -> bytes:
    """An access unit without some of its slices (RTP packets carry one each)."""
    units = data.split(b"\0\0\1")
    kept = [unit for unit in units[1:] if unit[0] & 0x1F not in {1, 5} or rng.random() >= drop]
    return units[0] + b"".join(b"\0\0\1" + unit for unit in kept)


def switched(before: Shot, after: Shot, offset: tuple[float, float], size: float) -> tuple[Image, Xyxy]:
    """The second person in the first one's place, as a call's active-speaker view shows it.

    Args:
        before: gives frame size and place.
        after: fills the frame.
        offset: of the second face, in widths of the first.
        size: of the second face, in sizes of the first.
    """
    if before.box is None or after.box is None:
        raise ValueError("expected two shots with a face")
    h, w = before.image.shape[:2]
    side, own = before.box[2] - before.box[0], after.box[2] - after.box[0]
    scale = size * side / own
    x, y = (_middle(before.box)[i] + offset[i] * side - scale * _middle(after.box)[i] for i in (0, 1))
    matrix = np.array(((scale, 0.0, x), (0.0, scale, y)))
    image = cv2.warpAffine(after.image, matrix, (w, h), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_CONSTANT)
    left, top, right, bottom = after.box
    return np.asarray(image, np.uint8), (scale * left + x, scale * top + y, scale * right + x, scale * bottom + y)


def grid(tiles: Sequence[Shot], wh: tuple[int, int], columns: int) -> tuple[Image, list[Xyxy]]:
    """A call's gallery: as many tiles as fit, each filled by a shot, its face in the middle; and the faces' boxes."""
    image = np.full((wh[1], wh[0], 3), (32, 33, 36), np.uint8)
    cell_w, cell_h = wh[0] // columns, wh[1] // columns
    tile_wh = cell_w - 8, cell_h - 8
    boxes = []
    for number, shot in enumerate(tiles):
        if shot.box is None:
            raise ValueError("expected shots with a face")
        h, w = shot.image.shape[:2]
        scale = max(tile_wh[0] / w, tile_wh[1] / h, 1e-6)
        matrix = np.array(((scale, 0.0, 0.0), (0.0, scale, 0.0)))
        for axis, middle in enumerate(_middle(shot.box)):
            room = tile_wh[axis] - scale * (w, h)[axis]
            matrix[axis, 2] = min(max(tile_wh[axis] / 2 - scale * middle, room), 0.0)
        tile = cv2.warpAffine(shot.image, matrix, tile_wh, flags=cv2.INTER_AREA)
        x, y = number % columns * cell_w + 4, number // columns * cell_h + 4
        image[y : y + tile_wh[1], x : x + tile_wh[0]] = tile
        left, top, right, bottom = shot.box
        dx, dy = x + matrix[0, 2], y + matrix[1, 2]
        boxes.append((scale * left + dx, scale * top + dy, scale * right + dx, scale * bottom + dy))
    return image, boxes


def _sampled(path: Path, seconds: float) -> Iterator[Image]:
    with av.open(path) as clip:
        stream = clip.streams.video[0]
        every = max(round(float(stream.average_rate or 25) / KEPT_HZ), 1)
        for frame in itertools.islice(clip.decode(stream), 0, round(seconds * KEPT_HZ) * every, every):
            scale = min(1.0, KEPT_PX / max(frame.width, frame.height))
            small = frame.reformat(round(frame.width * scale) & ~1, round(frame.height * scale) & ~1, "rgb24")
            yield np.asarray(small.to_ndarray(), np.uint8)


def _alike(one: Image, other: Image) -> float:
    flat = [image.astype(np.float64).ravel() - image.mean() for image in (one, other)]
    return float(flat[0] @ flat[1] / max(np.linalg.norm(flat[0]) * np.linalg.norm(flat[1]), 1e-9))


def _middle(box: Xyxy) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
