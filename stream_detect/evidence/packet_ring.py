"""The packet ring: holds the newest received packets of a camera, so that a clip can be cut. Nothing is decoded."""

import io
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from threading import Lock
from typing import Self

import av
from av.video.stream import VideoStream

MAX_FILMS = 4
"""Clips of one camera that are collected at once: an event ends after its rest, so more are never useful."""


class Connection:
    """Parameters needed to write the packets of a connection; outlives the connection.

    Args:
        stream: open stream of the connection; read only here.
    """

    def __init__(self, stream: VideoStream) -> None:
        # An output that is never written to keeps FFmpeg's copy of all parameters; the stream itself ends with the
        # input.
        self._keeper = av.open(io.BytesIO(), "w", format="null")
        self.template = self._keeper.add_stream_from_template(stream, opaque=True)
        context = stream.codec_context
        self.codec = context.codec.canonical_name
        self.alike = self.codec, context.width, context.height, context.extradata
        """Packets of connections for which this is equal can be in one clip."""


@dataclass(frozen=True, slots=True)
class ReceivedPacket:
    """A received packet.

    Args:
        data: as received.
        pts: in `time_base`; None if the sender gave none.
        dts: in `time_base`; None if the sender gave none.
        time_base: seconds per tick.
        keyframe: whether decoding can begin here.
        arrived_s: monotonic seconds.
        connection: its connection.
    """

    data: bytes
    pts: int | None
    dts: int | None
    time_base: Fraction
    keyframe: bool
    arrived_s: float
    connection: Connection

    @classmethod
    def of(cls, packet: "av.Packet[VideoStream]", arrived_s: float, connection: Connection) -> Self:
        """Copies a packet, which would otherwise keep its connection alive."""
        return cls(bytes(packet), packet.pts, packet.dts, packet.time_base, packet.is_keyframe, arrived_s, connection)


class ClipPackets:
    """Packets around a moment, collected until they are complete.

    Args:
        packets: earlier packets, starting with a key frame; empty if there was none.
        until_s: end in monotonic seconds.
        room_bytes: maximum size of further packets.
    """

    def __init__(self, packets: list[ReceivedPacket], until_s: float, room_bytes: int) -> None:
        self.packets = packets
        self.until_s = until_s
        self.cut_short = False
        """Whether packets are missing because of the size limit."""
        self._room_bytes = room_bytes
        self.closed = False

    def close(self) -> None:
        """Called when no more packets are wanted."""
        self.closed = True
        self.packets = []

    def take(self, packet: ReceivedPacket) -> bool:
        """Appends the camera's next packet; False if no more are wanted."""
        if packet.arrived_s > self.until_s or self.cut_short or self.closed:
            return False
        if not self.packets and not packet.keyframe:
            return True
        self._room_bytes -= len(packet.data)
        self.cut_short = self._room_bytes < 0
        if not self.cut_short:
            self.packets.append(packet)
        return not self.cut_short


@dataclass(slots=True)
class _Group:
    """A key frame and the packets up to the next one."""

    began_s: float
    bytes: int = 0
    packets: list[ReceivedPacket] = field(default_factory=list)


class Ring:
    """The newest packets of one camera: a `sources.PacketTap`. Thread-safe.

    It holds complete groups of pictures, each starting with a key frame: those of the last `before_s`, back to the key
    frame before it. Drop policy: above `max_bytes` the oldest group is dropped; a single larger group is dropped as a
    whole, and nothing is held until the next key frame. Packets before a connection's first key frame are not held.

    Args:
        before_s: seconds to hold.
        max_bytes: maximum size of the packets.
    """

    def __init__(self, before_s: float, max_bytes: int) -> None:
        self._before_s = before_s
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._groups: deque[_Group] = deque()
        self._bytes = 0
        self._stream: VideoStream | None = None  # of a connection whose packets were not wanted yet
        self._connection: Connection | None = None
        self._in_group = False
        self._films: list[ClipPackets] = []
        self._connections = 0
        self._owner = 0  # number of the connection whose stream is read
        self._wanted = True
        self.ever_opened = False
        """Whether packets ever arrived; those of a WHIP publisher never do."""

    @property
    def bytes(self) -> int:
        """Total size of the packets that it holds."""
        with self._lock:
            return self._bytes

    def want(self, wanted: bool) -> None:  # noqa: FBT001 - the one thing it says
        """Sets whether packets are useful; False empties the ring."""
        with self._lock:
            self._wanted = wanted
            if not wanted:
                self._clear()

    def connection(self) -> "ConnectionTap":
        """A tap for the camera's next connection; ignored after the stream of a later connection was opened."""
        with self._lock:
            self._connections += 1
            return ConnectionTap(self, self._connections)

    def opened(self, stream: VideoStream, by: int = 0) -> None:
        """A connection begins.

        Args:
            stream: stream of the connection.
            by: number of the connection. Calls of other ones are ignored from now on; so is this one if a later
                connection was opened before: an abandoned reader may open its source at last.
        """
        with self._lock:
            if by < self._owner:
                return
            self._owner = by
            self._stream, self._connection = stream, None
            self._in_group = False
            self.ever_opened = True

    def packet(self, packet: "av.Packet[VideoStream]", arrived_s: float, by: int = 0) -> None:
        """Adds the next packet of the connection.

        Args:
            packet: as received; empty ones (the end of a file) are ignored.
            arrived_s: monotonic seconds.
            by: number of the connection.
        """
        if by != self._owner or not self._wanted or not packet.size:
            return
        connection = self._understood()
        if connection is None:
            return
        received = ReceivedPacket.of(packet, arrived_s, connection)
        with self._lock:
            if self._wanted and by == self._owner:
                self._films = [film for film in self._films if film.take(received)]
                self._hold(received)

    def closed(self, by: int = 0) -> None:
        """The connection ended; its packets are held as long as any others.

        Args:
            by: number of the connection, so that an abandoned reader does not close its successor's stream.
        """
        with self._lock:
            if by != self._owner:
                return
            self._stream = self._connection = None
            self._in_group = False

    def film(self, from_s: float, until_s: float) -> ClipPackets | None:
        """Starts to collect the packets around a moment.

        Args:
            from_s: monotonic seconds; the clip starts at the last key frame before it, or the first after it.
            until_s: end of the clip.

        Returns:
            The packets, which are completed until then; None if too many clips are being collected.
        """
        with self._lock:
            self._films = [film for film in self._films if not film.closed]
            if len(self._films) >= MAX_FILMS:
                return None
            groups = list(self._groups)
            while len(groups) > 1 and groups[1].began_s <= from_s:
                del groups[0]
            film = ClipPackets([packet for group in groups for packet in group.packets], until_s, self._max_bytes)
            self._films.append(film)
            return film

    def _understood(self) -> Connection | None:
        """Parameters of the connection's packets; created once they are wanted, because they take some 100 kB."""
        if self._stream is not None:  # changed only by the reader's thread, which runs this
            with suppress(av.FFmpegError, ValueError):  # a codec that FFmpeg cannot write to any file
                self._connection = Connection(self._stream)
            self._stream = None
        return self._connection

    def _hold(self, received: ReceivedPacket) -> None:
        if received.keyframe:
            self._groups.append(_Group(received.arrived_s))
            self._in_group = True
        if not self._in_group:
            return
        group = self._groups[-1]
        group.packets.append(received)
        group.bytes += len(received.data)
        self._bytes += len(received.data)
        while len(self._groups) > 1 and (
            self._groups[1].began_s <= received.arrived_s - self._before_s or self._bytes > self._max_bytes
        ):
            self._bytes -= self._groups.popleft().bytes
        if self._bytes > self._max_bytes:
            self._clear()

    def _clear(self) -> None:
        self._groups.clear()
        self._bytes = 0
        self._in_group = False


class ConnectionTap:
    """Passes one connection's packets to a ring: a `sources.PacketTap`.

    Args:
        ring: ring of the camera.
        number: number of the connection; later connections have higher ones.
    """

    def __init__(self, ring: Ring, number: int) -> None:
        self._ring = ring
        self._number = number

    def opened(self, stream: VideoStream) -> None:
        """See `Ring.opened`."""
        self._ring.opened(stream, self._number)

    def packet(self, packet: "av.Packet[VideoStream]", arrived_s: float) -> None:
        """See `Ring.packet`."""
        self._ring.packet(packet, arrived_s, self._number)

    def closed(self) -> None:
        """See `Ring.closed`."""
        self._ring.closed(self._number)
