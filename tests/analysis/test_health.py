"""Health: ready while at least one stream can be judged, failing otherwise."""

from stream_detect.analysis.worker import REMEMBER_S, Health


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


def test_health_fails_only_when_no_stream_can_be_judged():
    clock = Clock()
    health = Health(clock)
    assert health.failing is None
    health.record("a", "down")
    assert health.failing == "down"
    health.record("b", None)
    assert health.failing is None
    health.record("c", "also down")
    assert health.failing is None
    health.forget("c")
    health.forget("b")
    assert health.failing == "down"
    health.forget("a")
    assert health.failing == "down"
    clock.now_s += REMEMBER_S + 1
    assert health.failing is None


def test_health_remembers_a_failure_only_until_the_next_success():
    health = Health(Clock())
    health.record("a", "down")
    health.forget("a")
    health.record("b", None)
    health.forget("b")
    health.forget("never seen")
    assert health.failing is None
