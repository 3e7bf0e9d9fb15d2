"""Bounded decoding of a peer's video: too large frames are refused, and excess ones are dropped."""

import asyncio
import threading
import time

import av
import pytest

from stream_detect.media.encoder import H264Encoder
from stream_detect.webrtc import video_receiver
from stream_detect.webrtc.video_receiver import MAX_DECODED_FRAMES, MAX_ENCODED_FRAMES, VideoEvents, VideoReceiver
from tests.media.coded import QUICK, coded
from tests.patience import PATIENCE_S, in_time, soon
from tests.webrtc.peers import number_of, numbered

MAX_PIXELS = 640 * 480
CODECS = [("h264", "libx264", QUICK), ("vp8", "libvpx", {"deadline": "realtime", "lag-in-frames": "0"})]


class Seen:
    """Records the calls of a receiver."""

    def __init__(self):
        self.frames, self.refused, self.failed, self.ends = [], [], [], 0
        self.error = None

    def take(self, received):
        if self.error is not None:
            raise self.error
        self.frames.append(received)

    def end(self):
        self.ends += 1


@pytest.fixture
def seen():
    return Seen()


@pytest.fixture
async def receiver(seen, nothing_left):
    made = VideoReceiver("test", MAX_PIXELS, VideoEvents(seen.take, seen.refused.append, seen.failed.append, seen.end))
    made.requests = []
    made._request_keyframe = lambda: made.requests.append(time.monotonic())
    yield made
    await made.close(10.0)


@pytest.fixture
def packets():
    """100 numbered frames in H.264; the first is the only keyframe."""
    with H264Encoder(200_000, 1_000_000, 4_000_000) as encoder:
        return [bytes(packet) for number in range(100) for packet in encoder.encode(numbered(number))]


@pytest.fixture
def held(monkeypatch):
    """Blocks the decoder's thread until it is set."""
    gate = threading.Event()
    next_frame = VideoReceiver._next

    def wait(receiver):
        gate.wait(2 * PATIENCE_S)
        return next_frame(receiver)

    monkeypatch.setattr(VideoReceiver, "_next", wait)
    yield gate
    gate.set()


async def test_frames_come_in_order_with_their_timestamp_and_the_time_of_their_arrival(receiver, seen, packets):
    began_s = time.monotonic()
    for number, data in enumerate(packets[:10]):
        receiver.put("h264", data, number * 3600)
        await soon(lambda number=number: len(seen.frames) > number)
    assert [number_of(received.frame) for received in seen.frames] == list(range(10))
    assert [received.frame.pts for received in seen.frames] == list(range(0, 36_000, 3600))
    arrivals_s = [received.arrived_s for received in seen.frames]
    assert arrivals_s == sorted(arrivals_s)
    assert began_s <= arrivals_s[0]
    assert not any(received.gap for received in seen.frames)


async def test_the_age_counts_from_the_arrival_not_from_the_decoding(receiver, seen, packets, held):
    receiver.put("h264", packets[0], 0)
    put_s = time.monotonic()
    held.set()
    await soon(lambda: seen.frames)
    assert seen.frames[0].arrived_s <= put_s


@pytest.mark.parametrize(
    ("codec", "encoder", "options"),
    CODECS,
)
async def test_a_frame_that_is_too_large_is_refused_before_it_is_decoded(receiver, seen, codec, encoder, options):
    small, large = (coded(encoder, wh, 1, **options)[0] for wh in ((64, 64), (1024, 768)))
    receiver.put(codec, small, 0)
    await soon(lambda: seen.frames)
    receiver.put(codec, large, 3600)
    assert "1024x768" in seen.refused[0]
    assert "webrtc.max_pixels" in seen.refused[0]
    receiver.put(codec, small, 7200)
    await soon(lambda: seen.ends)
    assert len(seen.frames) == len(seen.refused) == seen.ends == 1


@pytest.mark.parametrize("kind", CODECS)
async def test_the_decoder_refuses_it_too_should_its_header_be_misread(receiver, seen, kind, monkeypatch):
    codec, encoder, options = kind
    nothing = video_receiver.read_header(codec, b"")
    monkeypatch.setattr(video_receiver, "read_header", lambda _codec, _data: nothing)
    receiver.put(codec, coded(encoder, (1024, 768), 1, **options)[0], 0)
    await soon(lambda: receiver.requests)
    receiver.put(codec, coded(encoder, (64, 64), 1, **options)[0], 3600)
    await soon(lambda: seen.frames)
    assert [(one.frame.width, one.frame.height, one.gap) for one in seen.frames] == [(64, 64, True)]


async def test_sizes_may_change_within_the_bound(receiver, seen):
    for number, wh in enumerate([(64, 64), (320, 240), (128, 96)]):
        receiver.put("h264", coded("libx264", wh, 1, **QUICK)[0], number * 3600)
        await soon(lambda number=number: len(seen.frames) > number)
    assert [(one.frame.width, one.frame.height) for one in seen.frames] == [(64, 64), (320, 240), (128, 96)]


async def test_a_decoder_that_does_not_follow_is_given_the_newest_keyframe(receiver, seen, packets, held):
    for number, data in enumerate(packets[: MAX_ENCODED_FRAMES - 1]):
        receiver.put("h264", data, number * 3600)
    receiver.put("h264", coded("libx264", (320, 240), 1, **QUICK)[0], 500_000)
    receiver.put("h264", packets[1], 503_600)
    held.set()
    await soon(lambda: seen.frames)
    assert seen.frames[0].frame.pts == 500_000
    assert seen.frames[0].gap
    assert receiver.dropped == MAX_ENCODED_FRAMES - 1
    assert receiver.requests == []


async def test_without_one_frames_are_dropped_until_the_peer_has_sent_it(receiver, seen, packets, held):
    for number, data in enumerate(packets):
        receiver.put("h264", data, number * 3600)
    assert receiver.dropped == len(packets)
    assert len(receiver.requests) == 1
    held.set()
    receiver.put("h264", packets[5], 400_000)
    receiver.put("h264", packets[0], 500_000)
    await soon(lambda: seen.frames)
    assert [(one.frame.pts, one.gap) for one in seen.frames] == [(500_000, True)]


async def test_what_waits_is_bounded_in_bytes(receiver, monkeypatch, held):
    monkeypatch.setattr(video_receiver, "MAX_ENCODED_BYTES", 50_000)
    for number in range(20):
        receiver.put("h264", b"\x00\x00\x00\x01\x65" + bytes(9_995), number)
        assert receiver._waiting_bytes == sum(len(one.data) for one in receiver._waiting) <= 50_000
    held.set()


async def test_decoded_frames_that_the_loop_does_not_take_are_dropped_from_the_oldest(receiver, seen, packets):
    for number, data in enumerate(packets[:20]):
        receiver.put("h264", data, number)
    end_s = time.monotonic() + PATIENCE_S
    while receiver._waiting or receiver.dropped < 20 - MAX_DECODED_FRAMES:  # the loop is busy
        assert time.monotonic() < end_s
    await soon(lambda: seen.frames)
    assert [one.frame.pts for one in seen.frames] == [17, 18, 19]


async def test_the_mark_of_a_gap_is_not_dropped_with_its_frame(receiver, seen, packets):
    receiver._lost = True
    for number, data in enumerate(packets[:10]):
        receiver.put("h264", data, number)
    end_s = time.monotonic() + PATIENCE_S
    while receiver._waiting or receiver.dropped < 10 - MAX_DECODED_FRAMES:  # the loop is busy
        assert time.monotonic() < end_s
    await soon(lambda: seen.frames)
    assert [one.gap for one in seen.frames] == [True, False, False]


async def test_damage_asks_for_a_keyframe_and_marks_the_next_frame(receiver, seen, packets, caplog):
    receiver.put("h264", packets[0], 0)
    await soon(lambda: seen.frames)
    for number in range(50):
        receiver.put("h264", b"\x00\x00\x00\x01\x41garbage", number)
    await soon(lambda: receiver.requests)
    receiver.put("h264", packets[0], 9000)
    await soon(lambda: seen.frames[-1].frame.pts == 9000)
    assert any(one.gap for one in seen.frames[1:])
    assert sum("cannot be decoded" in record.message for record in caplog.records) <= 1


@pytest.mark.parametrize("kind", CODECS)
async def test_a_frame_of_nothing_but_padding_ends_no_video(receiver, seen, kind):
    codec, encoder, options = kind
    frames = coded(encoder, (64, 64), 4, **options)
    for number, data in enumerate([*frames[:2], b"", *frames[2:]]):
        receiver.put(codec, data, number * 3600)
        await soon(lambda number=number: len(seen.frames) >= number)
    await soon(lambda: len(seen.frames) == 4)
    assert not any(one.gap for one in seen.frames)
    assert receiver.requests == []


async def test_a_decoder_that_fails_as_nobody_expects_ends_the_session_and_is_logged(
    receiver, seen, packets, caplog, monkeypatch
):
    def fail(_codec, _max_pixels):
        raise ZeroDivisionError

    monkeypatch.setattr(video_receiver, "_decoder", fail)
    receiver.put("h264", packets[0], 0)
    await soon(lambda: seen.failed)
    assert seen.failed == ["its video could not be decoded"]
    assert any("decoder failed" in record.message for record in caplog.records)
    await soon(lambda: seen.ends)


async def test_closing_drops_waiting_frames_and_does_not_block(receiver, seen, packets, held):
    for number, data in enumerate(packets[:30]):
        receiver.put("h264", data, number)
    with in_time():
        receiver.end()
        receiver.end()
        await asyncio.sleep(0)
    assert not receiver._waiting
    assert seen.ends == 1
    held.set()
    await receiver.close(10.0)
    assert seen.frames == []


async def test_an_error_of_who_takes_frames_is_logged_and_ends_the_stream(receiver, seen, packets, caplog):
    seen.error = ZeroDivisionError()
    receiver.put("h264", packets[0], 0)
    await soon(lambda: seen.failed)
    assert seen.failed == ["a frame could not be accepted"]
    assert any("receiver failed" in record.message for record in caplog.records)


def test_a_decoder_takes_one_thread():
    assert video_receiver._decoder("h264", MAX_PIXELS).thread_count == 1
    assert isinstance(video_receiver._decoder("vp8", MAX_PIXELS), av.VideoCodecContext)
