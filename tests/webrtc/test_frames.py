"""Frames in transit: queues are bounded, and a loss is marked on the next analysed frame."""

import asyncio
from fractions import Fraction

import av
import pytest
from aiortc import MediaStreamError

from stream_detect.webrtc.frames import QUEUED_FRAMES, FrameQueue, FrameTee
from stream_detect.webrtc.video_receiver import ReceivedFrame


def picture(pts: int | None) -> av.VideoFrame:
    frame = av.VideoFrame(32, 16, "yuv420p")
    frame.pts, frame.time_base = pts, Fraction(1, 90_000)
    return frame


def received(pts: int | None, arrived_s: float = 0.0, *, gap: bool = False) -> ReceivedFrame:
    return ReceivedFrame(picture(pts), arrived_s, gap)


class Every:
    def wants(self, _time_s: float) -> bool:
        return True


async def test_a_full_queue_drops_the_oldest_and_counts():
    queue = FrameQueue()
    for pts in range(QUEUED_FRAMES + 2):
        queue.put(picture(pts))
    assert queue.dropped == 2
    assert [(await queue.get()).pts for _ in range(QUEUED_FRAMES)] == [2, 3, 4]


async def test_a_closed_queue_ends_the_stream_for_who_waits():
    queue = FrameQueue()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.close()
    with pytest.raises(MediaStreamError):
        await waiting
    queue.put(picture(0))
    with pytest.raises(MediaStreamError):
        await queue.get()


async def test_unsent_frames_are_dropped_and_all_are_offered_to_the_analysis():
    queue, suppliers = FrameQueue(), []
    tee = FrameTee(queue, Every(), suppliers.append)
    for pts in range(0, 300_000, 3000):
        tee.take(received(pts, pts / 90_000))
    assert queue.dropped == 100 - QUEUED_FRAMES
    frames = [supplier() for supplier in suppliers]
    assert [frame.time_s for frame in frames] == pytest.approx([n / 30 for n in range(100)])
    assert [frame.arrived_s for frame in frames] == pytest.approx([n / 30 for n in range(100)])
    assert [frame.pts for frame in frames] == list(range(0, 300_000, 3000))
    assert frames[0].image.shape == (16, 32, 3)
    assert tee.last_frame_s == pytest.approx(3.3)


@pytest.mark.parametrize(
    ("timestamps", "lossy"), [([0, 3000, 93_000, 96_000, 99_000], None), ([0, 3000, 6000, 9000, 12_000], 2)]
)
async def test_a_gap_is_marked_once_even_when_the_first_sample_after_it_is_replaced(timestamps, lossy):
    suppliers = []
    tee = FrameTee(FrameQueue(), Every(), suppliers.append)
    for number, pts in enumerate(timestamps):
        tee.take(received(pts, gap=number == lossy))
    assert [supplier().gap for supplier in suppliers[3:]] == [True, False]


async def test_a_sample_from_before_a_gap_does_not_take_its_mark():
    suppliers = []
    tee = FrameTee(FrameQueue(), Every(), suppliers.append)
    tee.take(received(0))
    before = suppliers[0]
    tee.take(received(3000, gap=True))
    tee.take(received(6000))
    assert [before().gap, suppliers[2]().gap] == [False, True]


async def test_the_gap_before_a_frame_without_a_timestamp_marks_the_next_one():
    suppliers = []
    tee = FrameTee(FrameQueue(), Every(), suppliers.append)
    for pts, gap in ((0, False), (None, True), (6000, False), (9000, False)):
        tee.take(received(pts, gap=gap))
    assert [supplier().gap for supplier in suppliers] == [False, True, False]


async def test_a_frame_without_a_timestamp_is_left_out_and_counted():
    queue, suppliers = FrameQueue(), []
    tee = FrameTee(queue, Every(), suppliers.append)
    for pts in (0, None, 6000):
        tee.take(received(pts))
    assert queue.dropped == 1
    assert len(suppliers) == 2
