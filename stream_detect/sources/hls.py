"""HLS (RFC 8216): chooses one variant of a stream and gives its segments, in order and each once, as one byte stream.

FFmpeg's own reader takes the first variant and fetches all of them, refuses segments by their names, and plays the
segments of an encoder that has died again after each reconnect, as if they were live.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from urllib.parse import urljoin

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from stream_detect.errors import SourceEndedError, SourceError, SourceStalledError, SourceUnreachableError
from stream_detect.sources.http import Answer

PLAYLIST_BYTES = 2_000_000
SEGMENT_BYTES = 48_000_000
"""Twelve seconds at 32 Mbit/s. One segment is in memory at a time."""
KEY_BYTES = 16
MAX_SEGMENTS = 5000
"""Of a playlist the newest are kept: a recorder may offer hours to wind back."""

LARGEST_WH = 1920 * 1080
"""The largest variant up to here is watched: beyond it faces gain nothing and decoding takes four times as long."""

BEHIND = 3
"""Playing begins so many segments before the end of a live playlist (RFC 8216, 6.3.3)."""

PATIENCE = 3.0
"""Target durations without a new segment after which the encoder has stopped; a server that works adds one in 1.5."""

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)')


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the renditions that a stream is offered in.

    Args:
        url: of its playlist.
        wh: width and height in pixels; (0, 0) where they are not stated.
        bandwidth: in bits a second; 0 where it is not stated.
        codecs: as RFC 6381 names them; empty where they are not stated.
    """

    url: str
    wh: tuple[int, int]
    bandwidth: int
    codecs: str

    @property
    def has_video(self) -> bool:
        """Whether there is video in it, as far as it says."""
        kinds = [codec.strip().split(".")[0].lower() for codec in self.codecs.split(",") if codec.strip()]
        return not kinds or any(kind not in {"mp4a", "ac-3", "ec-3", "opus", "flac", "mp3"} for kind in kinds)


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of an address.

    Args:
        url: of them.
        byte_range: first byte and number of bytes; None for all.
    """

    url: str
    byte_range: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a playlist.

    Args:
        number: its media sequence number.
        part: where it is.
        initial: what is to be read before it, if it is part of a fragmented MP4.
        key_url: of its AES-128 key; empty when it is not encrypted.
        vector: of the encryption.
    """

    number: int
    part: Part
    initial: Part | None
    key_url: str
    vector: bytes


@dataclass(frozen=True, slots=True)
class Playlist:
    """A playlist: of variants, or of segments.

    Args:
        variants: of a multivariant playlist.
        segments: of a media playlist, oldest first.
        target_s: the longest duration of a segment.
        ended: no further segments will come.
    """

    variants: tuple[Variant, ...]
    segments: tuple[Segment, ...]
    target_s: float
    ended: bool


@dataclass(slots=True)
class Position:
    """How far a stream has been given. Kept over reconnects, so that no segment is played as live a second time.

    Args:
        number: media sequence number of the newest segment; None before the first.
        url: of that segment, without its query: a session's token changes.
    """

    number: int | None = None
    url: str = ""

    def move(self, segment: Segment) -> None:
        """A segment was given."""
        self.number, self.url = segment.number, segment.part.url.partition("?")[0]

    def following(self, playlist: Playlist) -> list[Segment]:
        """The segments that are to be given next; empty when there is no new one."""
        segments = list(playlist.segments)
        if self.number is None:
            return segments if playlist.ended else segments[-BEHIND:]
        if segments and segments[-1].number < self.number:  # an encoder that was started anew counts anew
            stale = segments[-1].part.url.partition("?")[0] == self.url
            return [] if stale else segments[-BEHIND:]
        return [segment for segment in segments if segment.number > self.number]


def is_playlist(body: bytes) -> bool:
    """Whether an answer that begins like this is an HLS playlist."""
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"#EXTM3U")


def parse_playlist(text: str, url: str) -> Playlist:
    """Reads a playlist.

    Args:
        text: of it.
        url: that it came from; what it names is relative to it.

    Raises:
        SourceUnreachableError: it is none, or one that cannot be played.
    """
    lines = [line.strip() for line in text.lstrip("\ufeff \t\r\n").splitlines()]
    if not lines or not lines[0].startswith("#EXTM3U"):
        raise SourceUnreachableError("expected an HLS playlist that begins with #EXTM3U, received something else")
    try:
        return _Parser(url).parse(lines[1:])
    except (ValueError, OverflowError) as error:
        raise SourceUnreachableError("its HLS playlist is damaged") from error


def choose(variants: tuple[Variant, ...], max_pixels: int) -> Variant:
    """The variant that is watched: the largest up to 1080p, or the smallest beyond; H.264 before what costs more.

    Args:
        variants: at least one.
        max_pixels: larger ones are not decoded.
    """
    wanted = [variant for variant in variants if variant.has_video] or list(variants)
    limit = min(LARGEST_WH, max_pixels)

    def rank(variant: Variant) -> tuple[bool, int, bool, int]:
        size = variant.wh[0] * variant.wh[1]
        fits = size <= limit
        return fits, size if fits else -size, "avc" in variant.codecs or not variant.codecs, variant.bandwidth

    return max(wanted, key=rank)


class _Parser:
    """Reads the lines of one playlist."""

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
        self._range: tuple[int | None, int] | None = None  # its begin where it is stated, and its length
        self._next_byte = 0

    def parse(self, lines: list[str]) -> Playlist:
        tags: dict[str, Callable[[str], None]] = {
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
            raise SourceUnreachableError(f"its HLS segments are encrypted by {method}, which cannot be played here")
        self._key_url = urljoin(self._url, given.get("URI", "")) if method == "AES-128" else ""
        vector = given.get("IV", "")
        self._vector = bytes.fromhex(vector[2:].rjust(32, "0"))[-16:] if vector else None

    def _map(self, value: str) -> None:
        given = _attributes(value)
        length, at, begin = given.get("BYTERANGE", "").partition("@")
        byte_range = (int(begin) if at else 0, int(length)) if length else None
        self._initial = Part(urljoin(self._url, given.get("URI", "")), byte_range)

    def _address(self, line: str) -> None:
        url = urljoin(self._url, line)
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


Get = Callable[[str, int, float, tuple[int, int] | None], Answer]
"""Fetches (`Web.get`): address, most bytes, time limit in seconds, part."""


@dataclass(slots=True)
class HlsStream:
    """The segments of one stream, as a file that FFmpeg reads and cannot seek in.

    Args:
        get: fetches.
        url: of the playlist.
        position: how far the stream has been given; moved on.
        stopping: ends what waits.
        timeout_s: for each answer.
        max_pixels: of the variant.
    """

    get: Get
    url: str
    position: Position
    stopping: Event
    timeout_s: float
    max_pixels: int
    _waiting: list[Segment] = field(default_factory=list)
    _buffer: memoryview = field(default_factory=lambda: memoryview(b""))
    _initial: Part | None = None
    _begun: bool = False
    _keys: dict[str, bytes] = field(default_factory=dict)
    _patience_s: float | None = None

    def read(self, count: int) -> bytes:
        """Some of the next bytes; none at the end of a playlist that has ended.

        Raises:
            SourceStalledError: no new segment came in time.
            SourceError: it cannot be read.
        """
        while not self._buffer:
            segment = self._next()
            if segment is None:
                return b""
            self._buffer = memoryview(self._content(segment))
        given, self._buffer = self._buffer[:count], self._buffer[count:]
        return bytes(given)

    def begin(self, timeout_s: float) -> None:
        """Chooses the variant and waits for the first segment, so that a stream that stands still is not opened.

        Args:
            timeout_s: for all of it.

        Raises:
            SourceError: it cannot be read, or no new segment came in time.
        """
        self._patience_s = timeout_s
        playlist = self._playlist()
        for _ in range(2):  # a playlist of playlists of variants is none
            if playlist.variants:
                self.url = choose(playlist.variants, self.max_pixels).url
                playlist = self._playlist()
        self._waiting = self.position.following(playlist)
        if not self._waiting:
            self._wait(playlist)
        self._patience_s = None

    def _next(self) -> Segment | None:
        if not self._waiting and not self._wait(None):
            return None
        segment = self._waiting.pop(0)
        self.position.move(segment)
        return segment

    def _wait(self, known: Playlist | None) -> bool:
        """Waits for new segments; False when none will come any more."""
        began_s = time.monotonic()
        problem: SourceError | None = None
        playlist = known
        while not self.stopping.is_set():
            if playlist is None:
                try:
                    playlist = self._playlist()
                except (SourceStalledError, SourceUnreachableError) as error:
                    problem = error
            if playlist is not None:
                self._waiting = self.position.following(playlist)
                if self._waiting:
                    return True
                if playlist.ended:
                    if self._begun:
                        return False
                    raise SourceEndedError("the HLS stream has ended (EXT-X-ENDLIST)")
            target_s = playlist.target_s if playlist else 1.0
            patience_s = PATIENCE * target_s if self._patience_s is None else self._patience_s
            waited_s = time.monotonic() - began_s
            if waited_s >= patience_s:
                raise problem or SourceStalledError(
                    f"the HLS playlist has had no new segment for {waited_s:.0f} s: its encoder has stopped"
                )
            self.stopping.wait(min(target_s / 2, max(patience_s - waited_s, 0.05)))
            playlist = None
        return False

    def _playlist(self) -> Playlist:
        answer = self.get(self.url, PLAYLIST_BYTES, self.timeout_s, None)
        return parse_playlist(answer.body.decode("utf-8", "replace"), answer.url)

    def _content(self, segment: Segment) -> bytes:
        """Of a segment; one that is gone by now is left out."""
        try:
            content = self._fetched(segment.part)
        except SourceUnreachableError:
            return b""
        if segment.key_url:
            content = self._decrypted(content, segment)
        if segment.initial is not None and segment.initial != self._initial:
            if self._initial is not None and self._begun:
                raise SourceEndedError("the form of the HLS stream has changed; it is opened again")
            self._initial = segment.initial
            content = self._fetched(segment.initial) + content
        self._begun = True
        return content

    def _fetched(self, part: Part) -> bytes:
        return self.get(part.url, SEGMENT_BYTES, 3 * self.timeout_s, part.byte_range).body

    def _decrypted(self, content: bytes, segment: Segment) -> bytes:
        """RFC 8216, 5.2: AES-128 in CBC mode with PKCS7 padding."""
        key = self._keys.get(segment.key_url)
        if key is None:
            key = self.get(segment.key_url, KEY_BYTES, self.timeout_s, None).body
            self._keys = {segment.key_url: key}
        try:
            decryptor = Cipher(AES(key), CBC(segment.vector)).decryptor()
            remover = PKCS7(128).unpadder()
            return remover.update(decryptor.update(content) + decryptor.finalize()) + remover.finalize()
        except ValueError as error:
            raise SourceUnreachableError("an HLS segment cannot be decrypted") from error
