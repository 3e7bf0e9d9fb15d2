"""Publishing to a camera: frames arrive with their gaps, one publisher per camera, and every end is reported."""

import asyncio
import time

import pytest
from aiortc.rtp import RtpPacket, is_rtcp

from stream_detect.errors import CapacityError, ConflictError, NotFoundError, NoVideoError
from stream_detect.settings import WebRtcSettings
from stream_detect.webrtc.aiortc_private.receiver import OneStream
from stream_detect.webrtc.video_receiver import ReceivedFrame
from stream_detect.webrtc.whip import Publishers
from tests.patience import in_time
from tests.webrtc.peers import Publisher, numbered


class Sink:
    """A camera that receives pushed frames."""

    def __init__(self):
        self.frames, self.codecs, self.gaps, self.left = [], set(), 0, []
        self.ages_s = []
        self.error = None

    def push(self, frame, codec, *, arrived_s, gap=False):
        self.ages_s.append(time.monotonic() - arrived_s)
        if self.error is not None:
            raise self.error
        self.frames.append(frame)
        self.codecs.add(codec)
        self.gaps += gap

    def publisher_left(self, reason):
        self.left.append(reason)


@pytest.fixture
async def open_publishers(nothing_left):
    opened = []

    def make(**webrtc):
        opened.append(Publishers(WebRtcSettings(**webrtc)))
        return opened[-1]

    yield make
    for publishers in opened:
        with in_time():
            await publishers.close_all()
        assert publishers.count == 0


@pytest.fixture
async def make_publisher(nothing_left, camera):
    made = []

    def make(codec="H264"):
        made.append(Publisher(camera(), codec))
        return made[-1]

    yield make
    await asyncio.gather(*(publisher.close() for publisher in made))


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_the_pictures_of_a_publisher_arrive(open_publishers, make_publisher, read_number, codec):
    publisher, sink = make_publisher(codec), Sink()
    await publisher.publish(open_publishers(), sink)
    await publisher.until(lambda: len(sink.frames) >= 20)
    numbers = [read_number(frame) for frame in sink.frames]
    assert numbers == sorted(numbers)
    assert (sink.gaps, sink.left) == (0, [])
    assert sink.codecs == {codec.lower()}
    assert all(frame.pts is not None for frame in sink.frames)


async def test_of_a_video_that_is_sent_in_several_sizes_one_is_received(open_publishers, make_publisher, read_number):
    """As OBS sends simulcast, whatever the answer says: packets of several streams in turn, each with its numbers."""
    publisher, sink = make_publisher(), Sink()
    (transceiver,) = publisher.connection.getTransceivers()
    transport = transceiver.sender.transport
    send = transport._send_rtp

    async def send_twice(data: bytes) -> None:
        await send(data)
        if not is_rtcp(data):
            packet = RtpPacket.parse(data)
            packet.ssrc ^= 1
            packet.sequence_number = (packet.sequence_number + 5000) % 65536
            await send(packet.serialize())

    transport._send_rtp = send_twice
    await publisher.publish(open_publishers(), sink)
    await publisher.until(lambda: len(sink.frames) >= 40)
    numbers = [read_number(frame) for frame in sink.frames]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert (sink.gaps, sink.left) == (0, [])


async def test_a_publisher_may_go_on_with_another_stream(open_publishers, make_publisher):
    publisher, sink = make_publisher(), Sink()
    (transceiver,) = publisher.connection.getTransceivers()
    await publisher.publish(open_publishers(), sink)
    await publisher.until(lambda: len(sink.frames) >= 10)
    transport = transceiver.sender.transport
    send = transport._send_rtp

    async def send_as_another(data: bytes) -> None:
        if not is_rtcp(data):
            packet = RtpPacket.parse(data)
            packet.ssrc ^= 1
            packet.sequence_number = (packet.sequence_number + 40_000) % 65536
            data = packet.serialize()
        await send(data)

    transport._send_rtp = send_as_another
    seen = len(sink.frames)
    # The test's peer ignores requests for a keyframe of a stream that it does not know.
    await publisher.until(lambda: transceiver.sender._send_keyframe() or len(sink.frames) >= seen + 20)


def test_the_largest_stream_is_received_and_one_that_ends_is_replaced():
    now_s = 0.0
    one = OneStream(lambda: now_s)
    received = []
    for tick in range(100):
        now_s = 0.1 * tick
        for ssrc, size in ((1, 100), (2, 900), (3, 1000)):
            if ssrc < 3 or tick < 50:
                received += [ssrc] if one.admits(ssrc, size) else []
    assert received[:20] == [1] * 20
    assert received[20:50] == [3] * 30
    assert received[-1] == 2


async def test_a_pause_is_a_gap(open_publishers, make_publisher):
    publisher, sink = make_publisher(), Sink()
    await publisher.publish(open_publishers(), sink)
    await publisher.until(lambda: len(sink.frames) >= 5)
    publisher.track._pts += 90_000
    seen = len(sink.frames)
    await publisher.until(lambda: len(sink.frames) >= seen + 10)
    assert sink.gaps == 1


async def test_the_gap_before_a_frame_without_a_timestamp_marks_the_next_one(open_publishers, make_publisher):
    publishers, publisher, sink = open_publishers(), make_publisher(), Sink()
    await publisher.publish(publishers, sink)
    await publisher.until(lambda: len(sink.frames) >= 5)
    (session,) = publishers._sessions.all()
    untimed = numbered(0)
    untimed.pts = None
    session._take(ReceivedFrame(untimed, time.monotonic(), gap=True))
    seen = len(sink.frames)
    await publisher.until(lambda: len(sink.frames) >= seen + 5)
    assert sink.gaps == 1


async def test_a_camera_has_one_publisher_until_that_one_is_deleted(open_publishers, make_publisher):
    publishers, sink = open_publishers(), Sink()
    publisher = make_publisher()
    session_id = await publisher.publish(publishers, sink)
    await publisher.until(lambda: sink.frames)
    with pytest.raises(ConflictError, match="already has a publisher"):
        await make_publisher().publish(publishers, Sink())
    other = Sink()
    await make_publisher().publish(publishers, other, "elsewhere")
    with pytest.raises(NotFoundError):
        await publishers.close("elsewhere", session_id)
    await publishers.close("street", session_id)
    assert sink.left == ["the publisher left"]
    with pytest.raises(NotFoundError):
        await publishers.close("street", session_id)
    again = make_publisher()
    await again.publish(publishers, sink)
    await again.until(lambda: len(sink.frames) >= 3)


async def test_a_vanished_publisher_is_noticed_and_its_camera_notified(session_clock, open_publishers, make_publisher):
    publishers, publisher, sink = open_publishers(vanish_timeout_s=1000.0), make_publisher(), Sink()
    await publisher.publish(publishers, sink)
    await publisher.until(lambda: len(sink.frames) >= 3)
    publisher.vanish()
    await session_clock.passes(900.0)
    assert publishers.count == 1
    await session_clock.passes_until(lambda: sink.left)
    assert sink.left == ["no frame for 1000 s"]
    await publisher.until(lambda: publishers.count == 0)


async def test_a_publisher_that_hangs_up_is_noticed_at_once(lasting_consent, open_publishers, make_publisher):
    publishers, publisher, sink = open_publishers(vanish_timeout_s=1000.0), make_publisher(), Sink()
    await publisher.publish(publishers, sink)
    await publisher.until(lambda: len(sink.frames) >= 3)
    await publisher.close()
    await publisher.until(lambda: sink.left)
    assert len(sink.left) == 1


async def test_a_camera_that_takes_no_more_ends_its_publisher(open_publishers, make_publisher):
    publishers, publisher, sink = open_publishers(), make_publisher(), Sink()
    await publisher.publish(publishers, sink)
    await publisher.until(lambda: len(sink.frames) >= 3)
    sink.error = NotFoundError("no camera street")
    await publisher.until(lambda: publishers.count == 0)
    assert sink.left == ["no camera street"]


async def test_a_shutdown_notifies_cameras_and_accepts_no_publishers(open_publishers, make_publisher):
    publishers, publisher, sink = open_publishers(), make_publisher(), Sink()
    await publisher.publish(publishers, sink)
    await publishers.close_all()
    assert sink.left == ["the server is shutting down"]
    with pytest.raises(CapacityError):
        await make_publisher().publish(publishers, Sink())


async def test_an_offer_that_sends_nothing_is_refused(open_publishers, make_publisher):
    offer = (await make_publisher().offer()).replace("sendonly", "recvonly")
    with pytest.raises(NoVideoError, match="sendonly"):
        await open_publishers().answer("street", offer, Sink())
