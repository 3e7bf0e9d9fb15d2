"""The pipeline from frame to verdict, with scripted faces and scores."""

import math

import numpy as np
import pytest

from stream_detect.analysis.pipeline import Pipeline
from stream_detect.analysis.scripted import ScriptedClassifier, ScriptedDetector, upright_face
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.analysis.tracks import Tracker
from stream_detect.errors import AnalysisError
from stream_detect.settings import FaceSettings, WindowSettings
from stream_detect.types import Calibration, Frame, VerdictState

NO_FACE, GATHERING, REAL, UNCERTAIN, FAKE = VerdictState
IMAGE = np.full((240, 320, 3), 128, np.uint8)
LEFT, RIGHT = upright_face((20, 40, 120, 160)), upright_face((190, 40, 290, 160))
TINY = upright_face((150, 10, 180, 46))
SETTINGS = AnalysisSettings(
    faces=FaceSettings(rate_hz=10),
    window=WindowSettings(
        score_rate_hz=5, steady_rate_hz=2.5, length_s=10, min_scores=12, min_dwell_s=1, expire_s=3, gap_s=2
    ),
)


class Gate:
    """Refuses the faces that the test names."""

    def __init__(self, reason=None):
        self.reason = reason

    def reject(self, _image, face):
        return "face too small" if face is TINY else self.reason


class Stream:
    """A pipeline fed at 10 Hz with the current `faces`."""

    def __init__(self, score=0.95, faces=(LEFT,), reason=None, tracker=None, **classifier):
        self.faces = list(faces)
        self.gate = Gate(reason)
        self.detector = ScriptedDetector(lambda _: list(self.faces))
        self.classifier = ScriptedClassifier(score, **classifier)
        self.pipeline = Pipeline(self.detector, self.classifier, tracker or Tracker(), self.gate, SETTINGS)
        self.time_s = 0.0
        self.watched = True

    def step(self, *, gap=False):
        result = self.pipeline.step(Frame(IMAGE, self.time_s, arrived_s=0.0, pts=7, gap=gap, watched=self.watched))
        self.time_s = round(self.time_s + 0.1, 6)
        return result

    def run(self, length_s):
        return [self.step() for _ in range(round(length_s * 10))]


def states(results):
    """The stream's states in order, without repetitions."""
    found = []
    for result in results:
        if not found or found[-1] is not result.verdict.state:
            found.append(result.verdict.state)
    return found


@pytest.mark.parametrize(("score", "state"), [(0.95, FAKE), (0.05, REAL), (0.5, UNCERTAIN)])
def test_a_steady_face_is_gathered_and_then_judged(score, state):
    results = Stream(score).run(4)
    assert states(results) == [GATHERING, state]
    first = next(result for result in results if result.verdict.state is state)
    assert first.time_s == pytest.approx(2.2)  # the twelfth score at 5 Hz
    assert first.verdict.fake_probability == pytest.approx(score, abs=1e-3)
    assert first.verdict.admitted == 12
    assert (first.wh, first.pts, first.sequence, first.error) == ((320, 240), 7, 0, None)


def test_a_steady_verdict_without_viewers_is_scored_half_as_often_until_it_changes():
    score = 0.95
    stream = Stream(lambda _crop: score)
    stream.run(12.3)  # the verdict was reached after 2.2 s and has held for ten

    def calls(length_s):
        before = stream.classifier.calls
        stream.run(length_s)
        return stream.classifier.calls - before

    assert calls(10) == 50
    stream.watched = False
    assert calls(30) == 75
    assert stream.step().verdict.admitted in {25, 26}
    stream.watched = True
    assert calls(2) == 10
    stream.watched, score = False, 0.05
    began_s = stream.time_s
    while stream.step().verdict.state is FAKE:
        assert stream.time_s < began_s + 10
    assert calls(2) == 10


def test_faces_are_searched_in_every_frame_and_scored_at_their_own_rate():
    stream = Stream(faces=(LEFT, RIGHT))
    results = stream.run(10)
    assert (stream.detector.calls, stream.classifier.calls) == (100, 100)  # 10 Hz; two tracks at 5 Hz
    assert {track.track_id for result in results for track in result.tracks} == {1, 2}
    assert [track.score is None for track in results[1].tracks] == [True, True]
    assert results[0].tracks[0].score == pytest.approx(0.95, abs=1e-3)


def test_scores_are_calibrated_before_they_count():
    stream = Stream(0.9, calibration=Calibration(slope=-1.0, intercept=0.0))
    result = stream.run(4)[-2]
    assert result.verdict.state is REAL
    assert result.tracks[0].trace[-1] == pytest.approx(0.1, abs=1e-3)


@pytest.mark.parametrize("score", [0.01, 0.99])
def test_a_faceless_stream_says_no_face_and_scores_nothing(score):
    stream = Stream(score, faces=())
    results = stream.run(5)
    assert states(results) == [NO_FACE]
    assert results[-1].verdict.reason == "no face larger than 64 px in the picture"
    assert stream.classifier.calls == 0


@pytest.mark.parametrize("score", [0.01, 0.99])
def test_a_blurred_face_is_never_judged(score):
    stream = Stream(score, reason="blurred")
    results = stream.run(5)
    assert states(results) == [GATHERING]
    assert results[-1].verdict.reason == "0 of 12 usable frames (blurred)"
    assert stream.classifier.calls == 0
    assert all(math.isnan(value) for value in results[-1].tracks[0].trace)
    assert {result.tracks[0].rejected for result in results} == {"blurred", None}


def test_the_reason_names_a_refusal_only_until_the_next_score():
    stream = Stream(reason="blurred")
    stream.step()
    stream.gate.reason = None
    assert stream.step().verdict.reason == "0 of 12 usable frames (blurred)"
    assert stream.step().verdict.reason == "1 of 12 usable frames"


def test_the_verdict_of_a_face_disappears_with_it():
    stream = Stream()
    stream.run(4)
    stream.faces = []
    assert states(stream.run(1)) == [NO_FACE]
    stream.faces = [LEFT]
    back = stream.step()
    assert (back.verdict.state, back.tracks[0].track_id) == (GATHERING, 2)


def test_one_missed_detection_does_not_cost_the_evidence():
    stream = Stream()
    stream.run(4)
    stream.faces = []
    assert stream.step().verdict.state is NO_FACE
    stream.faces = [LEFT]
    back = stream.step()
    assert (back.verdict.state, back.tracks[0].track_id) == (FAKE, 1)


def test_evidence_expires_when_no_score_is_admitted_and_is_gathered_from_the_start():
    stream = Stream()
    stream.run(4)
    stream.gate.reason = "blurred"
    blurred = stream.run(4)
    assert states(blurred) == [FAKE, GATHERING]
    assert blurred[-1].verdict.reason == "0 of 12 usable frames (blurred)"
    stream.gate.reason = None
    clear = stream.run(4)
    assert states(clear) == [GATHERING, FAKE]
    assert [result.verdict.admitted for result in clear[:2]] == [1, 1]


@pytest.mark.parametrize(
    ("other_score", "overall"), [(0.05, REAL), (0.5, UNCERTAIN), (0.95, FAKE)], ids=["real", "uncertain", "fake"]
)
def test_the_stream_says_what_its_worst_face_says(other_score, overall):
    scores = [0.05, other_score] * 100
    results = Stream(scores, faces=(LEFT, RIGHT)).run(4)
    assert states(results) == [GATHERING, overall]


def test_a_second_face_takes_real_back_until_it_is_judged_too():
    stream = Stream(0.05)
    stream.run(4)
    stream.faces = [LEFT, RIGHT]
    results = stream.run(4)
    assert states(results) == [GATHERING, REAL]
    assert results[0].verdict.reason == "1 of 2 faces: 1 of 12 usable frames"
    assert results[-1].verdict.reason.startswith("2 of 2 faces: steady over")


def test_a_face_too_small_to_be_judged_does_not_hold_the_stream_up():
    assert states(Stream(0.05, faces=(LEFT, TINY)).run(4)) == [GATHERING, REAL]
    alone = Stream(0.05, faces=(TINY,)).run(4)
    assert states(alone) == [NO_FACE]
    assert alone[-1].tracks[0].verdict.reason == "0 of 12 usable frames (face too small: 30 px, 64 are needed)"


@pytest.mark.parametrize("jump_s", [2.0, 60.0, -2.0, -60.0])
def test_a_time_gap_resets_everything(jump_s):
    stream = Stream(tracker=Tracker(FaceSettings(lost_s=1000)))
    stream.run(4)
    stream.time_s += jump_s - 0.1
    after = stream.step()
    assert (after.verdict.state, after.verdict.admitted) == (GATHERING, 1)
    assert after.tracks[0].track_id == 2
    assert states(stream.run(4)) == [GATHERING, FAKE]


def test_a_flagged_gap_marks_the_trace_and_keeps_the_evidence():
    stream = Stream()
    stream.run(4)
    after = stream.step(gap=True)
    assert after.verdict.state is FAKE
    assert math.isnan(after.tracks[0].trace[-2])


def test_a_stream_of_gaps_is_still_judged_and_stays_bounded():
    stream = Stream()
    results = [stream.step(gap=True) for _ in range(1000)]
    assert states(results) == [GATHERING, FAKE]
    assert len(results[-1].tracks[0].trace) <= 102


def test_what_is_remembered_of_tracks_is_bounded():
    stream = Stream()
    for number in range(300):
        stream.faces = [upright_face((20, 40, 120, 160)), upright_face((190, 40, 290, 160))][number // 10 % 2 :][:1]
        stream.step()
    assert len(stream.pipeline._subjects) <= 2


@pytest.mark.parametrize("number", [math.nan, 1.5, -0.1])
def test_a_classifier_that_gives_no_probability_is_an_error(number):
    with pytest.raises(AnalysisError, match=r"in \[0, 1\]"):
        Stream(number).step()


def test_a_failure_of_one_frame_does_not_spoil_the_next():
    failing = iter([True])

    def score(_):
        if next(failing, False):
            raise AnalysisError("once")
        return 0.95

    stream = Stream(score)
    with pytest.raises(AnalysisError):
        stream.step()
    stream.time_s = 0.1
    assert states(stream.run(4)) == [GATHERING, FAKE]


def test_a_face_whose_points_coincide_is_refused_not_an_error():
    flat = upright_face((20, 40, 120, 160))
    flat.keypoints[:] = 50.0
    result = Stream(faces=(flat,)).step()
    assert result.tracks[0].rejected == "features unclear"


def row(count, side=100):
    """The given number of faces side by side, without overlap."""
    return [upright_face((20 + i * side * 1.2, 40, 20 + i * side * 1.2 + side, 40 + side)) for i in range(count)]


def test_more_faces_than_scores_are_scored_in_turn_and_come_to_a_verdict():
    stream = Stream(faces=row(25))
    results = stream.run(20)
    assert stream.classifier.calls <= 20 * SETTINGS.window.max_scores_hz + 10
    last = results[-1].tracks
    assert {track.verdict.state for track in last} == {FAKE}
    assert max(track.score_age_s for result in results[50:] for track in result.tracks) <= 1.0
    scored = [sum(track.score is not None for track in result.tracks) for result in results[20:]]
    assert max(scored) <= SETTINGS.window.max_scores_hz * 0.25


def test_few_faces_are_scored_at_the_full_rate():
    stream = Stream(faces=row(8))
    stream.run(10)
    assert stream.classifier.calls == 8 * 50


def test_of_a_crowd_the_largest_faces_are_judged_and_the_others_get_a_reason():
    stream = Stream(faces=[*row(20), *row(20, side=150)])
    last = stream.run(20)[-1].tracks
    judged = [track for track in last if track.verdict.state is FAKE]
    assert len(judged) == 26  # 40 scores a second, 1.5 of each
    assert {track.track_id for track in last[20:]} <= {track.track_id for track in judged}
    others = {track.verdict.reason for track in last if track.verdict.state is GATHERING}
    assert others == {"0 of 12 usable frames (too many faces: the 26 largest are judged)"}


def test_a_face_that_was_not_searched_in_this_frame_is_kept_and_not_scored():
    stale = upright_face((20, 40, 120, 160))
    stale = type(stale)(stale.xyxy, stale.keypoints, stale.score, fresh=False)
    stream = Stream(faces=[LEFT])
    stream.run(3)
    calls = stream.classifier.calls
    stream.faces[:] = [stale]
    results = stream.run(1)
    assert stream.classifier.calls == calls
    assert [result.tracks[0].track_id for result in results] == [1] * 10
    assert results[-1].tracks[0].score_age_s == pytest.approx(1.0, abs=0.11)


def test_where_all_faces_are_too_small_the_stream_says_by_how_much():
    stream = Stream(faces=[TINY])
    assert stream.run(1)[-1].verdict.reason == "no face larger than 64 px in the picture: the largest is 30 px"
