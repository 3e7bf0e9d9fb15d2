"""The age of the score on a returned frame, from invented frames and results."""

import json
from dataclasses import asdict

import pytest
from clip import CLOCK_HZ
from sight import Drawn, Judged, Numbered, Sight, score_ages_ms, unmatched
from watcher import is_key

FILM = 20
WINDOW = (102.0, 104.0)


def a_sight(latency_ms: float = 30.0, back_s: float = 0.02, clock_off_s: float = 0.0) -> Sight:
    """Frames at 25 fps from 100 s on, each returned after `back_s`; every fifth is judged."""
    sent = [Numbered(100 + number / 25, number % FILM) for number in range(150)]
    return Sight(
        sent=sent,
        judged=[Judged(round((each.at_s + clock_off_s) * CLOCK_HZ), latency_ms, scored=True) for each in sent[::5]],
        drawn=[Drawn(each.at_s + back_s, each.counter) for each in sent],
    )


@pytest.mark.parametrize(("latency_ms", "first_ms"), [(30, 40), (39, 40), (41, 80)])
def test_each_picture_shows_the_newest_score_that_was_there_when_it_came(latency_ms: float, first_ms: float):
    ages_ms = score_ages_ms(a_sight(latency_ms), WINDOW)
    assert len(ages_ms) == 50
    assert min(ages_ms) == pytest.approx(first_ms + 20, abs=0.1)
    assert max(ages_ms) == pytest.approx(first_ms + 160 + 20, abs=0.1)


def test_a_small_difference_of_clocks_is_matched_and_a_large_one_reported():
    near, far = a_sight(clock_off_s=0.01), a_sight(clock_off_s=10.0)
    assert score_ages_ms(near, WINDOW) == pytest.approx(score_ages_ms(a_sight(), WINDOW))
    assert unmatched(near, WINDOW) == 0
    assert score_ages_ms(far, WINDOW) == []
    assert unmatched(far, (110.0, 115.0)) > 0


def test_a_result_without_a_score_makes_none_younger():
    sight = a_sight()
    sight.judged = [
        each if index % 2 else Judged(each.pts, 30, scored=False) for index, each in enumerate(sight.judged)
    ]
    assert max(score_ages_ms(sight, WINDOW)) == pytest.approx(40 + 360 + 20, abs=0.1)


def test_a_picture_that_the_camera_never_sent_has_no_age():
    sight = a_sight()
    sight.drawn.append(Drawn(103.0, FILM + 1))
    assert len(score_ages_ms(sight, WINDOW)) == 50


def test_what_a_process_writes_is_read_again():
    assert Sight.of(json.loads(json.dumps(asdict(a_sight())))) == a_sight()


@pytest.mark.parametrize(
    ("units", "key"), [((0x67, 0x68, 0x65), True), ((0x41,), False), ((0x67, 0x68), False), ((), False)]
)
def test_a_key_frame_is_recognised_by_its_units(units: tuple[int, ...], key: bool):
    assert is_key(b"".join(b"\0\0\0\1" + bytes([unit, 0x80]) for unit in units)) is key
