"""Colours of the burnt-in badge, the page's too (UI.md): Okabe and Ito's, told apart by all kinds of colour sight.

Each is given as sRGB and as the 8-bit limited-range BT.601 values that go into a yuv420p picture.
"""

from stream_detect.types import VerdictState

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
"""Ground of what is stale or unavailable; hatched with HATCH_RGB, so that it is no plain grey."""

HATCH_RGB: Rgb = (0x55, 0x55, 0x55)


def to_yuv(rgb: Rgb) -> Yuv:
    """Limited-range BT.601 values of an sRGB colour (ITU-R BT.601-7, 8 bits)."""
    r, g, b = (value / 255.0 for value in rgb)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return round(16 + 219 * y), round(128 + 112 * (b - y) / 0.886), round(128 + 112 * (r - y) / 0.701)


def text_on(ground: Rgb) -> Rgb:
    """White or ink, whichever reads better on `ground`: ink on the bright orange only (white would have 2.2 : 1)."""
    return INK if to_yuv(ground)[0] > 150 else WHITE


STATE_YUV: dict[VerdictState, Yuv] = {state: to_yuv(rgb) for state, rgb in STATE_RGB.items()}

STALE_YUV: Yuv = to_yuv(STALE_RGB)
