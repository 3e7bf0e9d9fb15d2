"""The annotated video: badge, frame times and sound are right, and no partial file is left."""

import resource
import shutil
import threading
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest

from stream_detect.errors import (
    DiskFullError,
    MediaError,
    ReviewCancelledError,
    ReviewError,
    StorageError,
    StreamDetectError,
)
from stream_detect.overlay.sprite import STATE_RGB
from stream_detect.review.annotated_video import StoredResults
from stream_detect.review.annotated_video import annotate as draw
from stream_detect.review.examination import Hooks, examine
from stream_detect.storage.records import Upload
from stream_detect.types import VerdictState
from tests.review.scripted_models import moving, review_models, scene
from tests.sources.media_files import animation_bytes, film, still_bytes, turned

FAST = {"preset": "ultrafast"}
FAKE = np.array(STATE_RGB[VerdictState.FAKE])


def annotate(path, to, models, rate_hz, hooks=None):
    """Draws the stored results of an examination by the first model."""
    results = path.with_name(f"{path.name}.json")
    results.write_text(examine(path, models, rate_hz).as_json("", Upload(path.name, 0, "")))
    stored = StoredResults.read(results, models.models[0].judge.name, models.settings.window)
    draw(path, to, stored, models.settings, hooks)


def frames_of(path):
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def is_marked(image):
    """Whether a large area has the badge's vermilion."""
    return (np.abs(image.astype(int) - FAKE).sum(axis=2) < 90).mean() > 0.004


def test_every_frame_is_there_and_the_badge_is_burnt_in(tmp_path):
    pts = [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, *range(12, 50)]
    film(tmp_path / "a.mkv", moving(len(pts)), pts=pts, options=FAST)
    to = tmp_path / "new" / "a.mp4"
    shares = []
    annotate(tmp_path / "a.mkv", to, review_models(), 5.0, Hooks(shares.append))
    made = frames_of(to)
    assert [time_s for time_s, _ in made] == pytest.approx([p / 10 for p in pts])
    assert made[0][1].shape == (240, 320, 3)
    assert not is_marked(made[0][1])
    assert is_marked(made[-1][1])
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    content = to.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # can be played while it loads
    assert [path.name for path in to.parent.iterdir()] == ["a.mp4"]


def test_decoded_ahead_it_is_the_same(tmp_path):
    file = film(tmp_path / "a.mp4", [scene(n) for n in range(50)], options=FAST)
    made = []
    for threads in (1, 2):
        annotate(file, tmp_path / "made.mp4", review_models(threads=threads), 5.0)
        made.append((tmp_path / "made.mp4").read_bytes())
    assert made[0] == made[1]
    progress = []
    with pytest.raises(ReviewCancelledError):
        annotate(
            file,
            tmp_path / "b.mp4",
            review_models(threads=2),
            5.0,
            Hooks(progress.append, cancelled=lambda: bool(progress)),
        )
    assert not (tmp_path / "b.mp4").exists()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("review-ahead")]


def with_sound(path, begins):
    """A video whose frames start at 2 s, with sound that starts `begins` seconds later."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10, options=FAST)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, 10)
        audio = container.add_stream("aac", rate=16_000)
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(scene(), format="rgb24")
            frame.pts, frame.time_base = 20 + number, Fraction(1, 10)
            container.mux(video.encode(frame))
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.float32), "fltp", "mono")
            sound.sample_rate, sound.pts = 16_000, round(16_000 * (2 + begins)) + 1600 * number
            container.mux(audio.encode(sound))
        container.mux(video.encode())
        container.mux(audio.encode())
    return path


@pytest.mark.parametrize("begins", [0.0, 0.5, -0.5])
def test_sound_is_copied_and_stays_in_sync(tmp_path, begins):
    annotate(with_sound(tmp_path / "a.mkv", begins), tmp_path / "b.mp4", review_models(), 5.0)
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        packets = [packet for packet in container.demux(audio=0) if packet.pts is not None]
    first_s = float(packets[0].pts * packets[0].time_base)
    assert first_s == pytest.approx(max(begins, 0.0), abs=0.15)
    assert 20 < len(packets) < 60


def test_a_turned_and_an_odd_picture(tmp_path):
    lying = [np.ascontiguousarray(np.rot90(scene()))] * 5
    annotate(
        turned(film(tmp_path / "a.mp4", lying, options=FAST), (240, 320)), tmp_path / "b.mp4", review_models(), 5.0
    )
    assert frames_of(tmp_path / "b.mp4")[0][1].shape == (240, 320, 3)
    (tmp_path / "odd.gif").write_bytes(animation_bytes("GIF", [scene(n, (321, 241)) for n in range(4)]))
    annotate(tmp_path / "odd.gif", tmp_path / "c.mp4", review_models(), 5.0)
    assert len(frames_of(tmp_path / "c.mp4")) == 4


def test_of_a_picture_a_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(still_bytes("PNG", scene()))
    annotate(tmp_path / "a.png", tmp_path / "b", review_models(), 5.0)
    assert (tmp_path / "b").read_bytes()[:3] == b"\xff\xd8\xff"
    ((_, image),) = frames_of(tmp_path / "b")
    assert is_marked(image)


def test_nothing_is_left_of_what_was_not_finished(tmp_path):
    film(tmp_path / "a.mp4", moving(20), options=FAST)
    asked = []

    def cancelled():
        asked.append(1)
        return len(asked) > 10

    (tmp_path / "out").mkdir()
    with pytest.raises(ReviewCancelledError):
        annotate(tmp_path / "a.mp4", tmp_path / "out" / "b.mp4", review_models(), 5.0, Hooks(cancelled=cancelled))
    with pytest.raises(ReviewError, match=r"time was up \(review\.max_run_s\) 0\.0 s into the video"):
        annotate(tmp_path / "a.mp4", tmp_path / "out" / "b.mp4", review_models(max_run_s=1e-9), 5.0)
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    with pytest.raises(MediaError):
        annotate(tmp_path / "bad.mp4", tmp_path / "out" / "b.mp4", review_models(), 5.0)
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(StorageError, match="cannot be written"):
        annotate(tmp_path / "a.mp4", tmp_path / "bad.mp4" / "b.mp4", review_models(), 5.0)


def test_a_full_disk_is_reported_and_left_clean(tmp_path):
    film(tmp_path / "a.mp4", [scene(n) for n in range(30)], options=FAST)
    (tmp_path / "out").mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(StreamDetectError, match="written"):
            annotate(tmp_path / "a.mp4", tmp_path / "out" / "b.mp4", review_models(), 5.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "out").iterdir()) == []


def test_the_free_space_that_must_remain_is_kept_while_it_is_written(tmp_path, monkeypatch):
    film(tmp_path / "a.mp4", [scene(n) for n in range(100)], options=FAST)
    (tmp_path / "out").mkdir()
    free = iter((700_000_000, 600_000_000))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=next(free, 400_000_000)))
    shares = []
    with pytest.raises(DiskFullError, match=r"400 MB are free, 500 MB must stay free \(review.min_free_bytes\)"):
        annotate(
            tmp_path / "a.mp4",
            tmp_path / "out" / "b.mp4",
            review_models(min_free_bytes=500_000_000),
            5.0,
            Hooks(shares.append),
        )
    assert 0 < shares[-1] < 1
    assert list((tmp_path / "out").iterdir()) == []


def test_sound_whose_times_go_back_is_left_out(tmp_path):
    """Two recordings in one file, such as those of a receiver that was switched on again."""
    part = with_sound(tmp_path / "part.ts", 0.0).read_bytes()
    (tmp_path / "a.ts").write_bytes(part + part)
    annotate(tmp_path / "a.ts", tmp_path / "b.mp4", review_models(), 5.0)
    with av.open(str(tmp_path / "b.mp4")) as container:
        times = [packet.dts for packet in container.demux(audio=0) if packet.dts is not None]
    assert times == sorted(set(times))
    assert len(times) > 20
