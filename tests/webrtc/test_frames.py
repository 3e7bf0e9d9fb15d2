"""Frames on their way: nothing queues without bound, and a loss is marked on the frame that the analysis sees."""

import asyncio
from fractions import Fraction

import av
import pytest
from aiortc import MediaStreamError, MediaStreamTrack

from stream_detect.webrtc.frames import QUEUED_FRAMES, FrameQueue, Pump


def picture(pts: int | None) -> av.VideoFrame:
    frame = av.VideoFrame(32, 16, "yuv420p")
    frame.pts, frame.time_base = pts, Fraction(1, 90_000)
    return frame


class Recording(MediaStreamTrack):
    kind = "video"

    def __init__(self, timestamps) -> None:
        super().__init__()
        self._timestamps = iter(timestamps)

    async def recv(self) -> av.VideoFrame:
        for pts in self._timestamps:
            return picture(pts)
        raise MediaStreamError


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


async def test_the_pump_drains_a_track_that_nobody_reads():
    queue, suppliers = FrameQueue(), []
    await Pump(queue, Every(), suppliers.append).run(Recording(range(0, 300_000, 3000)))
    assert queue.dropped == 100 - QUEUED_FRAMES
    frames = [supplier() for supplier in suppliers]
    assert [frame.time_s for frame in frames] == pytest.approx([n / 30 for n in range(100)])
    assert [frame.pts for frame in frames] == list(range(0, 300_000, 3000))
    assert frames[0].image.shape == (16, 32, 3)
    with pytest.raises(MediaStreamError):
        await queue.get()


async def test_a_gap_is_told_once_even_when_the_first_sample_after_it_is_replaced():
    suppliers = []
    await Pump(FrameQueue(), Every(), suppliers.append).run(Recording([0, 3000, 93_000, 96_000, 99_000]))
    assert [supplier().gap for supplier in suppliers[3:]] == [True, False]


async def test_a_frame_without_a_timestamp_is_left_out_and_counted():
    queue, suppliers = FrameQueue(), []
    await Pump(queue, Every(), suppliers.append).run(Recording([0, None, 6000]))
    assert queue.dropped == 1
    assert len(suppliers) == 2
