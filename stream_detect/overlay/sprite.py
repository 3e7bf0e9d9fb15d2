"""Sprites: small images with transparency, made once in RGB and blended into the planes of many frames."""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from stream_detect.media.planes import Plane, Planes
from stream_detect.types import Image, VerdictState

Mask = NDArray[np.uint8]
"""Coverage 0..255, (h, w)."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One plane of a sprite.

    Args:
        paint: values times opacity, (h, w) uint8.
        keep: 255 - opacity, the share of the frame that remains, (h, w) uint8.
    """

    paint: Plane
    keep: Mask

    def lay(self, plane: Plane, x: int, y: int) -> None:
        """Blends into `plane` with the upper left corner at (x, y), clipped to the plane."""
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + self.paint.shape[1], plane.shape[1]), min(y + self.paint.shape[0], plane.shape[0])
        if left >= right or top >= bottom:
            return
        below = plane[top:bottom, left:right]
        inside = np.s_[top - y : bottom - y, left - x : right - x]
        cv2.multiply(below, self.keep[inside], dst=below, scale=1 / 255)
        cv2.add(below, self.paint[inside], dst=below)

    def under(self, upper: "Layer", x: int, y: int) -> "Layer":
        """A copy with another layer on top, whose upper left corner is at (x, y), clipped to this one."""
        paint, keep = self.paint.copy(), self.keep.copy()
        upper.lay(paint, x, y)
        Layer(np.zeros_like(upper.keep), upper.keep).lay(keep, x, y)
        return Layer(paint, keep)

    def painted(self, value: int, coverage: Mask) -> "Layer":
        """A copy with a colour on top, where and as much as `coverage` (h, w) says."""
        keep = 255 - coverage
        paint = cv2.multiply(np.full_like(coverage, value), coverage, scale=1 / 255)
        return self.under(Layer(np.asarray(paint, np.uint8), keep), 0, 0)


@dataclass(frozen=True, slots=True)
class Sprite:
    """An image with transparency as yuv420p layers, of even width and height.

    Args:
        wh: size in luma pixels.
        layers: those of y, u and v.
    """

    wh: tuple[int, int]
    layers: tuple[Layer, Layer, Layer]

    @classmethod
    def of(cls, rgb: Image, opacity: Mask) -> Self:
        """Makes a sprite from an RGB image (h, w, 3) and its opacity (h, w), h and w even.

        Chroma is the mean of each 2x2 pixels weighted by their opacity, as if blended at full size.
        """
        h, w = opacity.shape
        share = opacity.astype(np.float32) / 255.0
        r, g, b = (rgb[..., channel].astype(np.float32) / 255.0 for channel in range(3))
        luma = 0.299 * r + 0.587 * g + 0.114 * b
        planes = (16 + 219 * luma, 128 + 112 / 0.886 * (b - luma), 128 + 112 / 0.701 * (r - luma))
        half = _halved(share)
        painted = np.maximum(half, np.float32(1e-6))
        blue, red = (_layer(np.divide(_halved(plane * share), painted), half) for plane in planes[1:])
        return cls((w, h), (_layer(planes[0], share), blue, red))

    def under(self, upper: "Sprite", x: int, y: int) -> "Sprite":
        """A copy with another sprite on top, whose upper left corner is at (x, y), both even."""
        luma, *chroma = zip(self.layers, upper.layers, strict=True)
        blue, red = (below.under(above, x // 2, y // 2) for below, above in chroma)
        return Sprite(self.wh, (luma[0].under(luma[1], x, y), blue, red))

    def painted(self, luma: int, coverage: Mask) -> "Sprite":
        """A copy with a luma on top, where and as much as `coverage` (h, w) says; the chroma stays."""
        below, blue, red = self.layers
        return Sprite(self.wh, (below.painted(luma, coverage), blue, red))

    def lay(self, planes: Planes, x: int, y: int) -> None:
        """Blends into a frame with the upper left corner at (x, y), both even."""
        luma, blue, red = self.layers
        luma.lay(planes.y, x, y)
        blue.lay(planes.u, x // 2, y // 2)
        red.lay(planes.v, x // 2, y // 2)


def _halved(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of each 2x2."""
    h, w = values.shape
    return np.asarray(cv2.resize(values, (w // 2, h // 2), interpolation=cv2.INTER_AREA), np.float32)


def _layer(values: NDArray[np.float32], share: NDArray[np.float32]) -> Layer:
    keep = np.rint(255.0 * (1.0 - share)).astype(np.uint8)
    return Layer(np.rint(values * share).astype(np.uint8), keep)


Rgb = tuple[int, int, int]
"""Red, green, blue, each 0..255."""

Yuv = tuple[int, int, int]
"""Luma 16..235, blue and red difference 16..240."""

BLUE: Rgb = (0x00, 0x72, 0xB2)
ORANGE: Rgb = (0xE6, 0x9F, 0x00)
VERMILION: Rgb = (0xD5, 0x5E, 0x00)
GREY: Rgb = (0x76, 0x76, 0x76)
WHITE: Rgb = (0xFF, 0xFF, 0xFF)
INK: Rgb = (0x10, 0x12, 0x14)

STATE_RGB: dict[VerdictState, Rgb] = {
    VerdictState.REAL: BLUE,
    VerdictState.UNCERTAIN: ORANGE,
    VerdictState.FAKE: VERMILION,
    VerdictState.GATHERING: GREY,
    VerdictState.NO_FACE: GREY,
}

STALE_RGB: Rgb = GREY
"""Background of stale or unavailable results; hatched with HATCH_RGB, so that it is not plain grey."""

HATCH_RGB: Rgb = (0x55, 0x55, 0x55)


def to_yuv(rgb: Rgb) -> Yuv:
    """Limited-range BT.601 values of an sRGB colour (ITU-R BT.601-7, 8 bits)."""
    r, g, b = (value / 255.0 for value in rgb)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return round(16 + 219 * y), round(128 + 112 * (b - y) / 0.886), round(128 + 112 * (r - y) / 0.701)


def text_on(ground: Rgb) -> Rgb:
    """White or ink, whichever is more readable on `ground`: ink only on bright orange (white would have 2.2 : 1)."""
    return INK if to_yuv(ground)[0] > 150 else WHITE


STATE_YUV: dict[VerdictState, Yuv] = {state: to_yuv(rgb) for state, rgb in STATE_RGB.items()}

STALE_YUV: Yuv = to_yuv(STALE_RGB)
