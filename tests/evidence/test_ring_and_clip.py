"""The packet ring: clips cut from a camera's packets can be decoded, and have the right content."""

import io
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_detect.evidence import packet_ring as rings
from stream_detect.evidence.clip import cuttable, suffix, timeline, write_clip
from stream_detect.evidence.packet_ring import MAX_FILMS, ClipPackets, Connection, ReceivedPacket, Ring
from tests.scenes import FPS, film, play

BEFORE_S, AFTER_S = 10.0, 10.0
KEY_S = 2.0

film = cache(film)


def around(ring: Ring, source: bytes, moment_s: float, start_s: float = 0.0) -> ClipPackets:
    """Plays a video; at one moment, collects the packets around it."""
    gathered = None
    for now_s in play(source, ring, start_s):
        if gathered is None and now_s >= moment_s:
            gathered = ring.film(moment_s - BEFORE_S, moment_s + AFTER_S)
    assert gathered is not None
    return gathered


def decoded(path: Path) -> tuple[str, list[float], list[bool]]:
    """Codec, times of the frames, and which are key frames."""
    with av.open(str(path)) as clip:
        stream = clip.streams.video[0]
        frames = list(clip.decode(stream))
        return (
            stream.codec_context.codec.canonical_name,
            [frame.time for frame in frames],
            [f.key_frame for f in frames],
        )


@pytest.mark.parametrize(
    ("codec", "form", "name", "ending"),
    [
        ("libx264", "mpegts", "h264", "mp4"),
        ("libx264", "flv", "h264", "mp4"),
        ("libx265", "mpegts", "hevc", "mp4"),
        ("mjpeg", "avi", "mjpeg", "mp4"),
        ("libvpx", "matroska", "vp8", "mkv"),
    ],
)
def test_a_clip_has_ten_seconds_before_and_after(tmp_path: Path, codec: str, form: str, name: str, ending: str):
    gathered = around(Ring(BEFORE_S, 32_000_000), film(codec, form=form), 13.0)
    packets = cuttable(gathered.packets, 13.0)
    assert suffix(packets) == ending
    write_clip(tmp_path / "clip.part", packets)
    found, times, keys = decoded(tmp_path / "clip.part")
    assert found == name
    assert keys[0]
    first_s = packets[0].arrived_s
    assert 3.0 - KEY_S <= first_s <= 3.0
    assert times[0] <= 0.2, "a film with B-frames shows its first picture when two are there"
    length_s = times[-1] - times[0] + 1 / FPS
    assert length_s == pytest.approx(23.0 - first_s, abs=0.15)
    steps = [after - before for before, after in pairwise(times)]
    # Nothing is missing, except that at its end, in decoding order, frames between the last two may be.
    assert all(step == pytest.approx(1 / FPS, abs=0.002) for step in steps[:-3])
    assert not gathered.cut_short


def test_a_mp4_can_be_played_while_it_loads(tmp_path: Path):
    gathered = around(Ring(BEFORE_S, 32_000_000), film(), 13.0)
    write_clip(tmp_path / "clip", cuttable(gathered.packets, 13.0))
    content = (tmp_path / "clip").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_a_ring_holds_the_time_before_back_to_a_key_frame():
    ring = Ring(BEFORE_S, 32_000_000)
    for now_s in play(film(), ring):
        packets = ring.film(0.0, now_s).packets if now_s > 12 and round(now_s * FPS) % 40 == 0 else []
        if packets:
            assert packets[0].keyframe
            assert BEFORE_S - 1 / FPS <= now_s - packets[0].arrived_s <= BEFORE_S + KEY_S + 2 / FPS
            assert ring.bytes == sum(len(packet.data) for packet in packets)


def test_a_ring_is_bounded_by_bytes_in_whole_groups():
    ring = Ring(BEFORE_S, 60_000)
    most = 0
    for now_s in play(film(), ring):
        most = max(most, ring.bytes)
        packets = ring.film(0.0, now_s - 1).packets if round(now_s * FPS) % 40 == 0 else []
        assert not packets or packets[0].keyframe
    assert 30_000 < most <= 60_000


def test_a_group_larger_than_the_ring_is_dropped_completely(tmp_path: Path):
    ring = Ring(BEFORE_S, 3_000)
    for _ in play(film(), ring):
        assert ring.bytes <= 3_000


def test_a_clip_larger_than_its_room_ends_early():
    gathered = around(Ring(BEFORE_S, 60_000), film(), 13.0)
    assert gathered.cut_short
    assert sum(len(packet.data) for packet in gathered.packets) <= 120_000


def test_connections_cost_nothing_while_packets_are_not_needed(monkeypatch: pytest.MonkeyPatch):
    made = []
    monkeypatch.setattr(rings, "Connection", lambda stream: made.append(stream) or Connection(stream))
    ring = Ring(BEFORE_S, 32_000_000)
    ring.want(False)
    for now_s in play(film(), ring):
        assert not made
        if now_s > 8.5:
            break
    ring.want(True)
    assert any(made for _ in play(film(), ring))
    assert len(made) == 1


def test_unneeded_packets_are_not_held():
    ring = Ring(BEFORE_S, 32_000_000)
    for now_s in play(film(), ring):
        ring.want(now_s > 8.5)
        assert bool(ring.bytes) == (now_s > 10), "it begins again at a key frame"
        if now_s > 12:
            break


def test_a_clip_continues_over_a_reconnection(tmp_path: Path):
    """The camera is away from 6.3 to 9.3 s, and its timestamps restart; both connections have equal parameters."""
    ring = Ring(BEFORE_S, 32_000_000)
    for now_s in play(film(), ring):
        if now_s >= 6.3:
            break
    gathered = around(ring, film(), 13.0, start_s=9.3)
    packets = cuttable(gathered.packets, 13.0)
    write_clip(tmp_path / "clip", packets)
    _, times, keys = decoded(tmp_path / "clip")
    assert keys[0]
    assert packets[0].arrived_s == pytest.approx(2.0, abs=0.1)
    assert times[-1] - times[0] == pytest.approx(21.0, abs=0.2)
    steps = [after - before for before, after in pairwise(times)]
    assert max(steps) == pytest.approx(3.0, abs=0.2), "the hole is as long as it was"


@pytest.mark.parametrize(("moment_s", "wh"), [(5.0, (320, 240)), (13.0, (640, 480))])
def test_a_clip_is_of_one_size(tmp_path: Path, moment_s: float, wh: tuple[int, int]):
    """The camera returns at 8 s with another size: each clip is from the connection of its moment."""
    ring = Ring(BEFORE_S, 32_000_000)
    gathered = None
    for now_s in play(film(seconds=8), ring):
        if gathered is None and now_s >= min(moment_s, 7):
            gathered = ring.film(moment_s - BEFORE_S, moment_s + AFTER_S)
    for _ in play(film(w=640, h=480), ring, 8.0):
        pass
    write_clip(tmp_path / "clip", cuttable(gathered.packets, moment_s))
    with av.open(str(tmp_path / "clip")) as clip:
        frames = list(clip.decode(video=0))
    assert {(frame.width, frame.height) for frame in frames} == {wh}
    assert frames[0].key_frame


def test_no_more_clips_are_gathered_at_once_than_is_useful():
    ring = Ring(BEFORE_S, 32_000_000)
    for _ in play(film(seconds=2), ring):
        pass
    films = [ring.film(0.0, 99.0) for _ in range(MAX_FILMS)]
    assert all(films)
    assert ring.film(0.0, 99.0) is None
    films[0].close()
    assert ring.film(0.0, 99.0) is not None


def test_a_film_that_is_closed_holds_nothing():
    ring = Ring(BEFORE_S, 32_000_000)
    gathered = None
    for now_s in play(film(seconds=4), ring):
        if gathered is None:
            gathered = ring.film(now_s, now_s + 10)
        if now_s > 1:
            gathered.close()
    assert not gathered.packets


def test_packets_without_a_key_frame_make_no_clip():
    ring = Ring(BEFORE_S, 32_000_000)
    with av.open(io.BytesIO(film())) as source:
        ring.opened(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size and not packet.is_keyframe:
                ring.packet(packet, number / FPS)
    gathered = ring.film(0.0, 10.0)
    assert gathered.packets == []
    assert cuttable(gathered.packets, 5.0) == []


@pytest.fixture(scope="module")
def make() -> Callable[..., ReceivedPacket]:
    ring = Ring(BEFORE_S, 1_000_000)
    for _ in play(film(seconds=1), ring):
        pass
    one = ring.film(0.0, 0.0).packets[0]

    def received(arrived_s: float, pts: int | None, dts: int | None) -> ReceivedPacket:
        return ReceivedPacket(b"\0", pts, dts, one.time_base, True, arrived_s, one.connection)

    return received


@settings(max_examples=200, deadline=None)
@given(
    heard=st.lists(
        st.tuples(
            st.floats(0, 1e6),
            st.none() | st.integers(-(2**62), 2**62),
            st.none() | st.integers(-(2**62), 2**62),
        ),
        max_size=30,
    )
)
def test_any_timestamps_can_be_written_to_a_file(make: Callable[..., ReceivedPacket], heard: list):
    times = timeline([make(*one) for one in heard])
    assert len(times) == len(heard)
    decoding = [dts for _, dts in times]
    assert all(later > before for before, later in pairwise(decoding))
    assert not decoding or decoding[0] == 0
    assert all(pts >= dts for pts, dts in times)


def test_a_clock_jump_leaves_no_hole(make: Callable[..., ReceivedPacket]):
    """90 kHz timestamps wrap, restart or are missing: the times of arrival give the duration."""
    packets = [
        make(0.0, 0, 0),
        make(0.04, 3600, 3600),
        make(0.08, 2**33, 2**33),
        make(0.12, None, None),
        make(0.16, 7, 7),
    ]
    assert [dts for _, dts in timeline(packets)] == [0, 3600, 7200, 10800, 14400]


def send_all(film, connection):
    """Passes all packets of a film to a ring, from 1 s on."""
    for number, packet in enumerate(film.demux(film.streams.video[0])):
        if packet.dts is not None:
            connection.packet(packet, 1.0 + number / 25)


def test_a_reader_left_behind_neither_closes_nor_feeds_its_successors_ring():
    ring = Ring(10.0, 10**7)
    left_behind, successor = ring.connection(), ring.connection()
    source = film(seconds=4)
    with av.open(io.BytesIO(source)) as first, av.open(io.BytesIO(source)) as second:
        left_behind.opened(first.streams.video[0])
        packets = [packet for packet in first.demux(first.streams.video[0]) if packet.dts is not None]
        left_behind.packet(packets[0], 0.0)
        successor.opened(second.streams.video[0])
        left_behind.packet(packets[1], 0.1)
        left_behind.closed()
        send_all(second, successor)
    gathered = ring.film(0.0, 100.0)
    assert len(gathered.packets) == 1 + 100
    assert len({id(packet.connection) for packet in gathered.packets}) == 2


def test_a_reader_left_behind_that_opens_its_source_at_last_does_not_take_the_ring_from_its_successor():
    ring = Ring(10.0, 10**7)
    left_behind, successor = ring.connection(), ring.connection()
    source = film(seconds=4)
    with av.open(io.BytesIO(source)) as first, av.open(io.BytesIO(source)) as second:
        successor.opened(second.streams.video[0])
        left_behind.opened(first.streams.video[0])
        left_behind.closed()
        send_all(second, successor)
    assert len(ring.film(0.0, 100.0).packets) == 100
