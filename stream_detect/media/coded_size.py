"""Reads the size of coded video from its headers, so that frames that are too large are refused before decoding.

Decoders allocate by these sizes: an 8192x8192 key frame of a few kB costs 100 MB per frame.
"""

from collections.abc import Iterator
from dataclasses import dataclass

_NAL_IDR, _NAL_SPS = 5, 7
_WITH_CHROMA_FORMAT = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 144, 244})
"""H.264 profiles whose SPS contains the chroma format and scaling lists (ITU-T H.264, 7.3.2.1.1)."""

_MAX_SPS = 32
"""Parameter sets read per frame, as many as have an id of their own (7.4.2.1.1). Reading one takes 20 us, and a
malicious frame has thousands. The decoder checks the size too."""

_MAX_EXP_GOLOMB_BITS = 32
_VP8_START_CODE = b"\x9d\x01\x2a"


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """Headers of one coded frame.

    Args:
        keyframe: it can be decoded without other frames.
        wh: the size that the decoder will allocate, in pixels; the largest if there are several; None if none is stated
            (a predicted frame).
    """

    keyframe: bool
    wh: tuple[int, int] | None


def read_header(codec: str, data: bytes) -> FrameHeader:
    """Reads the headers of a coded frame.

    Args:
        codec: "h264" (Annex B) or "vp8".
        data: one coded frame.

    Returns:
        The headers; one that cannot be read states no size.

    Raises:
        ValueError: there is no reader for the codec.
    """
    match codec:
        case "h264":
            return _h264(data)
        case "vp8":
            return _vp8(data)
    raise ValueError(f"expected h264 or vp8, received {codec}")


def _vp8(data: bytes) -> FrameHeader:
    """A key frame states its size after the 3-byte tag and the start code (RFC 6386, 9.1)."""
    keyframe = bool(data) and not data[0] & 1
    if not keyframe or len(data) < 10 or data[3:6] != _VP8_START_CODE:
        return FrameHeader(keyframe, None)
    return FrameHeader(
        keyframe, (int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF)
    )


def _h264(data: bytes) -> FrameHeader:
    keyframe = False
    parameters: set[bytes] = set()
    for nal in nal_units(data):
        kind = nal[0] & 0x1F
        keyframe |= kind == _NAL_IDR
        if kind == _NAL_SPS and len(parameters) < _MAX_SPS:
            parameters.add(nal)
    sizes = [wh for nal in parameters if (wh := sps_size(nal)) is not None]
    return FrameHeader(keyframe, max(sizes, key=lambda wh: wh[0] * wh[1], default=None))


def nal_units(data: bytes) -> Iterator[bytes]:
    """The NAL units of an Annex B byte stream, without start codes: parameter sets whole, of others the first byte."""
    start = data.find(b"\x00\x00\x01")
    while start >= 0 and start + 3 < len(data):
        kind = data[start + 3] & 0x1F
        following = data.find(b"\x00\x00\x01", start + 3)
        yield (
            data[start + 3 : len(data) if following < 0 else following]
            if kind == _NAL_SPS
            else data[start + 3 : start + 4]
        )
        start = following


def sps_size(nal: bytes) -> tuple[int, int] | None:
    """The coded size in pixels that an H.264 sequence parameter set states, before cropping; None if unreadable.

    Args:
        nal: the NAL unit, with its header byte.
    """
    bits = _Bits(nal[1:].replace(b"\x00\x00\x03", b"\x00\x00"))
    try:
        return _sps_size(bits)
    except EOFError:
        return None


def _sps_size(bits: "_Bits") -> tuple[int, int]:
    profile = bits.take(8)
    bits.take(16)  # constraint flags, level
    bits.unsigned()  # id
    if profile in _WITH_CHROMA_FORMAT:
        chroma_format = bits.unsigned()
        if chroma_format == 3:
            bits.take(1)
        bits.unsigned()
        bits.unsigned()
        bits.take(1)
        if bits.take(1):
            for number in range(12 if chroma_format == 3 else 8):
                if bits.take(1):
                    _pass_over_scaling_list(bits, 16 if number < 6 else 64)
    bits.unsigned()
    order_type = bits.unsigned()
    if order_type == 0:
        bits.unsigned()
    elif order_type == 1:
        bits.take(1)
        bits.signed()
        bits.signed()
        for _ in range(min(bits.unsigned(), 255)):
            bits.signed()
    bits.unsigned()
    bits.take(1)
    width = 16 * (bits.unsigned() + 1)
    map_units = bits.unsigned() + 1
    frames_only = bits.take(1)
    return width, 16 * map_units * (2 - frames_only)


def _pass_over_scaling_list(bits: "_Bits", size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last


class _Bits:
    """Reads bits and the Exp-Golomb numbers of H.264 (9.1). Every method raises EOFError at the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data[:512], "big")  # an SPS with all scaling lists takes at most 300 bytes
        self._left = 8 * len(data[:512])

    def take(self, count: int) -> int:
        if count > self._left:
            raise EOFError
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def unsigned(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > _MAX_EXP_GOLOMB_BITS:
                raise EOFError
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        value = self.unsigned()
        return (value + 1) // 2 if value % 2 else -(value // 2)
