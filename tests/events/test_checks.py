"""A challenge in front of a camera becomes the record of a check, however it ends."""

from dataclasses import replace

import pytest

from stream_detect.challenge_record import ChallengeRecord, ChallengeState, Movement, PromptOutcome
from stream_detect.events.checks import BROKEN_OFF, CameraChecks
from stream_detect.types import VerdictState
from tests.scenes import JUDGE, WALL_S, result

BASELINE, RUNNING, PASSED, FAILED, STOPPED = ChallengeState
DONE = PromptOutcome(Movement.LOOK_UP, Movement.LOOK_UP, 1.0, 0.1, 0.2)


def challenge(state: ChallengeState, number: int = 1) -> ChallengeRecord:
    done = (DONE,) if state not in {BASELINE, RUNNING} else ()
    return ChallengeRecord(f"{number:016x}", state, "", None, done, 0.1, 0.2, by="anna")


def shown(now: ChallengeRecord | None, state: str = "real"):
    return replace(result(state, 0.1), challenge=now)


@pytest.fixture
def checks() -> CameraChecks:
    return CameraChecks("door", lambda: JUDGE)


def test_a_challenge_that_ended_is_recorded_once_with_the_verdict_at_its_end(checks):
    seen = [None, challenge(BASELINE), challenge(RUNNING), challenge(PASSED), challenge(PASSED), None]
    records = [checks.result(shown(now), WALL_S + number) for number, now in enumerate(seen)]
    (record,) = [record for record in records if record is not None]
    assert records[3] is record
    assert (record.camera, record.who) == ("door", "anna")
    assert (record.began_s, record.ended_s) == (WALL_S + 1, WALL_S + 3)
    assert (record.state, record.fake_probability, record.judge) == (VerdictState.REAL, 0.1, JUDGE)
    assert (record.challenges, record.challenges_ended) == ((challenge(PASSED),), 1)
    assert checks.idle, "the newest result has no challenge"
    assert checks.close(WALL_S + 9) is None


@pytest.mark.parametrize("then", [None, challenge(BASELINE, 2)])
def test_one_whose_end_had_no_result_is_recorded_as_it_was_known(checks, then):
    checks.result(shown(challenge(RUNNING)), WALL_S)
    record = checks.result(shown(then), WALL_S + 1)
    assert [(one.challenge_id, one.state, one.reason) for one in record.challenges] == [
        (f"{1:016x}", STOPPED, BROKEN_OFF)
    ]


def test_a_failed_analysis_is_no_verdict(checks):
    failed = replace(shown(challenge(PASSED), "no_face"), error="analysis unavailable: the model is gone")
    checks.result(shown(challenge(RUNNING)), WALL_S)
    record = checks.result(failed, WALL_S + 1)
    assert (record.state, record.fake_probability) == (VerdictState.REAL, 0.1)


def test_a_camera_that_is_stopped_breaks_its_challenge_off(checks):
    assert checks.close(WALL_S) is None
    checks.result(shown(challenge(RUNNING)), WALL_S)
    assert not checks.idle
    record = checks.close(WALL_S + 2)
    assert (record.ended_s, record.challenges[0].state) == (WALL_S + 2, STOPPED)
    assert checks.idle


def test_the_next_challenge_is_another_record(checks):
    for number in (1, 2):
        checks.result(shown(challenge(RUNNING, number)), WALL_S + number)
        record = checks.result(shown(challenge(FAILED, number)), WALL_S + number + 0.5)
        assert (record.challenges[0].challenge_id, record.began_s) == (f"{number:016x}", WALL_S + number)


def test_a_challenge_whose_worker_was_silent_continues_or_ended_with_the_silence(checks):
    checks.result(shown(challenge(RUNNING)), WALL_S)
    checks.silence(WALL_S + 1)
    assert checks.result(shown(challenge(RUNNING)), WALL_S + 2) is None
    checks.silence(WALL_S + 3)
    assert not checks.idle
    record = checks.result(shown(None), WALL_S + 9)  # of another worker
    assert (record.ended_s, record.challenges[0].reason) == (WALL_S + 3, BROKEN_OFF)
