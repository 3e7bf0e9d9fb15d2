"""HLS (RFC 8216): returns the segments of one variant of a stream as one byte stream, each once and in order.

FFmpeg's own reader plays the first variant but fetches all of them, refuses segments by their names, and after each
reconnect plays the last segments of an encoder that has stopped again, as if they were live.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from stream_detect.errors import SourceEndedError, SourceError, SourceStalledError, SourceUnreachableError
from stream_detect.sources.hls_playlist import Part, Playlist, Segment, choose, parse_playlist
from stream_detect.sources.http import HttpAnswer

PLAYLIST_BYTES = 2_000_000
SEGMENT_BYTES = 48_000_000
"""Twelve seconds at 32 Mbit/s. One segment is in memory at a time."""
KEY_BYTES = 16

BEHIND = 3
"""Playback starts this many segments before the end of a live playlist (RFC 8216, 6.3.3)."""

PATIENCE = 3.0
"""Target durations without a new segment after which the encoder counts as stopped; a working server adds one in 1.5.
"""

PARSE_SHARE = 0.05
"""Share of a processor that parsing may take: a longer playlist is read less often. The longest takes 0.1 s."""

Get = Callable[[str, int, float, tuple[int, int] | None], HttpAnswer]
"""Fetches a resource (`Web.get`): address, maximum bytes, time limit in seconds, byte range."""


KNOWN_SEGMENTS = 8
"""Servers that take turns in one stream differ by one or two segments."""


@dataclass(slots=True)
class Position:
    """Position in a stream. It is kept over reconnects, so that no segment is played as live twice.

    Args:
        number: media sequence number of the newest segment read; None before the first.
        given: addresses of the newest segments read, without queries, because session tokens change.
    """

    number: int | None = None
    given: deque[str] = field(default_factory=lambda: deque(maxlen=KNOWN_SEGMENTS))

    def move(self, segment: Segment) -> None:
        """Records that a segment was read."""
        self.number = segment.number
        self.given.append(_place(segment))

    def following(self, playlist: Playlist) -> list[Segment]:
        """The segments to read next; empty if there are no new ones."""
        segments = list(playlist.segments)
        if self.number is None:
            return segments if playlist.ended else segments[-BEHIND:]
        if segments and segments[-1].number < self.number:
            if _place(segments[-1]) in self.given:  # it stopped, or this server is behind the previous one
                return []
            return segments[-BEHIND:]  # the encoder restarted and counts from the beginning
        return [segment for segment in segments if segment.number > self.number]


def _place(segment: Segment) -> str:
    return segment.part.url.partition("?")[0]


@dataclass(slots=True)
class HlsStream:
    """The segments of one stream, as an unseekable file that FFmpeg reads.

    Args:
        get: fetches a resource.
        url: address of the playlist.
        position: where to continue; it is updated.
        stopping: ends any wait.
        timeout_s: time limit of each response.
        max_pixels: largest variant.
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
    _parse_at_s: float = 0.0

    def read(self, count: int) -> bytes:
        """Returns some of the next bytes; none at the end of a finished playlist.

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
        """Chooses the variant and waits for the first segment, so that a stalled stream is not opened.

        Args:
            timeout_s: total time limit.

        Raises:
            SourceError: it cannot be read, or no new segment came in time.
        """
        self._patience_s = timeout_s
        playlist = self._playlist()
        for _ in range(2):  # a multivariant playlist must not refer to another one
            if playlist.variants:
                self.url = choose(playlist.variants, self.max_pixels).url
                playlist = self._playlist()
        self._waiting = self.position.following(playlist)
        if not self._waiting:
            self._wait(playlist)
        self._patience_s = None

    def _next(self) -> Segment | None:
        if self.stopping.is_set():  # the position belongs to the next connection by now
            return None
        if not self._waiting and not self._wait(None):
            return None
        segment = self._waiting.pop(0)
        self.position.move(segment)
        return segment

    def _wait(self, known: Playlist | None) -> bool:
        """Waits for new segments; False if there will be no more."""
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
        self.stopping.wait(max(self._parse_at_s - time.monotonic(), 0.0))
        answer = self.get(self.url, PLAYLIST_BYTES, self.timeout_s, None)
        began_s = time.thread_time()
        try:
            return parse_playlist(answer.body.decode("utf-8", "replace"), answer.url)
        finally:
            self._parse_at_s = time.monotonic() + (time.thread_time() - began_s) / PARSE_SHARE

    def _content(self, segment: Segment) -> bytes:
        """Content of a segment; empty if it no longer exists."""
        try:
            content = self._fetched(segment.part)
        except SourceUnreachableError:
            return b""
        if segment.key_url:
            content = self._decrypted(content, segment)
        if segment.initial is not None and segment.initial != self._initial:
            if self._initial is not None and self._begun:
                raise SourceEndedError("the format of the HLS stream has changed; it is reopened")
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
