"""Sizes of all that is drawn, from the size of the picture."""

from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import Self


class Form(Enum):
    """How much of a badge is shown, by the room there is."""

    FULL = auto()
    BAND = auto()
    HEADER = auto()
    ICON = auto()


@dataclass(frozen=True)
class Layout:
    """Sizes in pixels at one scale; scale 1 belongs to 640x480.

    Not slotted: each size is worked out once and kept in the instance, for they are asked for on every frame.
    """

    scale: float

    @classmethod
    def of(cls, wh: tuple[int, int]) -> Self:
        """For a picture of this size: words 12 px high in 320x240, 15 in 640x480, 29 in 1920x1080, in 1/16 steps."""
        return cls(round(max((min(wh) / 480) ** 0.8, 0.8) * 16) / 16)

    def px(self, length: float) -> int:
        """A length at this scale, 1 px at least."""
        return max(1, round(length * self.scale))

    def even(self, length: float) -> int:
        """A length at this scale, even, so that chroma lies under luma."""
        return max(2, 2 * round(length * self.scale / 2))

    @cached_property
    def font_px(self) -> int:
        """Size of the words."""
        return self.px(15)

    @cached_property
    def header_px(self) -> int:
        """Height of the header."""
        return self.even(24)

    def strip_px(self, form: Form) -> int:
        """Height of the strip below it: band and trace, the band alone, or none."""
        match form:
            case Form.FULL:
                return self.even(36)
            case Form.BAND:
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
        """Upper edge of the probability band, from the badge's."""
        return self.header_px + self.px(7)

    @cached_property
    def band_px(self) -> int:
        """Height of the probability band."""
        return self.px(5)

    @cached_property
    def trace_top_px(self) -> int:
        """Upper edge of the trace, from the badge's."""
        return self.band_top_px + self.band_px + self.px(5)

    @cached_property
    def trace_px(self) -> int:
        """Height of the trace."""
        return self.header_px + self.strip_px(Form.FULL) - self.trace_top_px - self.px(5)
