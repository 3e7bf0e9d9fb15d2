"""Viewers of a camera share one encoding, start with a key frame, and do not slow each other."""

import asyncio
import itertools
import time
from collections import defaultdict

import pytest

from stream_detect.errors import CapacityError, CodecError, NotFoundError, NoVideoError
from stream_detect.media.encoder import H264Encoder
from stream_detect.settings import VideoSettings, WebRtcSettings
from stream_detect.types import Thresholds
from stream_detect.webrtc import hub as hub_module
from stream_detect.webrtc import renderer
from stream_detect.webrtc.aiortc_private.connection import close
from stream_detect.webrtc.aiortc_private.sender import RtpSender
from stream_detect.webrtc.hub import OverlayStyle
from stream_detect.webrtc.offer import Codec
from stream_detect.webrtc.whep import Viewers
from tests.patience import PATIENCE_S, in_time, soon
from tests.webrtc.peers import End, Screen, ShownCamera, numbered

STYLE = OverlayStyle(Thresholds(), 1.0)
INTERVAL_S = 2.5
"""Time between two key frames: long enough that viewers have to wait and share."""


@pytest.fixture
async def open_viewers(nothing_left):
    opened = []

    def make(limit=8, video=None, **webrtc):
        viewers = Viewers(WebRtcSettings(**webrtc), video or VideoSettings(), STYLE, limit)
        camera = ShownCamera(viewers.viewing("door"))
        opened.append((viewers, camera))
        return viewers

    yield make
    for viewers, camera in opened:
        camera.stop()
        with in_time():
            await viewers.close_all()
        assert viewers.count == 0


@pytest.fixture
async def make_screen(nothing_left):
    screens = []

    def make(*codecs):
        screens.append(Screen(*codecs))
        return screens[-1]

    yield make
    await asyncio.gather(*(screen.close() for screen in screens))


@pytest.fixture
def encoded(monkeypatch):
    """Timestamps of all H.264 frames so far, and whether they are key frames; on its own, an encoder makes only one."""
    monkeypatch.setattr("stream_detect.media.encoder.KEYFRAME_INTERVAL", 100_000)
    calls = []
    encode = H264Encoder.encode

    def counted(self, frame, keyframe=False):
        packets = encode(self, frame, keyframe)
        calls.append((frame.pts, packets[0].is_keyframe))
        return packets

    monkeypatch.setattr(H264Encoder, "encode", counted)
    return calls


def seldom_keyframes(monkeypatch) -> None:
    """An interval between them that no picture of a busy machine ends early: one that is late would be repeated."""
    monkeypatch.setattr(renderer, "KEYFRAME_INTERVAL_S", INTERVAL_S)
    monkeypatch.setattr(hub_module, "REPEAT_S", 2 * PATIENCE_S)


def keyframes(encoded) -> int:
    return sum(is_keyframe for _, is_keyframe in encoded)


def gaps(numbers: list[int]) -> list[int]:
    return [after - before for before, after in itertools.pairwise(numbers)]


def missed(numbers: list[int]) -> int:
    """Number of frames that never arrived."""
    return sum(gap - 1 for gap in gaps(numbers))


def studio_of(viewers):
    """The encoding, which counts frames skipped because the machine was busy and not because of a link."""
    return viewers.viewing("door")._renderer


async def test_a_viewer_sees_the_pictures_as_they_are_shown(open_viewers, make_screen):
    screen, viewers = make_screen(), open_viewers()
    await screen.watch(viewers)
    numbers = await screen.more(30)
    assert numbers == sorted(set(numbers))
    assert missed(numbers) <= studio_of(viewers).dropped


async def test_nothing_is_encoded_and_no_thread_runs_without_viewers(open_viewers, make_screen, encoded):
    viewers = open_viewers()
    hub = viewers.viewing("door")
    hub.show(numbered(0))
    assert (hub.viewers, encoded, hub._renderer) == (0, [], None)
    screen = make_screen()
    session_id = await screen.watch(viewers)
    await screen.more(3)
    assert hub.viewers == 1
    working = studio_of(viewers)
    await viewers.close("door", session_id)
    await screen.until(lambda: not working.is_running)
    done = len(encoded)
    hub.show(numbered(1))
    assert (hub.viewers, len(encoded), hub._renderer) == (0, done, None)
    again = make_screen()
    await again.watch(viewers)
    await again.more(3)


async def test_all_viewers_share_one_encoding_and_keyframes(open_viewers, make_screen, encoded, monkeypatch):
    seldom_keyframes(monkeypatch)
    begun_s = time.monotonic()
    viewers = open_viewers()
    screens = [make_screen() for _ in range(4)]
    await asyncio.gather(*(screen.watch(viewers) for screen in screens))
    await asyncio.gather(*(screen.more(25) for screen in screens))
    timestamps = [timestamp for timestamp, _ in encoded]
    assert len(timestamps) == len(set(timestamps)), "each picture once"
    assert 1 <= keyframes(encoded) <= 1 + (time.monotonic() - begun_s) / INTERVAL_S


async def test_a_viewer_that_fails_at_a_frame_ends_and_the_others_go_on(open_viewers, make_screen, monkeypatch, caplog):
    viewers = open_viewers()
    screens = [make_screen() for _ in range(3)]
    first, *_ = await asyncio.gather(*(screen.watch(viewers) for screen in screens))
    await asyncio.gather(*(screen.more(5) for screen in screens))
    broken = viewers._sessions.running(first)

    def defect():
        raise ZeroDivisionError

    monkeypatch.setattr(broken._congestion, "admits", defect)
    await soon(lambda: viewers.count == 2)
    assert broken.closing
    assert caplog.text.count("a viewer failed to send a frame") == 1
    await asyncio.gather(*(screen.more(25) for screen in screens[1:]))


async def test_who_join_late_get_a_keyframe_first_and_soon(open_viewers, make_screen, encoded, monkeypatch):
    went_out = defaultdict(list)
    send = RtpSender.send

    async def noted(sender, coded):
        went_out[sender].append(coded.keyframe)
        return await send(sender, coded)

    monkeypatch.setattr(RtpSender, "send", noted)
    seldom_keyframes(monkeypatch)
    viewers = open_viewers()
    first, late = make_screen(), [make_screen() for _ in range(4)]
    await first.watch(viewers)
    await first.more(20)
    before = keyframes(encoded)
    begun_s = time.monotonic()
    await asyncio.gather(*(screen.watch(viewers) for screen in late))
    await asyncio.gather(*(screen.more(1) for screen in late))
    assert 1 <= keyframes(encoded) - before <= 1 + (time.monotonic() - begun_s) / INTERVAL_S
    assert [kinds[0] for kinds in went_out.values()] == [True] * 5


async def test_an_unreachable_viewer_is_closed_while_the_other_misses_no_frame(open_viewers, make_screen):
    viewers = open_viewers(vanish_timeout_s=5.0)
    good, bad = make_screen(), make_screen()
    await asyncio.gather(good.watch(viewers), bad.watch(viewers))
    await asyncio.gather(good.more(5), bad.more(5))
    bad.vanish()
    seen = len(good.numbers)
    await good.until(lambda: viewers.count == 1)
    numbers = good.numbers[seen:]
    assert len(numbers) > 20
    assert missed(numbers) <= studio_of(viewers).dropped


async def test_one_on_a_lossy_line_is_dropped_to_keyframes_and_the_other_misses_no_picture(open_viewers, make_screen):
    viewers = open_viewers()
    good, bad = make_screen(), make_screen()
    bad_id = None
    await good.watch(viewers)
    bad_id = await bad.watch(viewers)
    await asyncio.gather(good.more(5), bad.more(5))
    playback = viewers._sessions.running(bad_id)
    bad.lose(0.5)
    playback.estimate(60_000)
    playback._congestion.estimate = lambda _bitrate_bps: None  # of a loopback link
    seen = len(good.numbers)
    await good.until(lambda: playback.left_out > 30)
    assert missed(good.numbers[seen:]) <= studio_of(viewers).dropped
    assert playback.sent > 5


async def test_a_socket_that_takes_no_more_costs_its_viewer_pictures_up_to_a_keyframe(
    open_viewers, make_screen, monkeypatch
):
    viewers = open_viewers()
    screen = make_screen()
    playback = viewers._sessions.running(await screen.watch(viewers))
    await screen.more(5)
    full = [10**9]
    monkeypatch.setattr(type(playback._sender), "unsent_bytes", property(lambda _self: full[0]))
    await screen.until(lambda: playback.left_out >= 10)
    seen = len(screen.numbers)
    full[0] = 0
    numbers = await screen.more(10)
    assert len(screen.numbers) >= seen + 10
    assert numbers == sorted(numbers)


async def test_viewers_with_vp8_only_share_a_second_encoding(open_viewers, make_screen, encoded):
    viewers = open_viewers()
    screens = [make_screen("VP8"), make_screen("VP8"), make_screen("H264")]
    await asyncio.gather(*(screen.watch(viewers) for screen in screens))
    for screen in screens:
        numbers = await screen.more(10)
        assert numbers == sorted(numbers)
    assert viewers.viewing("door").viewers == 3


async def test_vp8_alone_needs_no_h264_encoder(open_viewers, make_screen, encoded):
    screen = make_screen("VP8")
    await screen.watch(open_viewers(video=VideoSettings(h264=False)))
    await screen.more(5)
    assert encoded == []


async def test_lost_packets_come_again(open_viewers, make_screen):
    screen = make_screen()
    viewers = open_viewers()
    await screen.watch(viewers)
    await screen.more(5)
    dropped = studio_of(viewers).dropped
    screen.lose(0.05)
    numbers = await screen.more(75)
    assert sum(gap > 1 for gap in gaps(numbers)) <= 4 + studio_of(viewers).dropped - dropped


async def test_the_last_frame_of_a_stalled_camera_is_shown_to_new_viewers(nothing_left, make_screen, monkeypatch):
    viewers = Viewers(WebRtcSettings(), VideoSettings(), STYLE, 8)
    camera = ShownCamera(viewers.viewing("door"))
    first, late = make_screen(), make_screen()
    await first.watch(viewers)
    await first.more(5)
    camera.stop()
    monkeypatch.setattr(hub_module, "REPEAT_S", 0.0)  # the newest frame is old
    playback = viewers._sessions.running(await late.watch(viewers))
    await late.until(lambda: playback.sent)  # aiortc's receiver shows it when the next one comes
    await viewers.close_all()


async def test_places_are_limited_over_all_cameras_and_come_back(open_viewers, make_screen):
    viewers = open_viewers(limit=2)
    screens = [make_screen(), make_screen()]
    ids = [await screen.watch(viewers, camera) for screen, camera in zip(screens, ("door", "yard"), strict=True)]
    await screens[0].until(lambda: all(session.connected for session in viewers._sessions.all()))
    with pytest.raises(CapacityError, match="2 viewer places"):
        await make_screen().watch(viewers)
    with pytest.raises(NotFoundError):
        await viewers.close("yard", ids[0])
    await viewers.close("door", ids[0])
    await make_screen().watch(viewers)


async def test_a_forgotten_camera_has_no_viewers(open_viewers, make_screen):
    viewers = open_viewers()
    screen = make_screen()
    await screen.watch(viewers)
    await screen.more(3)
    hub = viewers.viewing("door")
    await viewers.forget("door")
    assert (viewers.count, hub.viewers) == (0, 0)
    assert viewers.viewing("door") is not hub


@pytest.mark.parametrize(
    ("old", "new", "error"), [("recvonly", "sendrecv", NoVideoError), ("H264", "H266", CodecError)]
)
async def test_only_offers_to_receive_a_video_that_we_can_code_are_answered(open_viewers, make_screen, old, new, error):
    offer = (await make_screen().offer()).replace(old, new)
    viewers = open_viewers()
    with pytest.raises(error):
        await viewers.answer("door", offer)
    assert viewers.count == 0


async def test_the_picture_is_encoded_for_what_the_viewers_lines_take(open_viewers, make_screen):
    viewers = open_viewers()
    screens = [make_screen(), make_screen()]
    playbacks = [viewers._sessions.running(await screen.watch(viewers)) for screen in screens]
    await asyncio.gather(*(screen.more(3) for screen in screens))
    for playback, estimate_bps in zip(playbacks, (700_000, 500_000), strict=True):
        playback.estimate(estimate_bps)
        playback._congestion.estimate = lambda _bitrate_bps: None  # of a loopback link
    encoder = studio_of(viewers)._encodings[Codec.H264]._encoder
    await screens[0].until(lambda: encoder.target_bitrate_bps == 500_000)
    await viewers.close("door", playbacks[1].session_id)
    await screens[0].until(lambda: encoder.target_bitrate_bps == 700_000)


@pytest.mark.parametrize("kinds", [("video",), ("audio", "video")])
async def test_an_offer_that_is_withdrawn_at_any_moment_leaves_no_socket(open_viewers, kinds):
    viewers, loop = open_viewers(), asyncio.get_running_loop()
    peer = End()
    for kind in kinds:
        peer.connection.addTransceiver(kind, direction="recvonly")
    offer = await peer.offer()
    await close(peer.connection)
    bound, create = [], loop.create_datagram_endpoint

    async def noted(*arguments, **named):
        transport, protocol = await create(*arguments, **named)
        bound.append(transport)
        return transport, protocol

    loop.create_datagram_endpoint = noted
    for steps in range(20):
        answering = asyncio.create_task(viewers.answer("door", offer))
        for _ in range(steps):
            await asyncio.sleep(0)
        answering.cancel()
        await asyncio.wait([answering])
        if not answering.cancelled():
            await viewers.close("door", answering.result().session_id)
        await soon(lambda: viewers.count == 0)
    assert len(bound) > 5
    await soon(lambda: all(transport.get_extra_info("socket").fileno() == -1 for transport in bound))
