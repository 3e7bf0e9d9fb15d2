"""One peer connection from the answer to its end, and the check whether its peer is still alive.

new ──answer──> connecting ──ICE, DTLS──> connected ──close──> closed
                    └── connect_timeout_s, failure ──────────────┘
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from aiortc import (
    InvalidAccessError,
    InvalidStateError,
    MediaStreamTrack,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import InternalError, OperationError

from stream_detect.errors import OfferError, PreconditionError, SignalingError
from stream_detect.settings import WebRtcSettings
from stream_detect.webrtc.aiortc_private.connection import bound_checks, bound_received, close, new_connection
from stream_detect.webrtc.aiortc_private.gathering import gather_by
from stream_detect.webrtc.aiortc_private.rtcp import limit_retransmissions
from stream_detect.webrtc.network import Network
from stream_detect.webrtc.offer import KEPT_CANDIDATES, Codec, Offer
from stream_detect.webrtc.results_channel import ByeReason
from stream_detect.webrtc.trickle import ice_credentials, read_fragment

WATCH_S = 1.0
"""Interval at which a connection checks whether its peer is alive."""

CLOSE_S = 3.0
"""Time limit for closing a connection."""

BIND_S = 0.5
"""Time that a connection which is closed while gathering candidates has to open its sockets; usually a millisecond."""

_AIORTC_ERRORS = (InvalidAccessError, InvalidStateError, InternalError, OperationError, ValueError)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PeerEvents:
    """Callbacks of a connection to its session, all called on the event loop.

    Args:
        connected: the peer has connected.
        gone: the peer failed, left, vanished or never connected, with the reason in words; may be called repeatedly.
        life_s: returns the monotonic time of the last sign of life after connecting; None before the first.
        silence: what a vanished peer did not send, in words ("neither frame nor ping").
    """

    connected: Callable[[], None]
    gone: Callable[[str], None]
    life_s: Callable[[], float | None]
    silence: str


class PeerConnection:
    """One RTCPeerConnection and the tasks of its session. Used on the event loop.

    Args:
        name: name for the log and the tasks.
        settings: time limits.
        events: callbacks of the session.
        network: addresses, ports, ICE servers; default: those of the settings.
    """

    def __init__(self, name: str, settings: WebRtcSettings, events: PeerEvents, network: Network | None = None) -> None:
        self._name = name
        self._settings = settings
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._network = network or Network.of(settings)
        self.rtc = new_connection()
        self.rtc.on("connectionstatechange", self._on_state)
        self._since_s = time.monotonic()
        self._connected_s: float | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._gathering: asyncio.Task[None] | None = None
        self._closing = False
        self._offered: frozenset[tuple[str, str]] = frozenset()
        self._more_candidates = KEPT_CANDIDATES
        self.etag = secrets.token_hex(8)
        """ETag of the ICE session, for HTTP: a new one would have another."""
        self.begin(self._watch(), "watch")

    @property
    def connected(self) -> bool:
        """Whether the peer has connected; stays True after it left."""
        return self._connected_s is not None

    def add_video(self, direction: str, codec: Codec, track: MediaStreamTrack | None = None) -> RTCRtpTransceiver:
        """Adds the transceiver of the video, in one codec. Preferences only work before the remote description.

        Args:
            direction: our direction: sendrecv, sendonly or recvonly.
            codec: codec of the answer.
            track: the track to send, if aiortc sends it.
        """
        transceiver = self.rtc.addTransceiver(track or "video", direction)
        limit_retransmissions(transceiver.sender)
        capabilities = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences([c for c in capabilities if c.mimeType in {codec.value, "video/rtx"}])
        return transceiver

    async def answer(self, offer: Offer) -> str:
        """The answer to the peer's offer, with all our candidates; everything except the first video is declined.

        Raises:
            OfferError: aiortc cannot answer it.
            CapacityError: no UDP port is free.
        """
        self._offered = ice_credentials(offer.sdp)
        try:
            await self.rtc.setRemoteDescription(RTCSessionDescription(sdp=offer.sdp, type="offer"))
            for transceiver in self.rtc.getTransceivers()[1:]:
                transceiver.direction = "inactive"
            bound_received(self.rtc, self._events.gone)
            gather_by(self.rtc, self._network.hosts, self._network.servers)
            self._gathering = self._loop.create_task(self.rtc.setLocalDescription(), name=f"{self._name} gathering")
            await asyncio.shield(self._gathering)  # if interrupted, it would leave unreferenced sockets
            bound_checks(self.rtc)
        except _AIORTC_ERRORS as error:
            raise OfferError(f"expected an offer that can be answered, received one that cannot: {error}") from error
        self._since_s = time.monotonic()  # gathering candidates may have taken seconds
        return offer.answered_as_offered(str(self.rtc.localDescription.sdp))

    async def add_candidates(self, fragment: str, etag: str | None) -> None:
        """Adds candidates that the peer sends after its offer; KEPT_CANDIDATES of them are used.

        Args:
            fragment: fragment of a session description (RFC 8840).
            etag: ETag of their ICE session; None for any.

        Raises:
            PreconditionError: the ICE session is another one.
            OfferError: the fragment is malformed.
            SignalingError: it belongs to another ICE session: the peer requests a restart.
        """
        if etag is not None and etag != self.etag:
            raise PreconditionError(
                "expected the ETag that came with the answer in If-Match, received another one: POST a new offer"
            )
        read = read_fragment(fragment)
        if not read.credentials <= self._offered:
            raise SignalingError(
                "expected the a=ice-ufrag and a=ice-pwd of the offer: ICE is not restarted here; DELETE the session "
                "and POST a new offer"
            )
        for candidate in read.candidates[: self._more_candidates]:
            self._more_candidates -= 1
            await self.rtc.addIceCandidate(candidate)

    def begin(self, work: Coroutine[None, None, None], name: str) -> None:
        """Starts a task that ends with the connection; if it fails, the session ends."""
        task = self._loop.create_task(work, name=f"{self._name} {name}")
        task.add_done_callback(self._note_failure)
        self._tasks.append(task)

    async def end_tasks(self) -> None:
        """Ends the tasks; the first part of `close`, for callers with something to do in between."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Ends the tasks and the connection within a bounded time."""
        await self.end_tasks()
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._end_gathering()
                await close(self.rtc)
        except TimeoutError:
            _log.warning("%s: the connection did not close within %g s", self._name, CLOSE_S)

    async def _end_gathering(self) -> None:
        """Waits until its sockets exist and can be closed; does not wait for servers that do not respond."""
        gathering = self._gathering
        if gathering is not None:
            await asyncio.wait([gathering], timeout=BIND_S)
            gathering.cancel()
            await asyncio.gather(gathering, return_exceptions=True)

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s failed", task.get_name(), exc_info=error)
            self._events.gone("a task of it failed")

    def _on_state(self) -> None:
        state = self.rtc.connectionState
        if state == "connected" and self._connected_s is None and not self._closing:
            self._connected_s = time.monotonic()
            self._events.connected()
        elif state in {"failed", "closed"}:
            self._events.gone(f"connection {state}")

    async def _watch(self) -> None:
        """Ends the session if the peer did not connect, or left without notice."""
        connect_s, vanish_s = self._settings.connect_timeout_s, self._settings.vanish_timeout_s
        while True:
            await asyncio.sleep(min(WATCH_S, connect_s / 4, vanish_s / 4))
            now_s = time.monotonic()
            if self._connected_s is None:
                if now_s - self._since_s > connect_s:
                    return self._events.gone(f"not connected within {connect_s:g} s")
            elif now_s - max(self._connected_s, self._events.life_s() or 0.0) > vanish_s:
                return self._events.gone(f"{self._events.silence} for {vanish_s:g} s")


class CloseOnce:
    """Closes a session once: further callers wait for the same end, and a cancelled caller does not stop it.

    Args:
        name: name of the task.
        close: closes the session.
    """

    def __init__(self, name: str, close: Callable[[ByeReason], Coroutine[None, None, None]]) -> None:
        self._name = name
        self._close = close
        self._task: asyncio.Task[None] | None = None

    @property
    def begun(self) -> bool:
        """Whether `run` was called."""
        return self._task is not None

    async def run(self, reason: ByeReason) -> None:
        """Closes, or waits for the close in progress."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._close(reason), name=f"{self._name} close")
        await asyncio.shield(self._task)
