"""Writes received packets to a video file, without encoding them again."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av

from stream_detect.errors import MediaError
from stream_detect.evidence.packet_ring import ReceivedPacket

TICK = Fraction(1, 90_000)
MP4_CODECS = frozenset({"h264", "hevc", "mjpeg", "mpeg4", "av1", "vp9"})
"""What MP4 carries; anything else goes into Matroska."""

MAX_STEP_S = 10.0
"""A longer step of the timestamps, or one back, is a clock that jumped: the arrivals say how long it really was."""

MAX_DELAY_S = 5.0
"""A picture shown so much later than it is decoded is no reordering."""


def suffix(packets: Sequence[ReceivedPacket]) -> str:
    """Of the file that fits the packets' codec: "mp4" or "mkv"."""
    return "mp4" if packets[0].connection.codec in MP4_CODECS else "mkv"


def cuttable(packets: Sequence[ReceivedPacket], moment_s: float) -> list[ReceivedPacket]:
    """The packets around a moment that one file can hold.

    A connection with other parameters (codec, size) needs another file. So the clip is of the connections about the
    moment that are alike, and each of them begins at a key frame.

    Args:
        packets: in the order in which they came.
        moment_s: monotonic seconds.

    Returns:
        some of them, next to each other; empty when there is no key frame.
    """
    kept: list[ReceivedPacket] = []
    for packet in packets:
        if kept and packet.connection.alike != kept[-1].connection.alike:
            if packet.arrived_s > moment_s:
                break
            kept.clear()
        begins = not kept or packet.connection is not kept[-1].connection
        if packet.keyframe or not begins:
            kept.append(packet)
    return kept


def timeline(packets: Sequence[ReceivedPacket]) -> list[tuple[int, int]]:
    """When each packet is shown and decoded, in `TICK`s, as files want it: from 0, decoding times rising.

    The sender's steps are kept. Where they cannot be believed (no timestamps, another connection, a clock that jumped)
    the step is the one of the arrivals.

    Returns:
        (pts, dts) of each packet, pts >= dts.
    """
    if not packets:
        return []
    decoded = [0]
    for before, packet in pairwise(packets):
        decoded.append(decoded[-1] + max(round(_step_s(before, packet) / TICK), 1))
    return [(dts + round(_delay_s(packet) / TICK), dts) for packet, dts in zip(packets, decoded, strict=True)]


def write_clip(path: Path, packets: Sequence[ReceivedPacket]) -> None:
    """Write a file; not yet safe against a power cut.

    Args:
        path: of the file; its name says nothing about its form, the codec does (`suffix`).
        packets: of connections that are alike, the first a key frame (`cuttable`).

    Raises:
        OSError: the disk is full, or cannot be written.
        MediaError: FFmpeg cannot put these packets into a file.
    """
    fast = suffix(packets) == "mp4"
    try:
        with av.open(
            str(path),
            "w",
            format="mp4" if fast else "matroska",
            options={"movflags": "+faststart"} if fast else {},  # so that it plays while it loads
        ) as output:
            stream = output.add_stream_from_template(packets[0].connection.template, opaque=True)
            for received, (pts, dts) in zip(packets, timeline(packets), strict=True):
                packet = av.Packet(received.data)
                packet.pts, packet.dts, packet.time_base = pts, dts, TICK
                packet.is_keyframe = received.keyframe
                packet.stream = stream
                output.mux_one(packet)
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None and error.errno < _FIRST_OF_FFMPEG:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise MediaError(f"the packets cannot be put into a file: {error}") from error


_FIRST_OF_FFMPEG = 1000
"""Numbers of the system's errors are smaller, FFmpeg's own ones larger."""


def _step_s(before: ReceivedPacket, packet: ReceivedPacket) -> Fraction:
    if before.connection is packet.connection and before.dts is not None and packet.dts is not None:
        step_s = packet.dts * packet.time_base - before.dts * before.time_base
        if 0 < step_s <= MAX_STEP_S:
            return step_s
    return Fraction(max(packet.arrived_s - before.arrived_s, 0.0))


def _delay_s(packet: ReceivedPacket) -> Fraction:
    if packet.pts is None or packet.dts is None:
        return Fraction(0)
    delay_s = (packet.pts - packet.dts) * packet.time_base
    return delay_s if 0 <= delay_s <= MAX_DELAY_S else Fraction(0)
