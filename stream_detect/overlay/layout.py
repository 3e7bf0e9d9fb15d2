"""The layout: sizes and positions of everything that is drawn, by the size of the frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import Self

from stream_detect.types import Xyxy


class BadgeForm(Enum):
    """How much of a badge is shown, depending on the space."""

    FULL = auto()
    BAND = auto()
    HEADER = auto()
    ICON = auto()


@dataclass(frozen=True)
class Layout:
    """Sizes in pixels at one scale; scale 1 is that of 640x480.

    Not slotted: each size is computed once and cached in the instance, because it is used on every frame.
    """

    scale: float

    @classmethod
    def of(cls, wh: tuple[int, int]) -> Self:
        """The layout for a frame size: words 12 px high in 320x240, 15 in 640x480, 29 in 1920x1080, in 1/16 steps."""
        return cls(round(max((min(wh) / 480) ** 0.8, 0.8) * 16) / 16)

    def px(self, length: float) -> int:
        """A length at this scale, at least 1 px."""
        return max(1, round(length * self.scale))

    def even(self, length: float) -> int:
        """A length at this scale, even, so that chroma aligns with luma."""
        return max(2, 2 * round(length * self.scale / 2))

    @cached_property
    def font_px(self) -> int:
        """Font size."""
        return self.px(15)

    @cached_property
    def header_px(self) -> int:
        """Height of the header."""
        return self.even(24)

    def strip_px(self, form: BadgeForm) -> int:
        """Height of the strip below the header: band and trace, only the band, or none."""
        match form:
            case BadgeForm.FULL:
                return self.even(36)
            case BadgeForm.BAND:
                return self.even(18)
            case _:
                return 0

    @cached_property
    def pad_px(self) -> int:
        """Space inside a badge's edge."""
        return self.px(7)

    @cached_property
    def icon_px(self) -> int:
        """Side of the icon."""
        return self.px(15)

    @cached_property
    def band_top_px(self) -> int:
        """Upper edge of the probability band, from the top of the badge."""
        return self.header_px + self.px(7)

    @cached_property
    def band_px(self) -> int:
        """Height of the probability band."""
        return self.px(5)

    @cached_property
    def trace_top_px(self) -> int:
        """Upper edge of the trace, from the top of the badge."""
        return self.band_top_px + self.band_px + self.px(5)

    @cached_property
    def trace_px(self) -> int:
        """Height of the trace."""
        return self.header_px + self.strip_px(BadgeForm.FULL) - self.trace_top_px - self.px(5)


Wh = tuple[int, int]
"""Width and height in pixels."""

GAP_PX = 4
"""Between a face's box and its badge."""


@dataclass(frozen=True, slots=True)
class Place:
    """Position of a badge.

    Args:
        x: left edge in pixels, even.
        y: upper edge in pixels, even.
        side: index of the position around the face, 0 to 5.
        hides: whether it still covers another face's features.
    """

    x: int
    y: int
    side: int
    hides: bool = False


def features_of(box: Xyxy) -> Xyxy:
    """Where eyes, nose and mouth are in the box of a face."""
    left, top, right, bottom = box
    w, h = right - left, bottom - top
    return left + 0.1 * w, top + 0.2 * h, right - 0.1 * w, top + 0.9 * h


_FORBIDDEN = 1000.0
"""Cost of a pixel of another face, relative to one of the badge's own face: a badge must never cover another face."""


def place(  # noqa: PLR0913 - one geometry: the badge, its face, and all that is in the way
    badge: Wh, box: Xyxy, frame: Wh, taken: list[Xyxy], side: int = 0, *, others: Sequence[Xyxy] = ()
) -> Place:
    """Finds a position for a badge, completely inside the frame.

    Candidates, in order: above the box, below it, inside at its top, inside at its bottom, right of it, left of it. The
    first that covers neither the face's features nor a taken area is chosen, otherwise the one that covers least.

    Args:
        badge: size of the badge, at most that of the frame.
        box: box of the face; may extend beyond the frame or lie outside it.
        frame: size of the frame.
        taken: areas of the frame to keep free.
        side: tried first: the previous position, so that the badge does not jump.
        others: boxes of the other faces; their features take precedence over those of the badge's own face.
    """
    w, h = badge
    left, top, right, bottom = box
    obstacles = [features_of(box), *taken]
    forbidden = [features_of(other) for other in others]
    least, chosen = float("inf"), Place(0, 0, 0)
    places = (
        (left, top - h - GAP_PX),
        (left, bottom + GAP_PX),
        (left, top + GAP_PX),
        (left, bottom - h - GAP_PX),
        (right + GAP_PX, top),
        (left - w - GAP_PX, top),
    )
    for candidate in (side, *range(len(places))):
        x, y = places[candidate]
        corner = _inside(x, frame[0] - w), _inside(y, frame[1] - h)
        covered = sum(_overlap(corner, badge, obstacle) for obstacle in obstacles)
        covered += _FORBIDDEN * sum(_overlap(corner, badge, obstacle) for obstacle in forbidden)
        if covered < least:
            least, chosen = covered, Place(*corner, candidate, hides=covered >= _FORBIDDEN)
        if covered <= 0.0:
            break
    return chosen


def _inside(start: float, last: int) -> int:
    return int(min(max(start, 0), last)) & ~1


def _overlap(corner: tuple[int, int], wh: Wh, area: Xyxy) -> float:
    """Number of pixels of `area` under a rectangle."""
    w = min(corner[0] + wh[0], area[2]) - max(corner[0], area[0])
    h = min(corner[1] + wh[1], area[3]) - max(corner[1], area[1])
    return w * h if w > 0 and h > 0 else 0.0
