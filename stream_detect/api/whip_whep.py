"""Routes of WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep), see docs/protocol.md.

By WHIP, publishers send the video of `whip:` cameras; by WHEP, viewers watch a camera with the badge.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import av
from fastapi import APIRouter

from stream_detect.api.signalling import Cameras, Exchange, routes_of, started_camera
from stream_detect.errors import ConflictError
from stream_detect.settings import IceServer
from stream_detect.sources.address import parse_address
from stream_detect.types import Answer
from stream_detect.webrtc.whip import PublisherSink


@dataclass(frozen=True, slots=True)
class CameraByName:
    """A camera as a publisher's sink, looked up for every frame, because a changed camera is another object.

    Args:
        cameras: all cameras.
        name: name of the camera.
    """

    cameras: Cameras
    name: str

    def push(self, frame: av.VideoFrame, codec: str, *, arrived_s: float, gap: bool = False) -> None:
        """See `PublisherSink`."""
        self.cameras.camera(self.name).push(frame, codec, arrived_s=arrived_s, gap=gap)

    def publisher_left(self, reason: str) -> None:
        """See `PublisherSink`."""
        self.cameras.camera(self.name).publisher_left(reason)


class PublisherSessions(Protocol):
    """Sessions of publishers (`webrtc.whip.Publishers` fits)."""

    async def answer(self, camera: str, offer_sdp: str, sink: PublisherSink, client: str = "") -> Answer:
        """Opens a session; see `Publishers.answer`."""
        ...

    async def close(self, camera: str, session_id: str) -> None:
        """Ends a session; see `Publishers.close`."""
        ...

    async def add_candidates(self, camera: str, session_id: str, fragment: str, etag: str | None = None) -> None:
        """Adds candidates to a session; see `Publishers.add_candidates`."""
        ...


def whip(publishers: PublisherSessions, cameras: Cameras, ice_servers: Callable[[], Sequence[IceServer]]) -> APIRouter:
    """The routes of publishers.

    Args:
        publishers: the sessions.
        cameras: receive their frames.
        ice_servers: returns the current ICE servers for clients.
    """

    async def answer(name: str, offer_sdp: str, client: str) -> Answer:
        settings = started_camera(cameras, name).settings
        if not parse_address(settings.url.get_secret_value(), from_settings_file=True).is_pushed:
            raise ConflictError(f'{name} has an address; only a camera with url "whip:" accepts publishers')
        return await publishers.answer(name, offer_sdp, CameraByName(cameras, name), client)

    refusals = {
        409: "stopped, not a whip: camera, or there is another publisher",
        422: "no sendonly video, or no codec in common (H.264, VP8)",
        503: "the server is shutting down, or no worker has the camera now",
    }
    return routes_of(
        Exchange("whip", "publishing", refusals, answer, publishers.close, publishers.add_candidates, ice_servers)
    )


class ViewerSessions(Protocol):
    """Sessions of viewers (`webrtc.whep.Viewers` fits)."""

    async def answer(self, camera: str, offer_sdp: str, client: str = "") -> Answer:
        """Opens a session; see `Viewers.answer`."""
        ...

    async def close(self, camera: str, session_id: str) -> None:
        """Ends a session; see `Viewers.close`."""
        ...

    async def add_candidates(self, camera: str, session_id: str, fragment: str, etag: str | None = None) -> None:
        """Adds candidates to a session; see `Viewers.add_candidates`."""
        ...


def whep(viewers: ViewerSessions, cameras: Cameras, ice_servers: Callable[[], Sequence[IceServer]]) -> APIRouter:
    """The routes of viewers.

    Args:
        viewers: the sessions.
        cameras: the cameras to watch.
        ice_servers: returns the current ICE servers for clients.
    """

    async def answer(name: str, offer_sdp: str, client: str) -> Answer:
        started_camera(cameras, name)
        return await viewers.answer(name, offer_sdp, client)

    refusals = {
        409: "the camera is stopped",
        422: "no recvonly video, or no codec in common (H.264, VP8)",
        503: "too many viewers, or no worker has the camera now; Retry-After says when to try again",
    }
    return routes_of(Exchange("whep", "viewing", refusals, answer, viewers.close, viewers.add_candidates, ice_servers))
