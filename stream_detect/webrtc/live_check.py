"""Live checks: a peer's video is analysed and returned with the badge; results go over the data channel."""

import asyncio
import contextlib
import logging
import re
import secrets
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from stream_detect.analysis.challenge_control import ChallengeActions
from stream_detect.analysis.engine import Engine
from stream_detect.errors import ConflictError, NotFoundError
from stream_detect.media.encoder import H264Encoder
from stream_detect.overlay.overlay import Overlay
from stream_detect.settings import VideoSettings, WebRtcSettings
from stream_detect.storage.checks import CheckRecord
from stream_detect.storage.records import Judge, new_id
from stream_detect.types import Result
from stream_detect.webrtc.aiortc_private.rtcp import raise_uplink
from stream_detect.webrtc.annotated_track import AnnotatedTrack, Annotator, Feedback, NewestResult
from stream_detect.webrtc.frames import FrameQueue, FrameTee
from stream_detect.webrtc.network import Network
from stream_detect.webrtc.offer import Codec, Offer
from stream_detect.webrtc.peer_connection import CLOSE_S, CloseOnce, PeerConnection, PeerEvents
from stream_detect.webrtc.results_channel import ByeReason, ChallengeAction, Introduction, ResultsChannel
from stream_detect.webrtc.session_table import Session
from stream_detect.webrtc.video_receiver import VideoEvents, VideoReceiver

_log = logging.getLogger(__name__)

MAX_MODELS = 8
"""Models that a session remembers, the newest ones: its newest result is from one of them, unless no frame came during
as many changes of the model."""

MAX_LABEL_CHARS = 128
"""Longest name of a camera: systems compose them from a vendor, a product and two numbers."""

_PROGRAMS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), program)
    for pattern, program in (
        (r"\bobs\b", "OBS Studio"),
        (r"manycam", "ManyCam"),
        (r"deep ?face ?live", "DeepFaceLive"),
        (r"deep-?live-?cam", "Deep-Live-Cam"),
        (r"swapface", "SwapFace"),
        (r"\bavatarify\b", "Avatarify"),
        (r"snap ?camera|lens studio", "Snap Camera"),
        (r"xsplit", "XSplit"),
        (r"splitcam", "SplitCam"),
        (r"\bmmhmm\b|\bairtime\b", "Airtime"),
        (r"youcam", "YouCam"),
        (r"nvidia broadcast", "NVIDIA Broadcast"),
        (r"camtwist", "CamTwist"),
        (r"webcamoid|akvcam", "Webcamoid"),
        (r"\bndi\b", "NDI"),
        (r"droidcam", "DroidCam"),
        (r"\biriun\b", "Iriun"),
        (r"epoccam", "EpocCam"),
        (r"unity ?(video|cam)", "UnityCapture"),
        (r"v4l2 ?loopback|dummy video device", "v4l2loopback"),
        (r"virtual|loopback", "a virtual camera"),
    )
)
"""Names of virtual cameras on Windows, macOS and Linux, and the program of each."""


@dataclass(frozen=True, slots=True)
class Client:
    """The client that opens a check.

    Args:
        address: key for counting its places: its user, or its IP address.
        user: name of the user; empty if unknown.
        source_label: its camera's name on its system; empty if unknown.
    """

    address: str = ""
    user: str = ""
    source_label: str = ""


def printable(label: str) -> str:
    """A client's text, made safe for a log line and for the database."""
    return "".join(sign for sign in label if sign.isprintable())[:MAX_LABEL_CHARS].strip()


def virtual_camera(label: str) -> str:
    """The program behind a virtual camera of that name; empty if the name indicates none.

    A hint for people, not part of the verdict: a face swap may use any other name.
    """
    return next((program for pattern, program in _PROGRAMS if pattern.search(label)), "")


@dataclass(frozen=True, slots=True)
class CheckIds:
    """Ids of a check.

    Args:
        session_id: unguessable, because it allows ending the session.
        record_id: id of its record; sorts by time.
    """

    session_id: str
    record_id: str

    @classmethod
    def new(cls) -> "CheckIds":
        """Ids for a new check."""
        return cls(secrets.token_urlsafe(16), new_id(time.time()))


class Check(Session, Protocol):
    """A live check, in this process or on a worker of a cluster."""

    @property
    def challenge(self) -> ChallengeActions:
        """Challenge of its peer."""
        ...

    def introduce(self, about: Introduction) -> None:
        """Announces a new model."""
        ...

    def keep_record(self) -> None:
        """Stores the record of the check, once; called before the check ends."""
        ...


Gone = Callable[[Any, str, ByeReason], None]
"""Called with a check that must be closed, the reason in words, and the reason for `bye`."""


@dataclass(frozen=True, slots=True)
class CheckParts:
    """Parts shared by all checks of a server.

    Args:
        engine: makes the analyses.
        settings: time limits and the largest frame.
        video: bitrates and codec.
        about: the model, for `hello`.
        pool: executor for drawing and encoding.
        network: addresses, ports, ICE servers.
        keep: stores the record of an ended check; returns at once.
    """

    engine: Engine
    settings: WebRtcSettings
    video: VideoSettings
    about: Introduction
    pool: Executor
    network: Network
    keep: Callable[[CheckRecord], None]


class CheckSession:
    """One peer connection, from offer to end. Used on the event loop.

    Args:
        ids: ids of the session and its record.
        codec: codec of the returned video.
        client: the client.
        parts: the shared parts.
        on_gone: called, possibly repeatedly, when the peer failed, left, vanished, never connected or was refused, with
            the reason in words and the one for `bye`; the session must then be closed.
    """

    def __init__(
        self,
        ids: CheckIds,
        codec: Codec,
        client: Client,
        parts: CheckParts,
        on_gone: Callable[["CheckSession", str, ByeReason], None],
    ) -> None:
        self.session_id = session_id = ids.session_id
        self._record_id = ids.record_id
        self._loop = asyncio.get_running_loop()
        self._stale_s = parts.engine.settings.window.stale_s
        self._newest = NewestResult()
        self._judged: Result | None = None  # the newest result with a verdict
        self._pinged_s: float | None = None
        self._frames = FrameQueue()
        self.challenge = parts.engine.challenge()
        """Challenge of this peer, which starts and stops it by the data channel or over HTTP."""
        self._keep: Callable[[CheckRecord], None] | None = parts.keep
        self._client = client
        self._models = deque([parts.about], MAX_MODELS)
        self._began_s: float | None = None
        hint = virtual_camera(client.source_label)
        self._channel = ResultsChannel(session_id, parts.about, self._note_ping, self._challenged, hint)
        self._worker = parts.engine.worker(self._deliver, challenge=self.challenge)
        self._tee = FrameTee(self._frames, parts.engine.sampler(), self._worker.submit)
        name = f"check {session_id[:6]}"
        self._closing = CloseOnce(name, self._close)
        self._connection = PeerConnection(
            name,
            parts.settings,
            PeerEvents(
                connected=self._begin,
                gone=lambda reason: on_gone(self, reason, "closed"),
                life_s=lambda: max(self._pinged_s or 0.0, self._tee.last_frame_s or 0.0),
                silence="neither frame nor ping",
            ),
            parts.network,
        )
        events = VideoEvents(
            on_frame=self._tee.take,
            on_refused=lambda reason: on_gone(self, reason, "video_too_large"),
            on_failed=lambda reason: on_gone(self, reason, "closed"),
            on_end=self._frames.close,
        )
        self._receiver = VideoReceiver(name, parts.settings.max_pixels, events)
        self._annotator = self._add_video(codec, parts)
        self._connection.rtc.on("datachannel", self._channel.adopt)

    @property
    def connected(self) -> bool:
        """Whether the peer has connected; stays True after it left."""
        return self._connection.connected

    @property
    def closing(self) -> bool:
        """Whether `close` was called."""
        return self._closing.begun

    async def answer(self, offer: Offer) -> str:
        """The answer to the peer's offer, with all our candidates.

        Raises:
            OfferError: aiortc cannot answer it.
        """
        return await self._connection.answer(offer)

    def introduce(self, about: Introduction) -> None:
        """Announces a new model to the peer: in `hello`, and in the thresholds of the badge."""
        self._models.append(about)
        self._annotator.draw_with(Overlay(about.thresholds, self._stale_s))
        self._channel.introduce(about)

    def keep_record(self) -> None:
        """Stores the record of the check, once, unless the peer never connected; called before the check ends."""
        keep, self._keep = self._keep, None
        if keep is None or self._began_s is None:
            return
        self.challenge.close("the live check ended")
        newest, judged, by = self._newest.result, self._judged, self._models[-1]
        if judged is not None:  # it may be older than the newest model
            by = next((one for one in reversed(self._models) if one.model_sha256 == judged.model_sha256), by)
        last = judged or newest
        keep(
            CheckRecord(
                id=self._record_id,
                camera=None,
                who=self._client.user,
                began_s=self._began_s,
                ended_s=max(time.time(), self._began_s),
                source_label=self._client.source_label,
                virtual_camera=virtual_camera(self._client.source_label),
                state=judged.verdict.state if judged else None,
                reason=last.verdict.reason if last else "",
                fake_probability=judged.verdict.fake_probability if judged else None,
                judge=Judge(by.model_name, by.model_sha256, **asdict(by.thresholds)),
                challenges=self.challenge.ended,
                challenges_ended=self.challenge.ended_count,
            )
        )

    async def close(self, reason: ByeReason) -> None:
        """Ends the session within a bounded time; further calls wait for the same end."""
        await self._closing.run(reason)

    def _begin(self) -> None:
        """Called when the peer has connected."""
        self._began_s = time.time()
        self._worker.start()

    def _add_video(self, codec: Codec, parts: CheckParts) -> Annotator:
        """Adds the transceiver for the video in both directions."""
        video = parts.video
        bounds_bps = (video.min_bitrate_bps, video.max_bitrate_bps)
        encoder = H264Encoder(bounds_bps[0], video.start_bitrate_bps, bounds_bps[1]) if codec is Codec.H264 else None
        feedback = Feedback(video.start_bitrate_bps, bounds_bps)
        annotator = Annotator(Overlay(parts.about.thresholds, self._stale_s), self._newest, encoder)
        track = AnnotatedTrack(self._frames, annotator, feedback, parts.pool)
        transceiver = self._connection.add_video("sendrecv", codec, track)
        raise_uplink(transceiver.receiver, parts.settings.min_uplink_bps)
        self._receiver.attach(transceiver.receiver)
        if encoder is not None:
            feedback.attach(transceiver.sender)
        return annotator

    def _note_ping(self) -> None:
        self._pinged_s = time.monotonic()

    def _challenged(self, action: ChallengeAction) -> None:
        """Handles a request of the peer on the channel; if it cannot be fulfilled, the next result shows the state."""
        with contextlib.suppress(ConflictError, NotFoundError):
            if action == "start":
                self.challenge.start(self._client.user)
            else:
                self.challenge.stop()

    def _deliver(self, result: Result) -> None:
        """Accepts a result on the analysis thread: the badge uses it at once, the channel on the event loop."""
        self._newest.result = result
        if result.error is None:
            self._judged = result
        self._loop.call_soon_threadsafe(self._send, result)

    def _send(self, result: Result) -> None:
        if not self.closing:
            self._channel.send_result(result, self._frames.dropped + self._receiver.dropped)

    async def _close(self, reason: ByeReason) -> None:
        self.keep_record()
        await self._channel.say_bye(reason)
        await self._connection.end_tasks()
        self._receiver.end()
        self._frames.close()
        await asyncio.gather(
            self._connection.close(), self._receiver.close(CLOSE_S), asyncio.to_thread(self._worker.close, CLOSE_S)
        )
        self._annotator.close()
