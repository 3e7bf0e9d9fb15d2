"""Converts frames to what players show: deinterlaced, upright, with square pixels, in standard dynamic range."""

import math
import struct
from collections.abc import Iterable
from fractions import Fraction
from typing import cast

from av import VideoFrame
from av.error import BlockingIOError as NeedsMoreError
from av.error import EOFError as DrainedError
from av.filter import Graph
from av.sidedata.sidedata import SideDataContainer

Filter = tuple[str, str | None]
"""One of FFmpeg's filters: its name and its arguments."""

DEINTERLACE: Filter = ("bwdif", "mode=send_frame:deint=interlaced")
"""Bob Weaver: each missing row from its neighbours above, below, before and after; one output frame per input frame."""

LEAST_PX = 16
"""Least side of a frame that is deinterlaced: the filter fails at planes of less than 3 columns or 4 rows."""

MAX_PIXEL_ASPECT = 4
"""Broadcast and disc formats stay within 2.2:1; a larger ratio is a mistake, or malicious."""

STRETCHED_PIXELS = 4096 * 2160
"""A frame with pixels that are not square is stretched to this size at most, or to its own: limits of a frame's pixels
apply before, and a ratio of 4 would quadruple the memory that they permit."""

ORIENTATIONS: dict[tuple[int, int, int, int], tuple[Filter, ...]] = {
    (1, 0, 0, 1): (),
    (-1, 0, 0, -1): (("hflip", None), ("vflip", None)),
    (0, 1, -1, 0): (("transpose", "clock"),),
    (0, -1, 1, 0): (("transpose", "cclock"),),
    (-1, 0, 0, 1): (("hflip", None),),
    (1, 0, 0, -1): (("vflip", None),),
    (0, 1, 1, 0): (("transpose", "cclock_flip"),),
    (0, -1, -1, 0): (("transpose", "clock_flip"),),
}
"""Filters for each display matrix (a, b, c, d of ISO/IEC 14496-12, 8.3.2, as signs)."""

PQ, HLG = 16, 18
"""Transfer characteristics of HDR (ITU-T H.273): SMPTE ST 2084, and ARIB STD-B67."""

BT709 = 1
UNSPECIFIED = 2
DISPLAY_P3 = 12

_HLG_LIGHT = "if(lte({v},0.5),{v}*{v}/3,(exp(({v}-0.55991073)/0.17883277)+0.28466892)/12)"
_PQ_LIGHT = "pow(max(pow({v},1/78.84375)-0.8359375,0)/(18.8515625-18.6875*pow({v},1/78.84375)),1/0.1593017578125)*10"
_SDR = (
    "if(lte({v},0.8),{v},0.8+0.2*(1-exp((0.8-{v})/0.2)))",  # highlights are compressed, up to white
    "if(lte({v},0.0031308),12.92*{v},1.055*pow({v},1/2.4)-0.055)",  # IEC 61966-2-1
)
WHITE = {HLG: 0.265, PQ: 0.203}
"""SDR white in the linear light of HDR (ITU-R BT.2408): HLG's 75 % signal, PQ's 203 of the 1,000 cd/m2 kept."""

_TO_BT709 = {
    False: (1.6605, -0.5876, -0.0728, -0.1246, 1.1329, -0.0083, -0.0182, -0.1006, 1.1187),  # from BT.2020
    True: (1.2249, -0.2247, 0.0, -0.0420, 1.0419, 0.0, -0.0197, -0.0786, 1.0979),  # from Display P3
}
"""Linear RGB to linear RGB, row by row."""


class Deinterlacer:
    """Deinterlaces the frames of one stream; other frames, and tiny ones, are returned unchanged.

    After the first interlaced frame all frames are one frame late, with their own timestamps.
    """

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._form: tuple[int, int, str] | None = None

    def push(self, frame: VideoFrame) -> list[VideoFrame]:
        """Adds a frame; returns the frames that it completes.

        Args:
            frame: with a pts and a time base; read only.
        """
        interlaced = frame.interlaced_frame and min(frame.width, frame.height) >= LEAST_PX
        if self._graph is None and not interlaced:
            return [frame]
        form = (frame.width, frame.height, frame.format.name)
        if self._graph is not None and form == self._form:
            self._graph.vpush(frame)
            return self._pull()
        before = self.flush()
        if not interlaced:
            return [*before, frame]
        self._graph, self._form = _graph(frame, (DEINTERLACE,)), form
        self._graph.vpush(frame)
        return [*before, *self._pull()]

    def flush(self) -> list[VideoFrame]:
        """Returns the delayed frames; the next frame starts afresh."""
        if self._graph is None:
            return []
        self._graph.vpush(None)
        frames = self._pull()
        self._graph = self._form = None
        return frames

    def _pull(self) -> list[VideoFrame]:
        frames: list[VideoFrame] = []
        while self._graph is not None:
            try:
                frames.append(self._graph.vpull())
            except (NeedsMoreError, DrainedError):
                break
        return frames


class Display:
    """Converts one stream's frames to what its container and codec say should be shown. Most are unchanged.

    Args:
        pixel_aspect: width / height of a pixel, as stated by the stream; None or 0 if not stated.
    """

    def __init__(self, pixel_aspect: Fraction | None = None) -> None:
        aspect = pixel_aspect or Fraction(1)
        self._aspect = aspect if Fraction(1, MAX_PIXEL_ASPECT) <= aspect <= MAX_PIXEL_ASPECT else Fraction(1)
        self._graph: Graph | None = None
        self._form: tuple[object, ...] | None = None

    def show(self, frame: VideoFrame) -> VideoFrame:
        """The frame to show: itself, or a new one with its timestamps; the argument is never modified.

        High dynamic range (HLG, PQ) becomes yuv420p in BT.709, mapped as ITU-R BT.2408 says.
        """
        orientation = _orientation(frame)
        light = int(frame.color_trc) if int(frame.color_trc) in WHITE else None
        if not orientation and self._aspect == 1 and light is None:
            return frame
        colours = (light, int(frame.color_primaries), int(frame.colorspace), int(frame.color_range))
        form = (orientation, frame.width, frame.height, frame.format.name, colours)
        if self._graph is None or form != self._form:
            self._graph, self._form = _graph(frame, self._filters(frame, orientation, light)), form
        self._graph.vpush(frame)
        shown = self._graph.vpull()
        if light is not None:
            shown.color_trc = shown.color_primaries = shown.colorspace = BT709
            shown.color_range = 1
        return shown

    def _filters(self, frame: VideoFrame, orientation: tuple[Filter, ...], light: int | None) -> list[Filter]:
        filters: list[Filter] = []
        if light is not None:
            filters += _to_sdr(frame, light)
        if self._aspect != 1:
            width, height = _stretched((frame.width, frame.height), self._aspect)
            filters += [("scale", f"{width}:{height}"), ("setsar", "1")]
        # The turned frame must not say that it is still to be turned.
        return [*filters, *orientation, ("sidedata", "mode=delete:type=DISPLAYMATRIX")]


def _stretched(wh: tuple[int, int], aspect: Fraction) -> tuple[int, int]:
    """Size with square pixels: the height is kept, unless there would be too many."""
    width, height = float(wh[0] * aspect), float(wh[1])
    shrink = min(math.sqrt(max(STRETCHED_PIXELS, wh[0] * wh[1]) / (width * height)), 1.0)
    return max(round(width * shrink / 2) * 2, 2), wh[1] if shrink == 1.0 else max(int(height * shrink), 1)


def _orientation(frame: VideoFrame) -> tuple[Filter, ...]:
    """The filters for a frame's display matrix: the nearest of the eight orientations."""
    # `frame.side_data` would make a reference cycle, and only the garbage collector free the frame (PyAV 18.1).
    data = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]  # PyAV's stub lacks it
    if data is None:
        return ()
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(cast("bytes", data))[:36])
    if not (a or b or c or d):
        return ()
    length = max(abs(value) for value in (a, b, c, d))
    given = (a / length, b / length, c / length, d / length)
    nearest = max(ORIENTATIONS, key=lambda signs: sum(x * y for x, y in zip(signs, given, strict=True)))
    return ORIENTATIONS[nearest]


def _to_sdr(frame: VideoFrame, light: int) -> Iterable[Filter]:
    """Converts HDR to BT.709, in 16 bits per channel: to linear light, to its primaries, and to its curve."""
    matrix = "bt2020" if int(frame.colorspace) in {UNSPECIFIED, 9, 10} else "auto"
    value = "clip(val/maxval,0,1)"
    linear = f"st(0,{value})*0+{(_HLG_LIGHT if light == HLG else _PQ_LIGHT).format(v='ld(0)')}"
    rolled, curved = (step.format(v="ld(0)") for step in _SDR)
    sdr = f"st(0,{value}/{WHITE[light]})*0+st(0,{rolled})*0+{curved}"
    rows = zip(
        ("rr", "rg", "rb", "gr", "gg", "gb", "br", "bg", "bb"),
        _TO_BT709[int(frame.color_primaries) == DISPLAY_P3],
        strict=True,
    )
    return (
        ("scale", f"in_color_matrix={matrix}"),
        ("format", "gbrp16le"),
        ("lutrgb", _each_channel(f"clip({linear},0,1)*maxval")),
        ("colorchannelmixer", ":".join(f"{name}={share}" for name, share in rows)),
        ("lutrgb", _each_channel(f"clip({sdr},0,1)*maxval")),
        ("scale", "out_color_matrix=bt709:out_range=tv"),
        ("format", "yuv420p"),
    )


def _each_channel(expression: str) -> str:
    return ":".join(f"{channel}='{expression}'" for channel in "rgb")


def _graph(frame: VideoFrame, filters: Iterable[Filter]) -> Graph:
    graph = Graph()
    graph.threads = 1
    graph.link_nodes(
        graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base),
        *(graph.add(name, arguments) for name, arguments in filters),
        graph.add("buffersink"),
    )
    graph.configure()
    return graph
