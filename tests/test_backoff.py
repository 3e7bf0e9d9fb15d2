import asyncio
import logging
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_detect.backoff import QUIET_S, Backoff, Outage, keep_running
from stream_detect.settings import MonitoringSettings
from tests.patience import PATIENCE_S, soon

CHANCES = st.floats(0, 1, exclude_max=True)


def backoff_of(settings, chance):
    return Backoff(settings.backoff_first_s, settings.backoff_last_s, settings.backoff_reset_s, chance)


@pytest.mark.parametrize(
    ("chance", "pauses"),
    [(0.0, [1, 2, 4, 8, 16, 30, 30, 30]), (0.5, [1.5, 3, 6, 12, 24, 45, 45, 45]), (1.0, [2, 4, 8, 16, 32, 60, 60, 60])],
)
def test_pauses_double_from_one_second_to_a_minute(chance, pauses):
    backoff = backoff_of(MonitoringSettings(), lambda: chance)
    assert [backoff.pause_s(0) for _ in pauses] == pauses


@pytest.mark.parametrize(("good_s", "pause_s"), [(0, 8), (29.9, 8), (30, 1), (3600, 1)])
def test_thirty_good_seconds_begin_at_the_first_pause_again(good_s, pause_s):
    backoff = backoff_of(MonitoringSettings(), lambda: 0.0)
    for _ in range(3):
        backoff.pause_s(0)
    assert backoff.pause_s(good_s) == pause_s


@pytest.mark.parametrize(("failures", "pause_s"), [(0, 1), (3, 8), (1_000_000, 30)])
def test_failures_of_an_earlier_process_count(failures, pause_s):
    assert Backoff(1.0, 60.0, chance=lambda: 0.0, failures=failures).pause_s() == pause_s


@given(
    limits=st.tuples(st.floats(0.01, 100), st.floats(0.01, 1000)).map(sorted),
    failures=st.lists(st.tuples(st.floats(0, 100), CHANCES), max_size=40),
)
def test_a_pause_is_never_outside_its_bounds(limits, failures):
    first_s, last_s = limits
    chances = iter([chance for _, chance in failures])
    backoff = backoff_of(MonitoringSettings(backoff_first_s=first_s, backoff_last_s=last_s), lambda: next(chances))
    for good_s, _ in failures:
        assert first_s <= backoff.pause_s(good_s) <= last_s


def test_cameras_that_fail_together_do_not_come_back_together():
    chance = random.Random(1)  # noqa: S311 - a fixed seed
    pauses = [backoff_of(MonitoringSettings(), chance.random).pause_s(0) for _ in range(50)]
    assert max(pauses) - min(pauses) > 0.8


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def outage(caplog):
    caplog.set_level(logging.INFO)
    clock = Clock()
    return Outage(logging.getLogger("tests"), "the broker", clock), clock, caplog


def test_an_outage_is_logged_once_and_its_end_once(outage):
    broker, clock, log = outage
    for _ in range(2):
        broker.ended()
        for _ in range(500):
            clock.now_s += 0.5
            broker.failed("refused")
        broker.ended()
        broker.ended()
        clock.now_s += QUIET_S
    assert log.messages == ["the broker: refused", "the broker: works again"] * 2


def test_what_fails_and_works_in_turn_does_not_fill_the_log(outage):
    broker, clock, log = outage
    for _ in range(600):
        clock.now_s += 1.0
        broker.failed("refused")
        broker.ended()
    assert len(log.messages) == 2 * 600 / QUIET_S


def test_an_outage_that_follows_another_closely_is_logged_when_it_lasts(outage):
    broker, clock, log = outage
    broker.failed("refused")
    broker.ended()
    clock.now_s += 1.0
    broker.failed("lost")
    assert log.messages[2:] == []
    clock.now_s += QUIET_S
    broker.failed("lost")
    assert log.messages[2:] == ["the broker: lost"]


def test_a_defect_is_logged_with_its_traceback(outage):
    broker, _, log = outage
    broker.failed("failed", ValueError("broken"))
    assert "ValueError: broken" in log.text
    assert log.records[0].levelname == "ERROR"


async def test_a_failing_task_is_restarted_and_reported_once(caplog):
    begun: list[int] = []
    for_ever = asyncio.Event()

    async def work() -> None:
        begun.append(1)
        if len(begun) < 4:
            raise ZeroDivisionError
        await for_ever.wait()

    running = asyncio.create_task(
        keep_running(logging.getLogger("test"), "the watch", work, Backoff(0.001, 0.002, chance=lambda: 0.0))
    )
    await soon(lambda: len(begun) == 4)
    assert not running.done()
    assert [record.message for record in caplog.records] == ["the watch: it failed, and is started again"]
    for_ever.set()
    await asyncio.wait_for(running, PATIENCE_S)  # it ended by itself


async def test_a_kept_task_ends_when_it_is_cancelled():
    running = asyncio.create_task(keep_running(logging.getLogger("test"), "the watch", asyncio.Event().wait))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
