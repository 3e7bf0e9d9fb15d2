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
"""Codecs that MP4 supports; others are written to Matroska."""

MAX_STEP_S = 10.0
"""A longer step of the timestamps, or a step back, means that the clock jumped; then the arrivals give the true
duration."""

MAX_DELAY_S = 5.0
"""A frame that is shown this long after its decoding time is not just reordered."""


def suffix(packets: Sequence[ReceivedPacket]) -> str:
    """Suffix of a file that fits the packets' codec: "mp4" or "mkv"."""
    return "mp4" if packets[0].connection.codec in MP4_CODECS else "mkv"


def cuttable(packets: Sequence[ReceivedPacket], moment_s: float) -> list[ReceivedPacket]:
    """The packets around a moment that one file can contain.

    A connection with other parameters (codec, size) needs another file. So the clip contains the connections around the
    moment that are alike, each starting at a key frame.

    Args:
        packets: in order of arrival.
        moment_s: monotonic seconds.

    Returns:
        A contiguous part of them; empty if there is no key frame.
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
    """Presentation and decoding time of each packet in `TICK`s, from 0, with increasing decoding times.

    The sender's steps are kept. If they are implausible (no timestamps, another connection, a clock that jumped), the
    step between the arrivals is used.

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
    """Writes a file, without syncing it to disk.

    Args:
        path: path of the file; the codec determines the format (`suffix`), not the name.
        packets: packets of similar connections, starting with a key frame (`cuttable`).

    Raises:
        OSError: the disk is full, or cannot be written.
        MediaError: FFmpeg cannot write these packets to a file.
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
        raise MediaError(f"the packets cannot be written to a file: {error}") from error


_FIRST_OF_FFMPEG = 1000
"""Error numbers of the system are smaller, those of FFmpeg larger."""


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
