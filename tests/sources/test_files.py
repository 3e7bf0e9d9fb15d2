"""Files as cameras: real time, looping, rotation, key frames only, and damage."""

import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from stream_detect.errors import SourceEndedError, SourceRefusedError, SourceUnreachableError
from stream_detect.sources.address import parse_address
from stream_detect.sources.reader import Reader, ReaderSettings, SourceFrame
from tests.garbage import frames_in_cycles

Read = Callable[..., list[SourceFrame]]


def opened(path: Path, *, stopping: threading.Event | None = None, taps: tuple = (), loop: bool = False) -> Reader:
    address = parse_address(f"file:{path}", from_settings_file=True)
    return Reader(address, ReaderSettings(loop=loop), stopping or threading.Event(), taps)


def corners(frame: av.VideoFrame) -> list[bool]:
    """Which of top left, top right, bottom right, bottom left are white."""
    grey = frame.to_ndarray(format="gray")
    return [bool(grey[y, x] > 150) for y, x in ((30, 30), (30, -30), (-30, -30), (-30, 30))]


def test_a_file_is_played_in_real_time_and_ends(clip: Callable[..., Path]) -> None:
    with opened(clip(count=20)) as reader:
        found, began = [], time.monotonic()
        with pytest.raises(SourceEndedError, match="has ended"):
            found.extend(reader.pictures())  # extend keeps the frames before the end
        assert time.monotonic() - began > 0.7
        assert (reader.codec, reader.fps, reader.decode_errors) == ("h264", 25.0, 0)
    assert len(found) == 20
    assert np.diff([picture.time_s for picture in found]) == pytest.approx([0.04] * 19, abs=1e-6)
    assert [picture.frame.pts for picture in found] == [round(picture.time_s * 90000) for picture in found]
    assert not any(picture.gap for picture in found)
    assert [index for index, picture in enumerate(found) if picture.keyframe] == [0, 10]


def test_frames_are_freed_as_soon_as_they_were_used(clip: Callable[..., Path]) -> None:
    times: list[float] = []
    with frames_in_cycles() as left, opened(clip(count=5)) as reader, pytest.raises(SourceEndedError):
        times.extend(picture.time_s for picture in reader.pictures())
    assert len(times) == 5
    assert left == []


def test_a_loop_keeps_its_timing(clip: Callable[..., Path], read: Read) -> None:
    found = read(f"file:{clip(count=8)}", 20, loop=True)
    steps = np.diff([picture.time_s for picture in found])
    assert (steps > 0).all()
    assert np.median(steps) == pytest.approx(0.04, abs=0.001)


def test_an_undecodable_loop_does_not_spin(tmp_path: Path, clip: Callable[..., Path]) -> None:
    whole = clip("whole.mp4").read_bytes()
    start = whole.index(b"mdat") + 4
    end = whole.index(b"moov") - 4
    (tmp_path / "broken.mp4").write_bytes(whole[:start] + bytes(end - start) + whole[end:])
    with opened(tmp_path / "broken.mp4", loop=True) as reader, pytest.raises(SourceUnreachableError, match="decoded"):
        next(reader.pictures())


@pytest.mark.parametrize(
    ("rotation", "white", "wh"),
    [
        (0, [True, False, False, False], (320, 240)),
        (90, [False, False, False, True], (240, 320)),
        (180, [False, False, True, False], (320, 240)),
        (-90, [False, True, False, False], (240, 320)),
    ],
)
def test_rotated_pictures_are_turned_upright(
    clip: Callable[..., Path], read: Read, rotation: int, white: list[bool], wh: tuple[int, int]
) -> None:
    for picture in read(f"file:{clip(rotation=rotation)}", 3):
        assert (picture.frame.width, picture.frame.height) == wh
        assert corners(picture.frame) == white
        assert picture.frame.rotation == 0
        assert picture.frame.pts == round(picture.time_s * 90000)


@pytest.mark.parametrize("bframes", [0, 2])
def test_key_frames_only_and_back(clip: Callable[..., Path], bframes: int) -> None:
    with opened(clip(count=60, bframes=bframes)) as reader:
        pictures = reader.pictures()
        reader.keyframes_only = True
        idle = list(itertools.islice(pictures, 2))
        assert [picture.keyframe for picture in idle] == [True, True]
        assert idle[1].time_s - idle[0].time_s == pytest.approx(0.4)
        reader.keyframes_only = False
        full = list(itertools.islice(pictures, 12))
        assert full[0].keyframe  # no frame that depends on skipped ones
        assert full[0].time_s - idle[1].time_s == pytest.approx(0.4)
        assert full[-1].time_s - full[0].time_s == pytest.approx(11 * 0.04)
        assert not any(picture.gap for picture in idle + full)
        assert reader.decode_errors == 0


def test_switching_in_the_middle_skips_to_the_next_key_frame(clip: Callable[..., Path]) -> None:
    with opened(clip(count=60)) as reader:
        pictures = reader.pictures()
        assert [picture.keyframe for picture in itertools.islice(pictures, 3)] == [True, False, False]
        reader.keyframes_only = True
        after = list(itertools.islice(pictures, 4))
        assert after[-1].keyframe


def test_damage_is_counted_left_out_and_marked(clip: Callable[..., Path], tmp_path: Path) -> None:
    path = clip("film.h264", count=60, key_every=20)
    content = path.read_bytes()
    with av.open(str(path)) as container:
        packet = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size][25]
    start, size = packet
    damaged = content[: start + size // 2] + b"\x55" * (size // 3) + content[start + size // 2 + size // 3 :]
    (tmp_path / "damaged.h264").write_bytes(damaged)
    found = []
    with opened(tmp_path / "damaged.h264") as reader:
        with pytest.raises(SourceEndedError):
            found.extend(reader.pictures())
        assert reader.decode_errors > 0
    marked = [index for index, picture in enumerate(found) if picture.gap]
    assert len(marked) == 1
    assert found[marked[0]].keyframe
    assert len(found) < 60


class Taken:
    """A packet tap that records its calls."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.size = 0

    def opened(self, stream: av.video.stream.VideoStream) -> None:
        self.notes.append(stream.codec_context.name)

    def packet(self, packet: av.Packet, arrived_s: float) -> None:
        assert arrived_s <= time.monotonic()
        self.size += packet.size

    def closed(self) -> None:
        self.notes.append("closed")


def test_taps_are_given_every_packet(clip: Callable[..., Path]) -> None:
    tap = Taken()
    with opened(clip(count=10), taps=(tap,)) as reader:
        reader.keyframes_only = True  # nothing is kept from them
        with pytest.raises(SourceEndedError):
            list(reader.pictures())
        assert tap.size == reader.received_bytes > 0
        assert tap.notes == ["h264"]
    assert tap.notes == ["h264", "closed"]


def test_taps_learn_of_a_loop(clip: Callable[..., Path]) -> None:
    tap = Taken()
    with opened(clip(count=5), taps=(tap,), loop=True) as reader:
        list(itertools.islice(reader.pictures(), 8))
    assert tap.notes == ["h264", "closed", "h264", "closed"]


def test_stopping_ends_quietly(clip: Callable[..., Path]) -> None:
    stopping = threading.Event()
    with opened(clip(count=50), stopping=stopping) as reader:
        pictures = reader.pictures()
        next(pictures)
        stopping.set()
        assert len(list(pictures)) <= 1


@pytest.mark.parametrize(("content", "problem"), [(None, "no such file"), (b"\x00text" * 999, "no video")])
def test_a_file_without_video(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceUnreachableError, match=problem), opened(path):
        pass


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(SourceUnreachableError, match="no video"), opened(path):
        pass


def test_a_playlist_from_the_network_cannot_lead_to_files(
    clip: Callable[..., Path], tmp_path: Path, web_folder: str, read: Read
) -> None:
    secret = clip("secret.ts")
    (tmp_path / "list.m3u8").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises((SourceUnreachableError, SourceEndedError)):
        read(f"{web_folder}/list.m3u8", 1)
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n")
    assert len(read(f"{web_folder}/list.m3u8", 1)) == 1


def test_hls_is_held_back_to_real_time_and_its_end_is_a_failure(
    clip: Callable[..., Path], web_folder: str, read: Read
) -> None:
    clip("film.m3u8", count=25, options={"hls_time": "0.4", "hls_list_size": "0"})
    began = time.monotonic()
    with pytest.raises(SourceEndedError, match="closed"):
        read(f"{web_folder}/film.m3u8", 1000)
    assert time.monotonic() - began > 0.9


def test_motion_jpeg_is_timed_by_its_arrival(webcam: str, read: Read) -> None:
    found = read(f"{webcam}/film", 20)
    assert found[0].frame.width == 160
    steps = np.diff([picture.time_s for picture in found])
    assert steps.max() > 0.07  # 10 fps, not the 25 that FFmpeg assumes; after a pause some arrive together


def test_http_refusals_are_distinguished(webcam: str, read: Read) -> None:
    with pytest.raises(SourceRefusedError, match="401"):
        read(f"{webcam.replace('http://', 'http://viewer:s3cret@')}/locked", 1)
    with pytest.raises(SourceUnreachableError, match="no video"):
        read(f"{webcam}/page", 1)
