"""Clips from the packets of a real RTSP server."""

import itertools
import threading
from pathlib import Path

import av
import pytest

from stream_detect.evidence.clip import cuttable, suffix, write_clip
from stream_detect.evidence.packet_ring import Ring
from stream_detect.sources.address import parse_address
from stream_detect.sources.reader import Reader, ReaderSettings
from tests.rtsp.films import FILMS
from tests.rtsp.peer import RtspServer


def watch(url: str, ring: Ring, pictures: int, transport: str = "tcp") -> None:
    address = parse_address(url, from_settings_file=False)
    with Reader(address, ReaderSettings(transport=transport), threading.Event(), [ring]) as reader:
        for _ in itertools.islice(reader.pictures(), pictures):
            pass


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as clip:
        return list(clip.decode(video=0))


@pytest.mark.parametrize(
    ("film", "transport", "ending"),
    [
        ("face", "tcp", "mp4"),
        ("face", "udp", "mp4"),
        ("h265", "tcp", "mp4"),
        ("jpeg", "tcp", "mp4"),
        ("vp8", "tcp", "mkv"),
        ("portrait", "tcp", "mp4"),
        ("changing", "tcp", "mp4"),
    ],
)
def test_what_was_received_can_be_seen_again(
    rtsp_server: RtspServer, tmp_path: Path, film: str, transport: str, ending: str
):
    ring = Ring(10.0, 32_000_000)
    watch(rtsp_server.url(film), ring, 110 if film == "changing" else 60, transport)
    packets = cuttable(ring.film(0.0, 0.0).packets, packets_end(ring))
    assert suffix(packets) == ending
    write_clip(tmp_path / "clip", packets)
    frames = decoded(tmp_path / "clip")
    assert frames[0].key_frame
    assert not any(frame.is_corrupt for frame in frames)
    assert {(frame.width, frame.height) for frame in frames} == set(FILMS[film].whs)
    assert len(frames) == pytest.approx(len(packets), abs=2)
    times = [frame.time for frame in frames]
    assert times[-1] - times[0] == pytest.approx(len(frames) / 25, abs=0.3)


def packets_end(ring: Ring) -> float:
    return ring.film(0.0, 0.0).packets[-1].arrived_s


def test_a_clip_continues_over_a_restart_of_the_server(own_rtsp_server: RtspServer, tmp_path: Path):
    ring = Ring(20.0, 32_000_000)
    watch(own_rtsp_server.url("face"), ring, 40)
    own_rtsp_server.stop(kill=True)
    own_rtsp_server.start()
    watch(own_rtsp_server.url("face"), ring, 40)
    packets = cuttable(ring.film(0.0, 0.0).packets, packets_end(ring))
    assert len({id(packet.connection) for packet in packets}) == 2
    write_clip(tmp_path / "clip", packets)
    times = [frame.time for frame in decoded(tmp_path / "clip")]
    assert len(times) == pytest.approx(len(packets), abs=2)
    steps = [after - before for before, after in itertools.pairwise(times)]
    assert sorted(steps)[-2] < 0.3, "one hole only"
