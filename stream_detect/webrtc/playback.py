"""Playback session: one viewer's offer enters; a camera's pictures go to it, as many as its line takes."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from stream_detect.settings import VideoSettings, WebRtcSettings
from stream_detect.webrtc.feedback import listen
from stream_detect.webrtc.hub import Hub
from stream_detect.webrtc.keyframes import KeyframeGate
from stream_detect.webrtc.lanes import Coded
from stream_detect.webrtc.link import Ending, Link, Watch
from stream_detect.webrtc.messages import ByeReason
from stream_detect.webrtc.offer import Codec, Offer
from stream_detect.webrtc.outlet import Outlet
from stream_detect.webrtc.pace import Pace

KEYFRAME_INTERVAL_S = 1.0
"""Least time between two keyframes that one viewer gets for asking: all others pay for each, too."""

MAX_UNSENT_BYTES = 128 * 1024
"""What may wait in a viewer's socket: one second of 1 Mbit/s."""


@dataclass(frozen=True, slots=True)
class PlaybackParts:
    """What every playback of a server is made from.

    Args:
        settings: time-outs, ICE servers.
        video: bitrates.
    """

    settings: WebRtcSettings
    video: VideoSettings


class Playback:
    """One viewer of a camera. Lives on the event loop. As a `Session`, a hub's `Viewer`, and an `RtcpListener`.

    Drop policy: nothing is queued but in its socket. When that is over MAX_UNSENT_BYTES, or the viewer's line does not
    follow (`Pace`), it gets nothing until there is room and a keyframe comes.

    Args:
        session_id: unguessable.
        codec: what it watches in.
        hub: of the camera.
        parts: what it is made from.
        on_gone: called, perhaps more than once, when the viewer failed, left, vanished or never came.
    """

    def __init__(
        self, session_id: str, codec: Codec, hub: Hub, parts: PlaybackParts, on_gone: Callable[["Playback", str], None]
    ) -> None:
        self.session_id = session_id
        self.codec = codec
        self._hub = hub
        self._pace = Pace(parts.video.start_bitrate_bps)
        self._keyframes = KeyframeGate(KEYFRAME_INTERVAL_S)
        self._waiting = True
        self.sent = 0
        """Pictures that went out."""
        self.left_out = 0
        """Pictures that did not, since this viewer could not follow; those before its first one are not counted."""
        name = f"whep {session_id[:6]}"
        self._ending = Ending(name, self._close)
        self._link = Link(
            name,
            parts.settings,
            Watch(
                connected=lambda: None,  # the outlet knows better when pictures may be sent
                gone=lambda reason: on_gone(self, reason),
                life_s=lambda: self._pace.unanswered_s or time.monotonic(),
                silence="no report of the viewer",
            ),
        )
        sender = self._link.add_video("sendonly", codec).sender
        listen(sender, self)
        self._outlet = Outlet(sender, self._join)
        hub.enter()

    @property
    def hub(self) -> Hub:
        """Of the camera that is watched."""
        return self._hub

    @property
    def closing(self) -> bool:
        """As a `Session`."""
        return self._ending.begun

    @property
    def bitrate_bps(self) -> int:
        """As a `Viewer`."""
        return self._pace.bitrate_bps

    async def answer(self, offer: Offer) -> str:
        """As a `Session`."""
        return await self._link.answer(offer)

    async def close(self, reason: ByeReason) -> None:
        """As a `Session`."""
        await self._ending.run(reason)

    async def take(self, coded: Coded) -> None:
        """As a `Viewer`."""
        if not self._pace.admits() or self._outlet.unsent_bytes > MAX_UNSENT_BYTES:
            self._waiting = True
            self.left_out += 1
            return
        if self._waiting and not coded.keyframe:
            self.left_out += bool(self.sent)
            self._keyframes.request()
        else:
            self._waiting = False
            self._pace.sent(await self._outlet.send(coded))
            self.sent += 1
        if self._keyframes.take():
            self._hub.request_keyframe(self.codec)

    def request_keyframe(self) -> None:
        """As an `RtcpListener`: asked for with the next picture."""
        self._keyframes.request()

    def estimate(self, bitrate_bps: int) -> None:
        """As an `RtcpListener`."""
        self._pace.estimate(bitrate_bps)
        self._hub.retarget(self.codec)

    def report(self, lost: float) -> None:
        """As an `RtcpListener`."""
        self._pace.report(lost)

    def _join(self) -> None:
        if not self.closing:
            self._hub.attach(self)

    async def _close(self, _reason: ByeReason) -> None:
        self._hub.detach(self)
        self._hub.leave()
        await self._link.close()
