"""Verdicts on files: videos and pictures with scripted faces and scores, and the limits of an examination."""

import json
import re
import struct
from fractions import Fraction

import cv2
import numpy as np
import pytest

from stream_detect.analysis.detector import BlazeFace
from stream_detect.analysis.scripted import ScriptedDetector, upright_face
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.errors import BundleError, MediaError, ReviewCancelledError, SettingsError
from stream_detect.review.examination import Hooks, examine
from stream_detect.review.models import ReviewModels
from stream_detect.review.verdict import Tally
from stream_detect.settings import FaceSettings, QualitySettings
from stream_detect.storage.records import Upload
from stream_detect.types import TrackResult, Verdict, VerdictState
from tests.patience import in_time
from tests.review.scripted_models import LEFT, LIMITS, RIGHT, TINY, model, moving, review_models, scene
from tests.sources.media_files import film, still_bytes

NO_FACE, GATHERING, REAL, UNCERTAIN, FAKE = VerdictState


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Six seconds, ten frames a second."""
    return film(tmp_path_factory.mktemp("clips") / "clip.mp4", moving(60), options={"preset": "ultrafast"})


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    return film(tmp_path_factory.mktemp("clips") / "short.mp4", moving(10), options={"preset": "ultrafast"})


@pytest.fixture
def still(tmp_path):
    (tmp_path / "still.png").write_bytes(still_bytes("PNG", scene()))
    return tmp_path / "still.png"


def verdict(path, given, number=0):
    return examine(path, given, 5.0).models[number].verdict


def test_a_fake_is_called_one_for_how_long(clip):
    judged = verdict(clip, review_models())
    assert judged.state is FAKE
    assert judged.reason == "face 1 was called fake for 3.8 of 6.0 s"
    assert judged.fake_probability == pytest.approx(0.97, abs=0.001)


@pytest.mark.parametrize(
    ("score", "state", "reason"),
    [
        (0.05, REAL, "face 1 was called real for 3.8 of 6.0 s"),
        (0.5, UNCERTAIN, "face 1 was undecided for 3.8 of 6.0 s: at most 0.50, fake from 0.9"),
        ([0.97] * 15 + [0.02] * 15, FAKE, r"face 1 was called fake for 2.\d of 6.0 s"),
    ],
)
def test_the_worst_that_a_window_reported_is_the_verdict(clip, score, state, reason):
    judged = verdict(clip, review_models([model(score)]))
    assert judged.state is state
    assert re.fullmatch(reason, judged.reason)


@pytest.mark.parametrize(
    ("score", "state", "shown"),
    [(0.8996, UNCERTAIN, "0.8996"), (0.89, UNCERTAIN, "0.89"), (0.9004, FAKE, "0.90"), (0.1504, UNCERTAIN, "0.1504")],
)
def test_no_probability_is_rounded_to_a_threshold_that_it_does_not_reach(still, score, state, shown):
    judged = verdict(still, review_models([model(score)]))
    assert judged.state is state
    assert f"scores {shown} (fake from 0.9, real up to 0.15)" in judged.reason


def test_the_worst_face_decides(clip):
    whole = examine(clip, review_models([model([0.97, 0.02])], [LEFT, RIGHT]), 5.0)
    tracks = [track for track, _ in whole.models[0].tracks]
    assert [track.number for track in tracks] == [1, 2]
    assert all(track.admitted == 30 for track in tracks)


def test_too_short_for_a_verdict(short):
    judged = verdict(short, review_models())
    assert (judged.state, judged.fake_probability) == (UNCERTAIN, None)
    assert judged.reason == "too short for a verdict: face 1 has 5 of 12 scores"


def test_no_face_and_faces_not_fit(clip):
    assert verdict(clip, review_models(faces=())).reason == "no face in any of 30 sampled frames"
    small = verdict(clip, review_models(faces=[TINY]))
    assert (small.state, small.reason) == (NO_FACE, "no face larger than 64 px in any of 30 sampled frames")
    dark = verdict(clip, review_models(quality=QualitySettings(min_sharpness=0, min_luma=0.9)))
    assert (dark.state, dark.fake_probability) == (UNCERTAIN, None)
    assert dark.reason.startswith("no face was fit to be judged: ")
    assert dark.reason.endswith("(30)")


@pytest.mark.parametrize(
    ("score", "state"), [(0.95, FAKE), (0.901, FAKE), (0.5, UNCERTAIN), (0.149, REAL), (0.02, REAL)]
)
def test_a_picture_is_judged_by_its_worst_face(still, score, state):
    whole = examine(still, review_models([model([0.01, score])], [LEFT, RIGHT]), 5.0)
    (review,) = whole.models
    assert (whole.facts.kind, whole.sampled, review.verdict.state) == ("image", 1, state)
    assert "one picture says little" in review.verdict.reason
    (frame,) = review.timeline.frames()
    assert [face.state for face in frame.faces] == [REAL, state]
    assert frame.state is state


def test_a_picture_without_a_usable_face(still):
    assert verdict(still, review_models(faces=())).reason == "no face in the picture"
    assert verdict(still, review_models(faces=[TINY])).state is NO_FACE


def test_models_look_at_the_same_faces_once(clip):
    detector = ScriptedDetector([LEFT])
    given = ReviewModels((model(0.97, "strict"), model(0.02, "kind")), lambda: detector, review_models().settings)
    whole = examine(clip, given, 5.0)
    assert [review.verdict.state for review in whole.models] == [FAKE, REAL]
    assert whole.verdict is FAKE
    assert detector.calls == whole.sampled == 30
    assert given.only("kind").models[0].judge.name == "kind"
    with pytest.raises(BundleError, match="strict, kind"):
        given.only("other")


def test_flagged_frames_are_few_apart_and_small(tmp_path):
    large = film(tmp_path / "a.mp4", moving(30, (1920, 1080)), options={"preset": "ultrafast"})
    scores = [0.95 + 0.001 * n for n in range(15)]
    (review,) = examine(large, review_models([model(scores, maps=True)], max_flagged=2), 5.0).models
    flagged = review.flagged
    assert [each.n for each in flagged] == [1, 2]
    assert flagged[1].time_s - flagged[0].time_s >= 0.8
    assert flagged[-1].score == pytest.approx(0.964, abs=0.001)
    shown = cv2.imdecode(np.frombuffer(flagged[0].picture, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (540, 960, 3)
    assert shown[20 + 15, 10, 2] > shown[20 + 15, 10, 0] + 60  # the box, at half the size, is vermilion
    heat = cv2.imdecode(np.frombuffer(flagged[0].heat_map, np.uint8), cv2.IMREAD_COLOR)
    assert heat.shape == (64, 64, 3)
    assert examine(large, review_models(max_flagged=0), 5.0).models[0].flagged == ()


def test_every_face_has_its_share_of_flagged_frames(clip):
    (review,) = examine(clip, review_models([model([0.99, 0.92])], [LEFT, RIGHT], max_flagged=3), 5.0).models
    assert len(review.flagged) == 3
    assert {each.track for each in review.flagged} == {1, 2}
    assert all(each.heat_map is None for each in review.flagged)


def test_hooks_are_asked_and_notified(clip):
    shares, turns = [], []
    examine(clip, review_models(), 5.0, Hooks(shares.append, give_way=lambda: turns.append(1)))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(turns) == 30
    with pytest.raises(ReviewCancelledError):
        examine(clip, review_models(), 5.0, Hooks(cancelled=lambda: len(turns) > 0))


def test_omitted_parts_are_reported(clip):
    whole = examine(clip, review_models(max_duration_s=2.0), 5.0)
    assert whole.sampled == 11
    assert whole.notes == ("only the first 2 s were looked at (review.max_duration_s)",)
    assert whole.facts.duration_s == pytest.approx(6.0)
    (note,) = examine(clip, review_models(max_run_s=1e-9), 5.0).notes
    assert "time was up (review.max_run_s)" in note


def test_a_crowd_is_bounded(tmp_path):
    wanted = [upright_face((x, y, x + 70, y + 80)) for x in range(0, 1000, 100) for y in range(0, 1000, 100)]
    crowd = film(tmp_path / "a.mp4", [scene(wh=(1000, 1000))] * 20, options={"preset": "ultrafast"})
    (review,) = examine(crowd, review_models(faces=wanted, max_flagged=5), 5.0).models
    assert len(review.tracks) == 100
    assert len(review.flagged) == 5
    # The detector itself keeps only the largest.
    faces = FaceSettings()
    assert len(BlazeFace("full", faces.min_score, 3).detect(scene())) <= 3


def test_who_passes_by_is_forgotten_first():
    tally = Tally(LIMITS, AnalysisSettings(), picture=False)

    def result(number, state, probability):
        judged = Verdict(state, "", probability, 12, 12)
        track = TrackResult(number, LEFT, judged, probability, None, ())
        return type("Result", (), {"time_s": number / 5, "tracks": (track,)})()

    tally.take(result(1, FAKE, 0.95), 0.2)
    for number in range(2, 4000):
        tally.take(result(number, GATHERING, None), 0.2)
    assert tally.forgotten > 1000
    assert len(tally.tracks()) <= 2000
    assert tally.tracks()[0].state is FAKE


def test_the_results_follow_the_protocol(clip):
    whole = examine(clip, review_models([model(), model(0.02, "other")], [LEFT, TINY]), 5.0)
    upload = Upload("clip.mp4", 10, "cd" * 32)
    results = json.loads(whole.as_json("01", upload))
    assert results["file"] == {
        "name": "clip.mp4",
        "bytes": 10,
        "sha256": "cd" * 32,
        "kind": "video",
        "width": 320,
        "height": 240,
        "duration_s": 6.0,
        "fps": 10.0,
        "codec": "h264",
    }
    assert (results["id"], results["rate_hz"], results["sampled"], results["notes"]) == ("01", 5.0, 30, [])
    first, other = results["models"]
    assert other["model"]["name"] == "other"
    assert first["model"]["thresholds"]["fake_enter"] == 0.9
    assert first["verdict"]["state"] == "fake"
    assert [track["track"] for track in first["tracks"]] == [1, 2]
    assert first["tracks"][1]["refused"] == {"face too small": 30}
    assert len(first["frames"]) == 30
    face, tiny = first["frames"][-1]["faces"]
    assert face == {
        "track": 1,
        "box": [20.0, 40.0, 120.0, 160.0],
        "score": 0.97,
        "fake_probability": 0.97,
        "state": "fake",
        "rejected": None,
    }
    assert tiny["rejected"] == "face too small"
    assert set(first["flagged"][0]) == {"n", "time_s", "track", "box", "score", "map"}


def test_bad_rates_and_files_are_reported(clip, tmp_path):
    with pytest.raises(SettingsError, match="rate_hz of at least"):
        examine(clip, review_models(), 0.5)
    (tmp_path / "a.mp4").write_bytes(b"nothing" * 100)
    with pytest.raises(MediaError, match="neither a picture nor a video"):
        examine(tmp_path / "a.mp4", review_models(), 5.0)


def test_damage_is_noted(tmp_path):
    file = film(tmp_path / "a.mkv", [scene(n) for n in range(30)], options={"g": "1", "preset": "ultrafast"})
    file.write_bytes(file.read_bytes()[:-20_000])
    whole = examine(file, review_models(), 5.0)
    assert 5 < whole.sampled < 16


def test_a_recording_of_one_frame_a_second_is_one_face_that_is_too_sparse(tmp_path):
    file = film(tmp_path / "a.mp4", moving(12), tick=Fraction(1), options={"preset": "ultrafast"})
    reviewed = examine(file, review_models(), 5.0)
    (judged,) = reviewed.models
    assert (reviewed.sampled, len(judged.tracks)) == (12, 1)
    assert judged.verdict.reason.startswith("too sparse for a verdict: one frame every 1 s")


def test_a_gif_of_endless_frames_has_its_time_and_no_more(tmp_path):
    head = b"GIF89a" + struct.pack("<HH", 800, 800) + b"\x80\0\0\0\0\0\xff\xff\xff"
    frame = b"\x21\xf9\x04\0\x01\0\0\0\x2c\0\0\0\0" + struct.pack("<HH", 1, 1) + b"\0\x02\x02\x44\x01\0"
    (tmp_path / "a.gif").write_bytes(head + frame * 100_000 + b"\x3b")
    with in_time():
        reviewed = examine(tmp_path / "a.gif", review_models(max_run_s=1.0), 5.0)
    assert 0 < reviewed.sampled < 10_000
    assert "only the first" in reviewed.notes[0]
