from av import VideoFrame

from stream_detect.analysis.sampler import Sampler
from stream_detect.cameras.intake import FrameRate, Intake


class Audience:
    def __init__(self, viewers=0):
        self.viewers = viewers
        self.shown = []

    def show(self, frame):
        self.shown.append(frame)

    def show_result(self, result):
        pass


def picture(pts=0):
    frame = VideoFrame(64, 48, "yuv420p")
    frame.pts = pts
    return frame


def taken(*pictures, rate_hz=30.0):
    """The analysed frames of input given as (source's time, arrival, gap); None is a reconnection."""
    suppliers = []
    intake = Intake(Audience(), Sampler(rate_hz), suppliers.append)
    for given in pictures:
        if given is None:
            intake.begin()
        else:
            source_s, arrived_s, gap = given
            intake.take(picture(), source_s, arrived_s, gap=gap)
    return [supplier() for supplier in suppliers]


def test_every_frame_is_kept_and_shown_while_there_are_viewers():
    audience = Audience()
    intake = Intake(audience, Sampler(1.0), lambda _supplier: None)
    frames = [picture(i) for i in range(3)]
    for i, frame in enumerate(frames):
        audience.viewers = i % 2
        intake.take(frame, i / 25, i / 25, gap=False)
        assert intake.newest is frame
    assert audience.shown == [frames[1]]
    assert intake.pictures == 3


def test_a_sample_says_whether_there_are_viewers():
    audience, suppliers = Audience(), []
    intake = Intake(audience, Sampler(30.0), suppliers.append)
    intake.take(picture(), 0.0, 0.0, gap=False)
    assert not suppliers[0]().watched
    audience.viewers = 2
    assert suppliers[0]().watched


def test_samples_are_converted_only_when_they_are_analysed():
    (frame,) = taken((5.0, 100.0, False))
    assert frame.image.shape == (48, 64, 3)
    assert (frame.time_s, frame.arrived_s, frame.gap) == (0.0, 100.0, False)


def test_stream_time_continues_over_a_reconnection_by_the_elapsed_time():
    frames = taken((5.0, 100.0, False), (5.5, 100.6, False), None, (0.0, 104.0, False), (0.2, 104.1, False))
    assert [round(frame.time_s, 3) for frame in frames] == [0.0, 0.5, 3.9, 4.1]
    assert [frame.gap for frame in frames] == [False, False, True, False]


def test_stream_time_of_a_reconnect_is_not_what_the_source_says():
    frames = taken((5.0, 100.0, False), None, (6.0, 110.0, False))
    assert [frame.time_s for frame in frames] == [0.0, 10.0]


def test_stream_time_is_monotonic_for_any_timestamps():
    frames = taken((5.0, 100.0, False), (4.0, 101.0, False), (9000.0, 102.0, False), (9000.5, 102.0, False))
    assert [round(frame.time_s, 3) for frame in frames] == [0.0, 1.0, 2.0, 2.5]


def test_a_gap_in_a_picture_that_is_not_sampled_marks_the_next_that_is():
    frames = taken(
        (0.0, 0.0, False), (0.2, 0.2, True), (0.4, 0.4, False), (1.0, 1.0, False), (2.0, 2.0, False), rate_hz=1
    )
    assert [(frame.time_s, frame.gap) for frame in frames] == [(0.0, False), (1.0, True), (2.0, False)]


def test_a_replaced_sample_does_not_take_its_gap_along():
    suppliers = []
    intake = Intake(Audience(), Sampler(30.0), suppliers.append)
    for i, gap in enumerate((False, True, False)):
        intake.take(picture(), float(i), float(i), gap=gap)
    assert not suppliers[0]().gap
    assert suppliers[2]().gap  # the one in between was replaced in the mailbox


def test_the_very_first_frame_has_no_gap():
    assert [frame.gap for frame in taken(None, (0.0, 0.0, True), (1.0, 1.0, False))] == [False, False]


def test_the_rate_is_that_of_the_last_ten_seconds():
    rate = FrameRate()
    assert rate.hz(0.0, 0) == 0.0
    for i in range(200):  # 25 fps for ten seconds, then 5 fps
        now_s = i / 10
        count = round(2.5 * i) if i <= 100 else 250 + round(0.5 * (i - 100))
        rate.mark(now_s, count)
    assert rate.hz(20.0, 300) == 5.0
    rate.clear()
    assert rate.hz(20.0, 300) == 0.0


def test_the_rate_of_the_first_second_is_no_wild_guess():
    rate = FrameRate()
    rate.mark(0.0, 0)
    assert rate.hz(0.04, 2) == 2.0
