"""Results channel: results enter, messages on the peer's data channel `results` leave (docs/protocol.md)."""

import asyncio
from collections.abc import Callable

from aiortc import RTCDataChannel

from stream_detect.types import Result
from stream_detect.webrtc import messages
from stream_detect.webrtc.messages import ByeReason, Introduction

LABEL = "results"

MAX_BUFFERED_BYTES = 256 * 1024
"""Unsent bytes above which results are skipped: some ten seconds of results, to a peer that has stopped taking any."""

BYE_S = 0.25
"""How long a closing session waits for its last message to leave."""


class ResultsChannel:
    """The server's end of `results`. Before the peer opens it, and after it closed, messages are dropped.

    Drop policy: results are skipped and counted while MAX_BUFFERED_BYTES wait, and so are pongs; hello and bye are not.

    Args:
        session_id: for `hello`.
        about: for `hello`.
        on_ping: called at each ping, as a sign of life.
    """

    def __init__(self, session_id: str, about: Introduction, on_ping: Callable[[], None]) -> None:
        self._session_id = session_id
        self._about = about
        self._on_ping = on_ping
        self._channel: RTCDataChannel | None = None
        self.skipped = 0
        """Messages not sent because too much was waiting, or because the peer takes none of that length."""

    def adopt(self, channel: RTCDataChannel) -> None:
        """Takes a channel that the peer has opened, if it is the first of its label."""
        if channel.label != LABEL or self._channel is not None:
            return
        self._channel = channel
        channel.on("message", self._receive)
        self._send(messages.hello_message(self._session_id, self._about))

    def introduce(self, about: Introduction) -> None:
        """Says hello once more: another model judges."""
        self._about = about
        self._send(messages.hello_message(self._session_id, about))

    def send_result(self, result: Result, dropped_frames: int) -> None:
        """Sends one result, or skips it.

        Args:
            result: what the analysis says.
            dropped_frames: pictures of this session not sent back, so far.
        """
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return
        if channel.bufferedAmount > MAX_BUFFERED_BYTES:
            self.skipped += 1
            return
        self._send(messages.result_message(result, dropped_frames))

    async def say_bye(self, reason: ByeReason) -> None:
        """Sends the last message and waits, for a bounded time, until it is on its way."""
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return
        self._send(messages.bye_message(reason))
        left = asyncio.Event()
        channel.on("bufferedamountlow", left.set)
        try:
            async with asyncio.timeout(BYE_S):
                await left.wait()
        except TimeoutError:
            pass  # the peer takes nothing any more

    def _receive(self, message: str | bytes) -> None:
        ping_id = messages.read_ping(message)
        if ping_id is None:
            return
        self._on_ping()
        if self._channel is not None and self._channel.bufferedAmount <= MAX_BUFFERED_BYTES:
            self._send(messages.pong_message(ping_id))

    def _send(self, text: str) -> None:
        if self._channel is None or self._channel.readyState != "open":
            return
        try:
            self._channel.send(text)
        except ValueError:
            self.skipped += 1  # longer than the peer said it takes
