"""A real peer sends video to the live check: the returned video, and the messages of the data channel."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
from aiortc import AudioStreamTrack
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, pack_remb_fci

from stream_detect.analysis.scripted import ScriptedClassifier
from stream_detect.errors import AnalysisError, MediaError
from stream_detect.media.encoder import H264Encoder
from stream_detect.overlay import sprite as palette
from stream_detect.overlay.overlay import Overlay
from stream_detect.settings import VideoSettings
from stream_detect.types import Thresholds
from stream_detect.webrtc import annotated_track
from stream_detect.webrtc.annotated_track import Annotator
from tests.patience import PATIENCE_S

H264, VP8 = frozenset({"H264"}), frozenset({"VP8"})


def share_of(colour: tuple[int, int, int], frame) -> float:
    """Share of a frame's pixels that match a colour within compression error."""
    rgb = frame.to_ndarray(format="rgb24").astype(np.int16)
    return float((np.abs(rgb - np.array(colour, np.int16)).max(axis=2) < 25).mean())


def session_of(sessions, session_id):
    return sessions._sessions.running(session_id)


def dropped(sessions, session_id) -> int:
    """Number of frames that a busy machine had no time to return."""
    session = session_of(sessions, session_id)
    return session._frames.dropped + session._receiver.dropped


class Held:
    """A classifier that says "fake" at once the given number of times, and then only when released."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self.begun = threading.Event()
        self.may_go_on = threading.Event()

    def __call__(self, _crop) -> float:
        self._at_once -= 1
        if self._at_once < 0:
            self.begun.set()
            self.may_go_on.wait(PATIENCE_S)
        return 0.99


@pytest.fixture
def hold(open_sessions, make_peer):
    """Makes such classifiers; all are released before sessions and peers are closed."""
    made = []

    def make(at_once: int) -> Held:
        made.append(Held(at_once))
        return made[-1]

    yield make
    for held in made:
        held.may_go_on.set()


@pytest.mark.parametrize(
    "codecs",
    [(H264, True, "H264"), (VP8, True, "VP8"), (H264 | VP8, True, "H264"), (H264 | VP8, False, "VP8")],
)
async def test_the_returned_video_has_the_badge(open_sessions, make_peer, engine_of, hold, codecs):
    (offered, h264, answered), judging = codecs, hold(0)
    sessions = open_sessions(engine_of(lambda: ScriptedClassifier(judging)), video=VideoSettings(h264=h264))
    peer = make_peer(codecs=offered)
    await peer.connect(sessions)
    await peer.more_frames(2)
    assert share_of(palette.VERMILION, peer.frames[0]) == 0
    judging.may_go_on.set()
    await peer.until(lambda: any(r["state"] == "fake" for r in peer.of_type("result")))
    await peer.until(lambda: share_of(palette.VERMILION, peer.frames[-1]) > 0.01)
    assert {codec.name for codec in peer.video._codecs} == {answered, "rtx"}


@pytest.mark.parametrize(("codecs", "ticks"), [(H264, 0), (VP8, 3)])  # aiortc's VP8 encoder rounds by some 20 us
async def test_every_frame_is_returned_once_in_order_with_its_timestamp(
    open_sessions, make_peer, read_number, codecs, ticks
):
    sessions, peer = open_sessions(), make_peer(codecs=codecs)
    peer.camera.fps = 30
    session_id = await peer.connect(sessions)
    frames = await peer.more_frames(40)
    numbers = [read_number(frame) for frame in frames]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] - numbers[0] + 1 <= len(numbers) + dropped(sessions, session_id)
    shifts = [frame.pts - peer.camera.sent[number] for frame, number in zip(frames, numbers, strict=True)]
    assert max(shifts) - min(shifts) <= ticks


async def test_results_follow_a_hello_ten_times_a_second(open_sessions, make_peer, camera):
    peer = make_peer(camera(fps=30))
    session_id = await peer.connect(open_sessions())
    await peer.until(lambda: len(peer.of_type("result")) > 15)
    assert peer.messages[0]["type"] == "hello"
    assert peer.of_type("hello")[0]["session"] == session_id
    results = peer.of_type("result")
    assert [r["sequence"] for r in results] == list(
        range(results[0]["sequence"], results[0]["sequence"] + len(results))
    )
    steps_s = np.diff([r["time_s"] for r in results])
    assert steps_s.mean() > 0.09  # a busy machine skips some
    assert np.sort(steps_s)[1] == pytest.approx(0.1, abs=0.035)  # on the grid of 30 fps
    pts_steps_s = np.diff([r["pts"] for r in results]) / 90_000
    assert pts_steps_s == pytest.approx(steps_s, abs=0.002)
    assert (results[-1]["width"], results[-1]["height"], len(results[-1]["faces"])) == (320, 240, 1)


async def test_a_ping_is_answered(open_sessions, make_peer):
    peer = make_peer()
    await peer.connect(open_sessions())
    await peer.until(lambda: peer.of_type("hello"))
    peer.channel.send("no json")
    peer.channel.send(json.dumps({"type": "ping", "value": {"id": 5}}))
    await peer.until(lambda: peer.of_type("pong"))
    assert peer.of_type("pong") == [{"id": 5}]


async def test_audio_is_declined_and_video_flows(open_sessions, make_peer):
    peer = make_peer(audio=AudioStreamTrack())
    await peer.connect(open_sessions())
    await peer.more_frames(5)
    directions = {t.kind: t.currentDirection for t in peer.connection.getTransceivers()}
    assert directions == {"audio": "inactive", "video": "sendrecv"}


@pytest.mark.parametrize("label", [None, "chat"])
async def test_without_the_results_channel_video_flows(open_sessions, make_peer, label):
    peer = make_peer(label=label)
    await peer.connect(open_sessions())
    await peer.more_frames(15)
    assert peer.messages == []


@pytest.mark.parametrize("codecs", [H264, VP8])
async def test_size_and_orientation_may_change(open_sessions, make_peer, codecs):
    peer = make_peer(codecs=codecs)
    await peer.connect(open_sessions())
    for wh in [(320, 240), (240, 320), (640, 360), (176, 144)]:
        peer.camera.wh = wh
        await peer.until(lambda wh=wh: peer.frames and (peer.frames[-1].width, peer.frames[-1].height) == wh)
        await peer.more_frames(3)
    await peer.until(lambda: (peer.of_type("result")[-1]["width"], peer.of_type("result")[-1]["height"]) == (176, 144))


async def test_odd_sizes_lose_a_row_and_a_column(open_sessions, make_peer, camera):
    peer = make_peer(camera(wh=(641, 359)), VP8)
    await peer.connect(open_sessions())
    frames = await peer.more_frames(5)
    assert {(frame.width, frame.height) for frame in frames} == {(640, 358)}
    await peer.until(lambda: peer.of_type("result"))
    assert (peer.of_type("result")[-1]["width"], peer.of_type("result")[-1]["height"]) == (641, 359)


@pytest.mark.parametrize("fps", [15, 60])
async def test_the_frame_rate_is_kept(open_sessions, make_peer, camera, fps):
    sessions, peer = open_sessions(), make_peer(camera(wh=(176, 144), fps=fps))
    session_id = await peer.connect(sessions)
    await peer.more_frames(fps // 2)
    frames = await peer.more_frames(fps)
    steps = np.diff([frame.pts for frame in frames]) // (90_000 // fps)
    assert steps.min() == 1
    assert (steps - 1).sum() <= dropped(sessions, session_id)


async def test_a_picture_loss_gives_one_keyframe(open_sessions, make_peer):
    peer = make_peer()
    await peer.connect(open_sessions())
    await peer.more_frames(10)
    quiet = await peer.more_frames(10)
    assert not any(frame.key_frame for frame in quiet)
    receiver = peer.video.receiver
    seen = len(peer.frames)
    for _ in range(3):
        await receiver._send_rtcp_pli(next(iter(receiver._RTCRtpReceiver__remote_streams)))
    await peer.until(lambda: any(frame.key_frame for frame in peer.frames[seen:]))
    await peer.more_frames(10)
    assert sum(frame.key_frame for frame in peer.frames[seen:]) in {1, 2}


async def test_the_bitrate_follows_the_peers_estimate(open_sessions, make_peer):
    peer = make_peer()
    sessions = open_sessions()
    session_id = await peer.connect(sessions)
    await peer.more_frames(3)
    receiver = peer.video.receiver
    receiver._RTCRtpReceiver__remote_bitrate_estimator = None  # its own estimates would differ
    ssrc = next(iter(receiver._RTCRtpReceiver__remote_streams))
    encoder = session_of(sessions, session_id)._annotator._encoder
    packet = RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=pack_remb_fci(250_000, [ssrc]))
    await receiver._send_rtcp(packet)
    await peer.until(lambda: encoder.target_bitrate_bps == pytest.approx(250_000, rel=1e-3))


@pytest.mark.parametrize("codecs", [H264, VP8])
async def test_video_and_results_survive_five_percent_of_loss(open_sessions, make_peer, camera, codecs):
    peer = make_peer(camera(fps=30), codecs)
    await peer.connect(open_sessions())
    await peer.more_frames(10)
    peer.lose(0.05)
    await peer.more_frames(90)
    assert peer.lost_packets > 0
    await peer.until(lambda: len(peer.of_type("result")) > 15)


async def test_a_slow_classifier_delays_no_frame_and_the_badge_goes_stale(open_sessions, make_peer, engine_of, hold):
    judging, peer = hold(2), make_peer()
    await peer.connect(open_sessions(engine_of(lambda: ScriptedClassifier(judging))))
    await peer.until(judging.begun.is_set)
    await peer.more_frames(30)
    await peer.until(
        lambda: share_of(palette.HATCH_RGB, peer.frames[-1]) > share_of(palette.HATCH_RGB, peer.frames[0]) + 0.01
    )
    assert not judging.may_go_on.is_set()


@pytest.mark.parametrize("codecs", [H264, VP8])
async def test_the_last_frame_of_a_sender_that_hangs_keeps_no_badge_of_a_live_one(
    open_sessions, make_peer, monkeypatch, codecs
):
    monkeypatch.setattr(annotated_track, "SILENT_S", 0.2)
    peer = make_peer(codecs=codecs)
    await peer.connect(open_sessions(vanish_timeout_s=2 * PATIENCE_S))
    await peer.until(lambda: peer.frames and share_of(palette.VERMILION, peer.frames[-1]) > 0.01)
    peer.camera.silent = True
    await peer.until(lambda: share_of(palette.VERMILION, peer.frames[-1]) == 0)
    assert share_of(palette.HATCH_RGB, peer.frames[-1]) > 0.01
    peer.camera.silent = False  # its timestamps continue where they stopped, below those of the repeated frames
    await peer.until(lambda: share_of(palette.VERMILION, peer.frames[-1]) > 0.01)


async def test_a_failing_classifier_is_reported_and_the_video_continues(open_sessions, make_peer, engine_of):
    def fail(_crop) -> float:
        raise AnalysisError("the model is gone")

    peer = make_peer()
    await peer.connect(open_sessions(engine_of(lambda: ScriptedClassifier(fail))))
    await peer.until(lambda: any(r["error"] for r in peer.of_type("result")))
    assert "the model is gone" in peer.of_type("result")[-1]["error"]
    assert peer.of_type("result")[-1]["state"] != "fake"
    await peer.more_frames(5)


async def test_a_badge_that_cannot_be_drawn_costs_the_badge_only(open_sessions, make_peer, monkeypatch, caplog):
    def fail(*_args) -> None:
        raise IndexError("out of the picture")

    monkeypatch.setattr(Overlay, "draw", fail)
    peer = make_peer()
    await peer.connect(open_sessions())
    await peer.more_frames(10)
    assert sum("without a badge" in record.message for record in caplog.records) == 1


async def test_when_our_encoder_fails_aiortcs_steps_in(open_sessions, make_peer, monkeypatch, caplog):
    working = H264Encoder.encode
    calls = []

    def fail_for_a_while(self, frame, keyframe=False):
        calls.append(keyframe)
        if 5 < len(calls) <= 10:
            raise MediaError("x264 is gone")
        return working(self, frame, keyframe)

    monkeypatch.setattr(H264Encoder, "encode", fail_for_a_while)
    peer = make_peer()
    await peer.connect(open_sessions())
    frames = await peer.more_frames(25)
    assert len({frame.pts for frame in frames}) == 25
    assert calls[10], "after the other encoder's pictures ours must begin with a keyframe"
    assert sum("aiortc's encoder" in record.message for record in caplog.records) == 1


async def test_a_frame_that_is_sent_back_as_it_came_is_followed_by_a_keyframe(
    open_sessions, make_peer, monkeypatch, caplog
):
    annotate, encode = Annotator.annotate, H264Encoder.encode
    calls, keyframes = [], []

    def fail_once(self, frame, demand, pts):
        calls.append(demand)
        if len(calls) == 6:
            raise ZeroDivisionError
        return annotate(self, frame, demand, pts)

    def noted(self, frame, keyframe=False):
        keyframes.append(keyframe)
        return encode(self, frame, keyframe)

    monkeypatch.setattr(Annotator, "annotate", fail_once)
    monkeypatch.setattr(H264Encoder, "encode", noted)
    peer = make_peer()
    await peer.connect(open_sessions())
    await peer.more_frames(15)
    assert keyframes[5], "its decoder has the other encoder's picture, to which ours does not refer"
    assert "frames are sent back as they came" in caplog.text


async def test_another_model_drops_no_stream_and_says_hello_again(open_sessions, make_peer, engine_of, about):
    engine = engine_of()
    sessions = open_sessions(engine)
    peer = make_peer()
    await peer.connect(sessions)
    await peer.until(lambda: len(peer.of_type("result")) > 5)
    engine.judge_by(lambda: ScriptedClassifier(0.77))
    sessions.introduce(replace(about, model_name="other", thresholds=Thresholds(fake_enter=0.9)))
    await peer.until(lambda: scores_of(peer.of_type("result")[-4:]) == {0.77})
    await peer.until(lambda: len(peer.of_type("hello")) == 2)
    hellos = peer.of_type("hello")
    assert [hello["model"]["name"] for hello in hellos] == ["scripted", "other"]
    assert hellos[1]["thresholds"]["fake_enter"] == 0.9
    assert hellos[1]["session"] == hellos[0]["session"]


def scores_of(results) -> set[float]:
    return {face["score"] for result in results for face in result["faces"] if face["score"]}


async def test_a_peer_starts_a_challenge_and_receives_its_state(open_sessions, make_peer, engine_of):
    sessions = open_sessions(engine_of(lambda: ScriptedClassifier(0.1)))
    peer = make_peer()
    session_id = await peer.connect(sessions)
    await peer.until(lambda: peer.of_type("result"))
    assert peer.of_type("result")[-1]["challenge"] is None

    def ask(action: str) -> None:
        peer.channel.send(json.dumps({"type": "challenge", "value": {"action": action}}))

    def state() -> str | None:
        challenge = peer.of_type("result")[-1]["challenge"]
        return challenge and challenge["state"]

    ask("start")
    await peer.until(lambda: state() == "baseline")
    ask("start")  # one is running
    ask("stop")
    await peer.until(lambda: state() == "stopped")
    assert sessions.challenge(session_id).record.state == "stopped"
    ask("stop")
    await peer.until(lambda: state() is None)
    ask("stop")  # there is none
    count = len(peer.of_type("result"))
    await peer.until(lambda: len(peer.of_type("result")) > count + 1)
