"""HLS playlists (RFC 8216): reads them, and chooses the variant of a stream."""

import re
from dataclasses import dataclass
from urllib.parse import urljoin

from stream_detect.errors import SourceUnreachableError

_SHOWN_CHARS = 40
"""What a message repeats of a playlist: messages are searched for secrets, which takes long for a long one."""

MAX_ADDRESS_CHARS = 8192
"""Longest address in a playlist; Python's URL parser keeps the newest 128 that it has seen, for ever."""

MAX_SEGMENTS = 5000
"""Number of segments of a playlist that are kept, the newest: a recorder may offer hours."""

LARGEST_WH = 1920 * 1080
"""The largest variant up to this size is chosen: above it faces gain nothing, and decoding takes four times as long."""

_ATTRIBUTE = re.compile(r'(?<![A-Z0-9-])([A-Z0-9-]++)=("[^"]*"|[^",]*)')
"""Names are tried at their beginning only: from each of its characters, one of 2 MB would take hours, during which no
other thread runs."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the renditions of a stream.

    Args:
        url: address of its playlist.
        wh: width and height in pixels; (0, 0) if not stated.
        bandwidth: in bits per second; 0 if not stated.
        codecs: RFC 6381 names; empty if not stated.
    """

    url: str
    wh: tuple[int, int]
    bandwidth: int
    codecs: str

    @property
    def has_video(self) -> bool:
        """Whether it contains video, as far as stated."""
        kinds = [codec.strip().split(".")[0].lower() for codec in self.codecs.split(",") if codec.strip()]
        return not kinds or any(kind not in {"mp4a", "ac-3", "ec-3", "opus", "flac", "mp3"} for kind in kinds)


@dataclass(frozen=True, slots=True)
class Part:
    """A byte range of a resource.

    Args:
        url: address of the resource.
        byte_range: first byte and number of bytes; None for all.
    """

    url: str
    byte_range: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a playlist.

    Args:
        number: its media sequence number.
        part: its bytes.
        initial: initialisation section to read first, if it is part of a fragmented MP4.
        key_url: address of its AES-128 key; empty if it is not encrypted.
        vector: initialisation vector of the encryption.
    """

    number: int
    part: Part
    initial: Part | None
    key_url: str
    vector: bytes


@dataclass(frozen=True, slots=True)
class Playlist:
    """A multivariant or media playlist.

    Args:
        variants: those of a multivariant playlist.
        segments: those of a media playlist, oldest first.
        target_s: target duration of a segment.
        ended: no more segments will follow.
    """

    variants: tuple[Variant, ...]
    segments: tuple[Segment, ...]
    target_s: float
    ended: bool


def is_playlist(body: bytes) -> bool:
    """Whether a response that begins like this is an HLS playlist."""
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"#EXTM3U")


def parse_playlist(text: str, url: str) -> Playlist:
    """Parses a playlist.

    Args:
        text: its content.
        url: its address, to which the addresses in it are relative.

    Raises:
        SourceUnreachableError: it is not a playlist, or cannot be played.
    """
    lines = [line.strip() for line in text.lstrip("\ufeff \t\r\n").splitlines()]
    if not lines or not lines[0].startswith("#EXTM3U"):
        raise SourceUnreachableError("expected an HLS playlist that begins with #EXTM3U, received something else")
    try:
        return _Parser(url).parse(lines[1:])
    except (ValueError, OverflowError) as error:
        raise SourceUnreachableError("its HLS playlist is damaged") from error


def choose(variants: tuple[Variant, ...], max_pixels: int) -> Variant:
    """Chooses a variant: the largest up to 1080p, otherwise the smallest; H.264 before more expensive codecs.

    Args:
        variants: at least one.
        max_pixels: larger variants are not decoded.
    """
    wanted = [variant for variant in variants if variant.has_video] or list(variants)
    limit = min(LARGEST_WH, max_pixels)

    def rank(variant: Variant) -> tuple[bool, int, bool, int]:
        size = variant.wh[0] * variant.wh[1]
        fits = size <= limit
        return fits, size if fits else -size, "avc" in variant.codecs or not variant.codecs, variant.bandwidth

    return max(wanted, key=rank)


class _Parser:
    """Parses the lines of one playlist."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._variants: list[Variant] = []
        self._segments: list[Segment] = []
        self._number = 0
        self._target_s = 0.0
        self._longest_s = 0.0
        self._ended = False
        self._initial: Part | None = None
        self._key_url = ""
        self._vector: bytes | None = None
        self._stream: dict[str, str] | None = None
        self._range: tuple[int | None, int] | None = None  # offset, if stated, and length
        self._next_byte = 0

    def parse(self, lines: list[str]) -> Playlist:
        tags = {
            "#EXT-X-STREAM-INF": self._stream_inf,
            "#EXT-X-TARGETDURATION": self._target,
            "#EXT-X-MEDIA-SEQUENCE": self._sequence,
            "#EXT-X-BYTERANGE": self._byterange,
            "#EXT-X-KEY": self._key,
            "#EXT-X-MAP": self._map,
            "#EXTINF": self._extinf,
        }
        for line in lines:
            if not line.startswith("#"):
                if line:
                    self._address(line)
                continue
            name, _, value = line.partition(":")
            if name == "#EXT-X-ENDLIST":
                self._ended = True
            elif name in tags:
                tags[name](value)
        target_s = min(max(self._target_s or self._longest_s, 0.5), 60.0)
        return Playlist(tuple(self._variants), tuple(self._segments[-MAX_SEGMENTS:]), target_s, self._ended)

    def _stream_inf(self, value: str) -> None:
        self._stream = _attributes(value)

    def _target(self, value: str) -> None:
        self._target_s = float(value)

    def _sequence(self, value: str) -> None:
        self._number = int(value)

    def _extinf(self, value: str) -> None:
        self._longest_s = max(self._longest_s, float(value.partition(",")[0] or 0))

    def _byterange(self, value: str) -> None:
        length, at, begin = value.partition("@")
        self._range = (int(begin) if at else None, int(length))

    def _key(self, value: str) -> None:
        given = _attributes(value)
        method = given.get("METHOD", "NONE")
        if method not in {"NONE", "AES-128"}:
            shown = method[:_SHOWN_CHARS]
            raise SourceUnreachableError(f"its HLS segments are encrypted by {shown}, which cannot be played here")
        self._key_url = self._joined(given.get("URI", "")) if method == "AES-128" else ""
        vector = given.get("IV", "")
        self._vector = bytes.fromhex(vector[2:].rjust(32, "0"))[-16:] if vector else None

    def _map(self, value: str) -> None:
        given = _attributes(value)
        length, at, begin = given.get("BYTERANGE", "").partition("@")
        byte_range = (int(begin) if at else 0, int(length)) if length else None
        self._initial = Part(self._joined(given.get("URI", "")), byte_range)

    def _joined(self, address: str) -> str:
        if len(address) > MAX_ADDRESS_CHARS:
            raise SourceUnreachableError(f"its HLS playlist has an address of more than {MAX_ADDRESS_CHARS} characters")
        return urljoin(self._url, address)

    def _address(self, line: str) -> None:
        url = self._joined(line)
        if self._stream is not None:
            width, _, height = self._stream.get("RESOLUTION", "0x0").lower().partition("x")
            bandwidth = int(self._stream.get("BANDWIDTH", "0"))
            self._variants.append(Variant(url, (int(width), int(height)), bandwidth, self._stream.get("CODECS", "")))
            self._stream = None
            return
        byte_range = None
        if self._range is not None:
            begin, length = self._range
            byte_range = (self._next_byte if begin is None else begin, length)
            self._next_byte, self._range = sum(byte_range), None
        vector = self._vector or max(self._number, 0).to_bytes(16, "big")
        self._segments.append(Segment(self._number, Part(url, byte_range), self._initial, self._key_url, vector))
        self._number += 1


def _attributes(text: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(text)}
