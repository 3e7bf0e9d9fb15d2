"""The parts of a large frame in which small faces are searched: squares of several sizes that overlap."""

import math
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from stream_detect.types import Face

LEAST_INPUT_PX = 16.0
"""A face of this width in the network's input is found: of 88 faces per size .59 at 12 px, .82 at 14, .86 at 16, 1 at
20."""

ENOUGH_PX = 54.0
"""If the whole frame shows a face of this width (at 640x480 it does), no parts are searched."""

LEAST_PX = 36.5
"""Parts get smaller until a face of this width is found. It cannot be judged, but it can be reported as too small."""

MAX_PARTS = 150
"""Parts per frame, .36 s on one core: enough for 4K. With more pixels, smaller faces are missed."""

_SHRINK = 0.6
"""Side of a part / side of the next larger one: a face that the larger one misses fills at most a sixth of the smaller.
"""


@dataclass(slots=True, eq=False)
class FramePart:
    """A square of the frame that is searched separately.

    Args:
        xyxy: in frame pixels, whole numbers.
        faces: those found in the last search, in frame pixels.
        age: samples since then; 0 for the current sample.
    """

    xyxy: tuple[int, int, int, int]
    faces: list[Face] = field(default_factory=list)
    age: int = 0

    @property
    def side(self) -> int:
        """Side in pixels; at the frame's edge the height may be less."""
        return self.xyxy[2] - self.xyxy[0]


def parts_of(wh: tuple[int, int], input_px: int) -> list[FramePart]:
    """The parts of a frame, largest first; none if the whole frame shows all faces that count.

    Parts of one size overlap by the largest face that the next larger size misses, so that each face is whole in one.

    Args:
        wh: width and height of the frame in pixels.
        input_px: side of the detector's input.
    """
    least = LEAST_INPUT_PX / input_px
    parts: list[FramePart] = []
    if max(wh) * least <= ENOUGH_PX:
        return parts
    larger, side = max(wh), min(*wh, round(_SHRINK * max(wh)))
    while larger * least > LEAST_PX:
        rows, columns = (_starts(length, side, min(1.1 * larger * least, side / 2)) for length in (wh[1], wh[0]))
        if len(parts) + len(rows) * len(columns) > MAX_PARTS:
            break
        parts += [FramePart((x, y, min(x + side, wh[0]), min(y + side, wh[1]))) for y, x in product(rows, columns)]
        larger, side = side, max(round(_SHRINK * side), 1)
    return parts


def _starts(length: int, side: int, overlap: float) -> list[int]:
    """Where the parts of one row begin, evenly spread over `length` and overlapping by at least `overlap`."""
    count = 1 + max(math.ceil((length - side) / max(side - overlap, 1.0)), 0)
    return [round(start) for start in np.linspace(0, max(length - side, 0), count).tolist()]
