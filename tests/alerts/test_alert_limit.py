"""A camera that alternates between states does not send alerts all night."""

from stream_detect.alerts.notifiers import AlertLimit


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_one_event_of_a_camera_and_kind_is_let_through_in_so_long(make_event):
    clock = Clock()
    limit = AlertLimit(60.0, clock)
    assert limit.lets_through(make_event())
    assert not limit.lets_through(make_event())
    assert limit.lets_through(make_event(camera="yard"))
    assert limit.lets_through(make_event(kind="offline"))
    clock.now_s += 59.9
    assert not limit.lets_through(make_event())
    clock.now_s += 0.2
    assert limit.lets_through(make_event())
    assert limit.suppressed == {"fake": 2, "offline": 0, "frozen": 0, "looped": 0}


def test_an_end_is_reported_when_its_beginning_was(make_event):
    limit = AlertLimit(60.0, Clock())
    sent, withheld = make_event(), make_event()
    assert limit.lets_through(sent)
    assert not limit.lets_through(withheld)
    assert not limit.lets_through(make_event(id=withheld.id, ended_s=1010.0))
    assert limit.lets_through(make_event(id=sent.id, ended_s=1010.0))
    assert limit.suppressed["fake"] == 1


def test_all_notifiers_get_the_same_answer(make_event):
    limit, event = AlertLimit(60.0, Clock()), make_event()
    assert [limit.lets_through(event) for _ in range(3)] == [True] * 3


def test_the_end_of_an_event_from_before_a_restart_is_reported_and_counts_for_nothing(make_event):
    limit = AlertLimit(60.0, Clock())
    assert limit.lets_through(make_event(ended_s=1010.0, interrupted=True))
    assert limit.lets_through(make_event())


def test_it_remembers_only_so_much(make_event):
    clock = Clock()
    limit = AlertLimit(1.0, clock)
    for _ in range(5000):
        clock.now_s += 2.0
        assert limit.lets_through(make_event())
    assert len(limit._decided) == 4096
    assert len(limit._newest_s) == 1
