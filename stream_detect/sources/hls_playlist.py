"""HLS playlists (RFC 8216): reads them, and chooses the variant of a stream."""

import re
from collections import deque
from dataclasses import dataclass
from functools import cache
from urllib.parse import urljoin

from stream_detect.errors import SourceUnreachableError

_SHOWN_CHARS = 40
"""What a message repeats of a playlist: messages are searched for secrets, which takes long for a long one."""

MAX_ADDRESS_CHARS = 8192
"""Longest address in a playlist; Python's URL parser keeps the newest 128 that it has seen, for ever."""

MAX_SEGMENTS = 5000
"""Number of segments of a playlist that are kept, the newest: a recorder may offer hours."""

MAX_LINES = 150_000
"""A day of segments of two seconds has 86,400 lines. A playlist of 2 MB may have a million, which take a second."""

MAX_VARIANTS = 1000
"""Variants of a multivariant playlist; usual are ten."""

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
    lines = text.lstrip("\ufeff \t\r\n").splitlines()
    if not lines or not lines[0].startswith("#EXTM3U"):
        raise SourceUnreachableError("expected an HLS playlist that begins with #EXTM3U, received something else")
    if len(lines) > MAX_LINES:
        raise SourceUnreachableError(
            f"expected an HLS playlist of at most {MAX_LINES:,} lines, received {len(lines):,}"
        )
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


@dataclass(frozen=True, slots=True)
class _Written:
    """A segment as the playlist has it: what is not read is not understood either.

    Args:
        number: its media sequence number.
        address: its address.
        byte_range: first byte and number of bytes; None for all.
        map: value of the EXT-X-MAP tag that applies; None if there is none.
        key: value of the EXT-X-KEY tag that applies; None if there is none.
    """

    number: int
    address: str
    byte_range: tuple[int, int] | None
    map: str | None
    key: str | None


class _Parser:
    """Parses the lines of one playlist."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._variants: list[Variant] = []
        self._segments: deque[_Written] = deque(maxlen=MAX_SEGMENTS)
        self._number = 0
        self._target_s = 0.0
        self._longest_s = 0.0
        self._ended = False
        self._map_value: str | None = None
        self._key_value: str | None = None
        self._stream: str | None = None
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
        for unstripped in lines:
            line = unstripped.strip()
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
        return Playlist(tuple(self._variants), self._understood(), target_s, self._ended)

    def _understood(self) -> tuple[Segment, ...]:
        initial, key = cache(self._initial), cache(self._key_of)  # one tag applies to many segments
        if self._map_value is not None:  # it and the key apply to the next segments, if to none of these
            initial(self._map_value)
        if self._key_value is not None:
            key(self._key_value)
        segments = []
        for written in self._segments:
            key_url, vector = ("", None) if written.key is None else key(written.key)
            segments.append(
                Segment(
                    written.number,
                    Part(self._joined(written.address), written.byte_range),
                    None if written.map is None else initial(written.map),
                    key_url,
                    vector or max(written.number, 0).to_bytes(16, "big"),
                )
            )
        return tuple(segments)

    def _stream_inf(self, value: str) -> None:
        self._stream = value

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
        self._key_value = value

    def _map(self, value: str) -> None:
        self._map_value = value

    def _key_of(self, value: str) -> tuple[str, bytes | None]:
        """Address of the key, empty for none; and the initialisation vector, if stated."""
        given = _attributes(value)
        method = given.get("METHOD", "NONE")
        if method not in {"NONE", "AES-128"}:
            shown = method[:_SHOWN_CHARS]
            raise SourceUnreachableError(f"its HLS segments are encrypted by {shown}, which cannot be played here")
        vector = given.get("IV", "")
        return (
            self._joined(given.get("URI", "")) if method == "AES-128" else "",
            bytes.fromhex(vector[2:].rjust(32, "0"))[-16:] if vector else None,
        )

    def _initial(self, value: str) -> Part:
        given = _attributes(value)
        length, at, begin = given.get("BYTERANGE", "").partition("@")
        byte_range = (int(begin) if at else 0, int(length)) if length else None
        return Part(self._joined(given.get("URI", "")), byte_range)

    def _joined(self, address: str) -> str:
        if len(address) > MAX_ADDRESS_CHARS:
            raise SourceUnreachableError(f"its HLS playlist has an address of more than {MAX_ADDRESS_CHARS} characters")
        return urljoin(self._url, address)

    def _address(self, line: str) -> None:
        if self._stream is not None:
            self._variant(line, _attributes(self._stream))
            self._stream = None
            return
        byte_range = None
        if self._range is not None:
            begin, length = self._range
            byte_range = (self._next_byte if begin is None else begin, length)
            self._next_byte, self._range = sum(byte_range), None
        self._segments.append(_Written(self._number, line, byte_range, self._map_value, self._key_value))
        self._number += 1

    def _variant(self, address: str, given: dict[str, str]) -> None:
        if len(self._variants) >= MAX_VARIANTS:
            raise SourceUnreachableError(f"its HLS playlist has more than {MAX_VARIANTS} variants")
        width, _, height = given.get("RESOLUTION", "0x0").lower().partition("x")
        wh, bandwidth = (int(width), int(height)), int(given.get("BANDWIDTH", "0"))
        self._variants.append(Variant(self._joined(address), wh, bandwidth, given.get("CODECS", "")))


def _attributes(text: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(text)}
