"""Video files: rotation, odd timestamps, bit depths and interlacing; no access to other files; clear errors."""

import io
import os
import socket
from contextlib import closing
from fractions import Fraction

import av
import numpy as np
import pytest

from stream_detect.errors import MediaError, ReviewCancelledError
from stream_detect.sources.display import Deinterlacer
from stream_detect.sources.file_frame import Decoding
from stream_detect.sources.media import open_media
from stream_detect.sources.sound import open_sound
from stream_detect.sources.stills import TooLargeError
from stream_detect.sources.video_file import FrameTimes, VideoFile
from tests.garbage import frames_in_cycles
from tests.sources.media_files import film, picture, sound, turned

NEITHER = "neither a picture nor a video"


def pictures(count, **options):
    return [picture(seed, **options) for seed in range(count)]


def seen(file, **options):
    with closing(open_media(file, Decoding(**options))) as media:
        return media.facts, [(shot.time_s, shot.rgb()) for shot in media.shots()], media.damaged


def test_a_video_is_timed_from_its_first_frame(tmp_path):
    file = film(tmp_path / "a.jpg", pictures(6), form="mp4", pts=[30 + n for n in range(6)])
    facts, shots, damaged = seen(file)
    assert (facts.kind, facts.codec, facts.wh, facts.fps) == ("video", "h264", (96, 64), 10)
    assert facts.duration_s == pytest.approx(0.6)
    assert [time_s for time_s, _ in shots] == pytest.approx([n / 10 for n in range(6)])
    assert all(np.abs(image.astype(int) - picture(n)).mean() < 8 for n, (_, image) in enumerate(shots))
    assert damaged == 0


def test_only_wanted_frames_are_given(tmp_path):
    with VideoFile(film(tmp_path / "a.mp4", pictures(6))) as footage:
        shots = list(footage.shots(lambda time_s: round(time_s * 10) % 2 == 1))
    assert [round(shot.time_s, 3) for shot in shots] == [0.1, 0.3, 0.5]


def test_a_telephone_held_upright(tmp_path):
    lying = [np.ascontiguousarray(np.rot90(picture(n))) for n in range(3)]
    facts, shots, _ = seen(turned(film(tmp_path / "a.mp4", lying), (64, 96)))
    assert facts.wh == (96, 64)
    assert all(np.abs(image.astype(int) - picture(n)).mean() < 8 for n, (_, image) in enumerate(shots))


@pytest.mark.parametrize("is_turned", [False, True])
def test_frames_are_freed_as_soon_as_they_were_used(tmp_path, is_turned):
    file = film(tmp_path / "a.mp4", pictures(6))
    if is_turned:
        turned(file, (64, 96))
    with frames_in_cycles() as left:
        assert len(seen(file)[1]) == 6
    assert left == []


@pytest.mark.parametrize("media_time", [2**31 - 1, -(2**31)])
def test_a_film_that_its_edit_list_hides_is_shown_all_the_same(tmp_path, media_time):
    file = film(tmp_path / "a.mp4", pictures(6))
    content = bytearray(file.read_bytes())
    at = content.index(b"elst") + 16  # after version and flags, the count and the first entry's duration
    content[at : at + 4] = media_time.to_bytes(4, "big", signed=True)
    file.write_bytes(content)
    facts, shots, damaged = seen(file)
    assert (facts.kind, len(shots), damaged) == ("video", 6, 0)


def test_a_variable_frame_rate_keeps_its_times(tmp_path):
    pts = [0, 1, 2, 12, 13, 40, 41]
    _, shots, _ = seen(film(tmp_path / "a.mkv", pictures(7), pts=pts))
    assert [time_s for time_s, _ in shots] == pytest.approx([p / 10 for p in pts])


@pytest.mark.parametrize(
    ("codec", "pixels", "suffix"),
    [("libx264", "yuv420p10le", "mp4"), ("libx264", "yuv444p", "mkv"), ("ffv1", "yuv422p10le", "mkv")],
)
def test_depths_and_samplings(tmp_path, codec, pixels, suffix):
    _, shots, _ = seen(film(tmp_path / f"a.{suffix}", pictures(3), codec=codec, pixels=pixels))
    assert all(np.abs(image.astype(int) - picture(n)).mean() < 8 for n, (_, image) in enumerate(shots))


def test_frames_without_timestamps_are_counted(tmp_path):
    _, shots, _ = seen(film(tmp_path / "a.h264", pictures(5), form="h264", options={"bf": "0"}))
    assert [time_s for time_s, _ in shots] == pytest.approx([n / 25 for n in range(5)], abs=0.09)
    assert np.all(np.diff([time_s for time_s, _ in shots]) > 0)


@pytest.mark.parametrize(
    ("fps", "pts", "times"),
    [
        (0, [None, None, None], [0, 0.04, 0.08]),
        (0, [500, 500, 500], [0, 0.04, 0.08]),
        (10, [0, 100, None, 300], [0, 0.1, 0.2, 0.3]),
        (10, [5000, 5100, 0, 100], [0, 0.1, 0.2, 0.3]),  # a wrapped clock
    ],
)
def test_times_increase_for_any_timestamps(fps, pts, times):
    clock = FrameTimes(fps)
    given = []
    for each in pts:
        frame = av.VideoFrame(16, 16, "yuv420p")
        frame.pts, frame.time_base = each, Fraction(1, 1000)
        given.append(clock.at(frame))
    assert given == pytest.approx(times)


def combed(seed):
    """An interlaced frame of a moving bar."""
    image = np.full((64, 96, 3), 30, np.uint8)
    at = 4 + 8 * seed
    image[0::2, at : at + 16] = 220
    image[1::2, at + 12 : at + 28] = 220
    return image


def comb(image):
    grey = image[..., 0].astype(int)
    return np.abs(grey[1:-1:2] - (grey[:-2:2] + grey[2::2]) / 2).mean()


def test_interlaced_frames_are_made_whole(tmp_path):
    file = film(tmp_path / "a.mpg", [combed(n) for n in range(6)], codec="mpeg2video", tick=Fraction(1, 25),
                interlaced=True, options={"q": "2"})  # fmt: skip
    with av.open(str(file)) as container:
        assert next(container.decode(video=0)).interlaced_frame
    _, shots, _ = seen(file)
    assert len(shots) == 6
    assert [time_s for time_s, _ in shots] == pytest.approx([n / 25 for n in range(6)], abs=0.001)
    combs = [comb(image) for _, image in shots[1:5]]
    assert max(combs) < 0.5 * comb(combed(2))


def test_frames_that_are_whole_pass_untouched():
    frame = av.VideoFrame(16, 16, "yuv420p")
    assert Deinterlacer().push(frame) == [frame]


def test_damage_in_the_middle_is_passed_over_and_counted(tmp_path):
    file = film(tmp_path / "a.mp4", pictures(40), options={"g": "5"})
    content = bytearray(file.read_bytes())
    begin = content.index(b"mdat") + len(content) // 3
    content[begin : begin + 400] = bytes(400)
    file.write_bytes(content)
    _, shots, _ = seen(file)
    assert 20 < len(shots) <= 40


def test_too_large_frames_are_not_decoded(tmp_path):
    file = film(tmp_path / "a.mp4", pictures(2))
    with pytest.raises(TooLargeError, match="96x64"):
        seen(file, max_pixels=5000)


def test_reading_can_be_stopped_between_packets(tmp_path):
    def stop():
        raise ReviewCancelledError("cancelled")

    with pytest.raises(ReviewCancelledError):
        seen(film(tmp_path / "a.mp4", pictures(2)), between=stop)


def test_a_file_without_video_is_reported(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("This is only text, whatever its name says.\n" * 50, encoding="utf-8")
    film(tmp_path / "cut.mp4", pictures(10))
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "cut.mp4").read_bytes()[:300])
    os.mkfifo(tmp_path / "pipe.mp4")
    for name, reason in (
        ("empty.mp4", "the file is empty"),
        ("text.mp4", NEITHER),
        ("cut.mp4", NEITHER),
        ("pipe.mp4", "a regular file"),
        (".", "a regular file"),
        ("gone.mp4", "No such file"),
    ):
        with pytest.raises(MediaError, match=reason):
            seen(tmp_path / name)
    with pytest.raises(MediaError, match="it has sound but no video"):
        seen(sound(tmp_path / "sound.mp4"))


@pytest.mark.parametrize("body", [
    "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n",
    "ffconcat version 1.0\nfile '{target}'\n",
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    '<?xml version="1.0"?><MPD><Period><BaseURL>{target}</BaseURL></Period></MPD>',
])  # fmt: skip
def test_a_file_opens_no_other_file(tmp_path, body):
    target = film(tmp_path / "secret.mp4", pictures(3))
    for name in ("list.m3u8", "list.ffconcat", "list.mp4"):
        (tmp_path / name).write_text(body.format(target=target.name), encoding="utf-8")
        with pytest.raises(MediaError):
            seen(tmp_path / name)


def test_a_playlist_asks_no_network(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        (tmp_path / "a.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\n{address}\n#EXT-X-ENDLIST\n", encoding="utf-8")
        with pytest.raises(MediaError):
            seen(tmp_path / "a.mp4")
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_names_are_never_protocols_or_patterns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a|b.mp4", "http:x.mp4", "frame%03d.mp4", "-i.mp4"):
        made = film(tmp_path / "plain.mp4", pictures(2)).rename(tmp_path / name)
        assert len(seen(made)[1]) == 2


def test_sound_is_found_and_timed(tmp_path):
    assert open_sound(film(tmp_path / "a.mp4", pictures(2)), {"aac"}) is None
    assert open_sound(tmp_path / "gone.mp4", {"aac"}) is None
    opened = open_sound(sound(tmp_path / "b.mp4"), {"aac"})
    with closing(opened):
        packets = list(opened.packets())
    assert 10 < len(packets) < 25
    assert open_sound(tmp_path / "b.mp4", {"opus"}) is None


def test_an_open_file_is_as_good_as_a_path(tmp_path):
    content = io.BytesIO(film(tmp_path / "a.mp4", pictures(3)).read_bytes())
    assert len(seen(content)[1]) == 3


def heic(path, count):
    """Not from a phone, but a file of the same kind with one picture (FFmpeg can make no other)."""
    content = bytearray(film(path, pictures(count), form="mp4").read_bytes())
    begin = content.index(b"ftyp") + 4
    content[begin : begin + 4] = b"heic"
    path.write_bytes(content)
    return path


def test_a_heic_picture_is_a_picture(tmp_path):
    facts, shots, _ = seen(heic(tmp_path / "a.jpg", 1))
    assert (facts.kind, facts.codec, facts.wh, len(shots)) == ("image", "heic", (96, 64), 1)
    facts, shots, _ = seen(heic(tmp_path / "b.jpg", 4))
    assert (facts.kind, len(shots)) == ("video", 4)
