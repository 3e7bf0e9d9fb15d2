"""The rules of challenges: prompts, what counts as following one, and how rarely a recording passes."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from stream_detect.analysis.challenge import (
    LENGTHS,
    LOST,
    NOT_AT_REST,
    NOT_FOLLOWED,
    PROMPT_S,
    REST_LIMIT_S,
    Challenge,
    chance_of_passing,
    draw_prompts,
)
from stream_detect.analysis.head import Sight
from stream_detect.challenge_record import ChallengeState, Movement

LEFT, RIGHT, UP, MOUTH, EYE, NEARER = Movement
BASELINE, RUNNING, PASSED, FAILED, STOPPED = ChallengeState
MOVING, REST = Sight(at_rest=False), Sight(at_rest=True)
PERIOD_S = 0.1


class Person:
    """A person in front of the camera, sampled at 10 Hz."""

    def __init__(self, *prompts: Movement) -> None:
        self.challenge = Challenge("id", prompts)
        self.time_s = 100.0

    def shows(self, sight: Sight | None, length_s: float = PERIOD_S) -> None:
        for _ in range(round(length_s / PERIOD_S)):
            self.challenge.step(self.time_s, sight, self.time_s)
            self.time_s = round(self.time_s + PERIOD_S, 6)

    def does(self, movement: Movement, length_s: float = 0.5) -> None:
        """Holds still, sees the prompt, and moves .6 s later."""
        self.shows(REST, 0.6)
        self.shows(Sight(at_rest=True, movement=movement), length_s)

    @property
    def record(self):
        return self.challenge.record


def test_a_person_who_follows_every_prompt_passes():
    person = Person(LEFT, UP, LEFT)
    assert (person.record.state, person.record.now, person.record.done) == (BASELINE, None, ())
    person.shows(MOVING, 3)
    assert person.record.state is BASELINE
    person.shows(REST)
    now = person.record.now
    assert (person.record.state, now.asked, now.number, now.of, now.left_s) == (RUNNING, LEFT, 1, 3, PROMPT_S)
    person.shows(REST, 1)
    assert person.record.now.left_s == pytest.approx(PROMPT_S - 1)
    for movement in (LEFT, UP, LEFT):
        person.does(movement)
    record = person.record
    assert (record.state, record.reason, record.now) == (PASSED, "", None)
    assert [outcome.asked for outcome in record.done] == [LEFT, UP, LEFT]
    assert all(outcome.followed for outcome in record.done)
    assert [outcome.took_s for outcome in record.done] == pytest.approx([1.7, 0.6, 0.6])


def test_the_first_movement_decides_and_the_rest_is_asked_all_the_same():
    person = Person(LEFT, UP)
    person.does(RIGHT)
    person.does(UP)
    assert [(one.asked, one.seen, one.followed) for one in person.record.done] == [(LEFT, RIGHT, False), (UP, UP, True)]
    assert (person.record.state, person.record.reason) == (FAILED, NOT_FOLLOWED)


def test_future_prompts_are_not_reported():
    person = Person(LEFT, UP, MOUTH)
    person.shows(REST)
    assert person.record.now.asked is LEFT
    assert person.record.done == ()


def test_without_a_movement_the_time_limit_is_reached():
    person = Person(LEFT)
    person.shows(REST, PROMPT_S)
    assert person.record.now.left_s == pytest.approx(PERIOD_S)
    person.shows(REST)
    assert [(one.seen, one.took_s, one.followed) for one in person.record.done] == [(None, None, False)]
    assert person.record.state is FAILED


def test_a_movement_in_passing_is_none():
    person = Person(MOUTH)
    person.does(EYE, 0.4)  # the hand passes the eye on its way
    assert person.record.now is not None
    person.shows(Sight(at_rest=True, movement=MOUTH), 0.5)
    assert person.record.state is PASSED


@pytest.mark.parametrize(("gap", "passes"), [([REST], True), ([None, None], True), ([REST, REST], False)])
def test_one_sample_that_shows_nothing_breaks_no_movement(gap, passes):
    person = Person(EYE)
    covered = Sight(at_rest=True, movement=EYE)
    person.shows(REST)
    for sight in (covered, covered, *gap, covered, covered):
        person.shows(sight)
    assert (person.record.state is PASSED) is passes


@pytest.mark.parametrize(
    ("slow", "pause_s", "in_time"),
    [(1.0, 0.0, True), (0.1, 0.0, False), (1.0, PROMPT_S, False), (1e-6, 0.0, False)],
)
def test_timestamps_that_run_slow_or_hide_a_pause_gain_no_time_for_an_answer(slow, pause_s, in_time):
    """After the prompt, an answer is shown that took 6 s of the stream to make."""
    challenge, arrived_s = Challenge("id", (UP,)), 50.0
    challenge.step(0.0, REST, arrived_s)
    arrived_s += pause_s
    for number in range(1, 70):
        time_s = number * PERIOD_S
        sight = Sight(at_rest=True, movement=UP) if time_s >= 6 else REST
        challenge.step(time_s, sight, arrived_s + time_s / slow)
        if challenge.ended:
            break
    (answer,) = challenge.record.done
    assert answer.seen is (UP if in_time else None)
    if in_time:
        assert answer.took_s == pytest.approx(6.0)


@pytest.mark.parametrize("in_time", [True, False])
def test_a_pause_that_the_timestamps_hide_ends_the_wait_for_rest(in_time):
    challenge = Challenge("id", (UP,))
    challenge.step(0.0, MOVING, 50.0)
    challenge.step(0.1, MOVING, 50.0 + REST_LIMIT_S - (1.0 if in_time else 0.0))
    assert challenge.ended is not in_time


def test_a_movement_takes_three_samples_however_slow_the_stream():
    challenge = Challenge("id", (UP,))
    raised = Sight(at_rest=True, movement=UP)
    for time_s, sight in enumerate((REST, raised, raised)):
        challenge.step(float(time_s), sight, 0.0)
        assert not challenge.ended
    challenge.step(3.0, raised, 0.0)
    assert challenge.state is PASSED


def test_the_face_has_to_rest_before_each_prompt():
    person = Person(LEFT, RIGHT)
    person.does(LEFT)
    person.shows(MOVING, 2)
    assert (person.record.state, person.record.now) == (RUNNING, None)
    person.shows(REST)
    assert person.record.now.asked is RIGHT


@pytest.mark.parametrize("sight", [MOVING, None])
def test_a_face_that_never_rests_fails(sight):
    person = Person(LEFT)
    person.shows(sight, REST_LIMIT_S)
    assert person.record.state is BASELINE
    person.shows(sight)
    assert (person.record.state, person.record.reason) == (FAILED, NOT_AT_REST)


def test_an_ended_challenge_does_not_change():
    person = Person(LEFT)
    person.shows(REST)
    person.challenge.end(FAILED, LOST)
    before = person.record
    person.does(LEFT)
    person.challenge.end(STOPPED, "late")
    person.challenge.score(0.9)
    assert person.record == before
    assert (before.state, before.reason, before.now) == (FAILED, LOST, None)


def test_scores_are_kept_by_prompt_and_outside():
    person = Person(LEFT, UP)
    person.challenge.score(0.1)
    person.shows(REST)
    for score in (0.5, 0.9):
        person.challenge.score(score)
    person.does(LEFT)
    person.challenge.score(0.3)
    person.does(UP)
    first, second = person.record.done
    assert (first.score_mean, first.score_max) == pytest.approx((0.7, 0.9))
    assert (second.score_mean, second.score_max) == (None, None)
    assert (person.record.outside_mean, person.record.outside_max) == pytest.approx((0.2, 0.3))


def test_prompts_are_drawn_evenly_and_never_twice_in_a_row():
    below = np.random.default_rng(7).integers
    drawn = [draw_prompts(below) for _ in range(6000)]
    assert all(a is not b for prompts in drawn for a, b in pairwise(prompts))
    lengths = Counter(map(len, drawn))
    assert set(lengths) == set(LENGTHS)
    assert min(lengths.values()) > 1800
    firsts, lasts = Counter(prompts[0] for prompts in drawn), Counter(prompts[-1] for prompts in drawn)
    assert len(firsts) == len(lasts) == len(Movement)
    assert min(*firsts.values(), *lasts.values()) > 850


def test_prompts_are_not_predictable():
    assert len({draw_prompts() for _ in range(50)}) > 40


def test_the_chance_is_the_share_of_sequences():
    assert chance_of_passing(1) == pytest.approx(1 / 6)
    assert [chance_of_passing(n) for n in LENGTHS] == pytest.approx([1 / 150, 1 / 750, 1 / 3750])


def recording(chance: np.random.Generator, length_s: float = 90.0) -> list[Sight]:
    """A person who turns, nods and covers the face at random, never the same twice in a row, as a clever attacker
    would.
    """
    sights: list[Sight] = []
    movement = None
    while len(sights) < length_s / PERIOD_S:
        movement = chance.choice([one for one in Movement if one is not movement])
        sights += [REST] * chance.integers(3, 30)
        sights += [Sight(at_rest=True, movement=Movement(movement))] * chance.integers(3, 15)
    return sights


@pytest.mark.parametrize(("prompts", "tries"), [(1, 1500), (2, 3000), (3, 9000)])
def test_a_recording_of_random_movements_passes_only_by_chance(prompts, tries):
    chance = np.random.default_rng(prompts)
    clips = [recording(chance) for _ in range(60)]
    passed = 0
    for _ in range(tries):
        challenge = Challenge("id", draw_prompts(chance.integers)[:prompts])
        clip = clips[chance.integers(len(clips))][chance.integers(450) :]
        for number, sight in enumerate(clip):
            challenge.step(number * PERIOD_S, sight, 0.0)
            if challenge.ended:
                break
        passed += challenge.state is PASSED
    expected = tries * chance_of_passing(prompts)
    assert passed <= expected + 3 * expected**0.5
    assert passed >= 5  # the recording does move: the test can fail
