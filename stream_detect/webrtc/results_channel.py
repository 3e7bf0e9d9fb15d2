"""The data channel `results`, which sends results to a peer, and its messages (docs/protocol.md)."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from aiortc import RTCDataChannel

from stream_detect.types import Result, Thresholds, TrackResult

PROTOCOL = 1
"""Version of the messages; increased when a message changes its meaning."""

MAX_CLIENT_MESSAGE_CHARS = 1024
"""A client sends only pings and challenge requests; longer messages are ignored unread."""

ChallengeAction = Literal["start", "stop"]
"""What a client may request."""

ByeReason = Literal["server_shutdown", "closed", "video_too_large"]
"""Reason for the end of a session in `bye`."""


@dataclass(frozen=True, slots=True)
class Introduction:
    """Description of the model in `hello`.

    Args:
        model_name: name of the bundle.
        model_title: title for people.
        model_sha256: sha256 of the served weights.
        thresholds: at which the verdict changes, each in [0, 1].
        window_s: length of the window in stream time.
        needed: admitted scores that a verdict needs.
    """

    model_name: str
    model_title: str
    model_sha256: str
    thresholds: Thresholds
    window_s: float
    needed: int


def hello_message(session_id: str, about: Introduction, virtual_camera: str = "") -> str:
    """The first message of a channel.

    Args:
        session_id: id of the check.
        about: the model.
        virtual_camera: the program that makes the client's video, guessed from its camera's name; empty if unknown.
    """
    return _envelope(
        "hello",
        {
            "session": session_id,
            "protocol": PROTOCOL,
            "model": {"name": about.model_name, "title": about.model_title, "sha256": about.model_sha256},
            "thresholds": {
                "fake_enter": about.thresholds.fake_enter,
                "fake_leave": about.thresholds.fake_leave,
                "real_enter": about.thresholds.real_enter,
                "real_leave": about.thresholds.real_leave,
            },
            "window_s": about.window_s,
            "needed": about.needed,
            "virtual_camera": virtual_camera or None,
        },
    )


def result_message(of: Result, dropped_frames: int) -> str:
    """Message about one analysed frame.

    Args:
        of: the result.
        dropped_frames: frames of this session that were not returned so far.
    """
    return _envelope("result", result_value(of, dropped_frames))


def result_value(of: Result, dropped_frames: int) -> dict[str, Any]:
    """Content of a `result` message, also used in server-sent events."""
    verdict = of.verdict
    width, height = of.wh
    return {
        "sequence": of.sequence,
        "pts": of.pts,
        "time_s": round(of.time_s, 3),
        "width": width,
        "height": height,
        "state": verdict.state.value,
        "reason": verdict.reason,
        "fake_probability": _share(verdict.fake_probability),
        "admitted": verdict.admitted,
        "needed": verdict.needed,
        "faces": [_face(track) for track in of.tracks],
        "latency_ms": round(1000.0 * of.latency_s, 1),
        "dropped": {"samples": of.dropped_samples, "frames": dropped_frames},
        "error": of.error,
        "feed": of.feed.value,
        "feed_reason": of.feed_reason,
        "challenge": None if of.challenge is None else of.challenge.value(),
    }


def pong_message(ping_id: int | str) -> str:
    """The answer to the ping with that id."""
    return _envelope("pong", {"id": ping_id})


def bye_message(reason: ByeReason) -> str:
    """The last message: the server closes the session."""
    return _envelope("bye", {"reason": reason})


def read_ping(text: str | bytes) -> int | str | None:
    """The id of a client's ping; None for any other message, which must be ignored."""
    match _read(text):
        case {"type": "ping", "value": {"id": bool()}}:
            return None
        case {"type": "ping", "value": {"id": int() | str() as ping_id}}:
            return ping_id
        case _:
            return None


def read_challenge(text: str | bytes) -> ChallengeAction | None:
    """The action that a client requests with a `challenge` message; None for any other message."""
    match _read(text):
        case {"type": "challenge", "value": {"action": "start"}}:
            return "start"
        case {"type": "challenge", "value": {"action": "stop"}}:
            return "stop"
        case _:
            return None


def _read(text: str | bytes) -> object:
    """A client's message; None if it is too long or not JSON."""
    if len(text) > MAX_CLIENT_MESSAGE_CHARS:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _face(track: TrackResult) -> dict[str, Any]:
    verdict = track.verdict
    return {
        "track": track.track_id,
        "box": [round(float(edge), 1) for edge in track.face.xyxy],
        "state": verdict.state.value,
        "reason": verdict.reason,
        "fake_probability": _share(verdict.fake_probability),
        "score": _share(track.score),
        "score_age_s": None if track.score_age_s is None else round(track.score_age_s, 2),
        "rejected": track.rejected,
        "admitted": verdict.admitted,
        "needed": verdict.needed,
    }


def _share(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


def _envelope(kind: str, value: dict[str, Any]) -> str:
    return json.dumps({"type": kind, "value": value}, separators=(",", ":"), allow_nan=False)


LABEL = "results"

MAX_BUFFERED_BYTES = 256 * 1024
"""Unsent bytes above which results are skipped: some ten seconds of results, for a peer that stopped reading."""

BYE_S = 0.25
"""How long a closing session waits until its last message is sent."""


class ResultsChannel:
    """The server's side of the `results` channel. Before the peer opens it, and after it closed, messages are dropped.

    Drop policy: results and pongs are skipped and counted while MAX_BUFFERED_BYTES wait; hello and bye are not.

    Args:
        session_id: for `hello`.
        about: for `hello`.
        on_ping: called for each ping, as a sign of life.
        on_challenge: called when the peer requests to start or stop a challenge.
        virtual_camera: for `hello`.
    """

    def __init__(
        self,
        session_id: str,
        about: Introduction,
        on_ping: Callable[[], None],
        on_challenge: Callable[[ChallengeAction], None],
        virtual_camera: str = "",
    ) -> None:
        self._session_id = session_id
        self._about = about
        self._on_ping = on_ping
        self._on_challenge = on_challenge
        self._virtual_camera = virtual_camera
        self._channel: RTCDataChannel | None = None
        self.skipped = 0
        """Number of messages not sent because too much was waiting, or because the peer accepts none of that length."""

    def adopt(self, channel: RTCDataChannel) -> None:
        """Adopts a channel that the peer opened, if it is the first with its label."""
        if channel.label != LABEL or self._channel is not None:
            return
        self._channel = channel
        channel.on("message", self._receive)
        self._send(hello_message(self._session_id, self._about, self._virtual_camera))

    def introduce(self, about: Introduction) -> None:
        """Sends hello again, for a new model."""
        self._about = about
        self._send(hello_message(self._session_id, about, self._virtual_camera))

    def send_result(self, result: Result, dropped_frames: int) -> None:
        """Sends one result, or skips it.

        Args:
            result: the result.
            dropped_frames: frames of this session that were not returned so far.
        """
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return
        if channel.bufferedAmount > MAX_BUFFERED_BYTES:
            self.skipped += 1
            return
        self._send(result_message(result, dropped_frames))

    async def say_bye(self, reason: ByeReason) -> None:
        """Sends the last message and waits, for a bounded time, until it is sent."""
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return
        self._send(bye_message(reason))
        left = asyncio.Event()
        channel.on("bufferedamountlow", left.set)
        try:
            async with asyncio.timeout(BYE_S):
                await left.wait()
        except TimeoutError:
            pass  # the peer accepts nothing any more

    def _receive(self, message: str | bytes) -> None:
        ping_id = read_ping(message)
        if ping_id is None:
            if (action := read_challenge(message)) is not None:
                self._on_challenge(action)
            return
        self._on_ping()
        if self._channel is not None and self._channel.bufferedAmount <= MAX_BUFFERED_BYTES:
            self._send(pong_message(ping_id))

    def _send(self, text: str) -> None:
        if self._channel is None or self._channel.readyState != "open":
            return
        try:
            self._channel.send(text)
        except ValueError:
            self.skipped += 1  # longer than the peer's limit
