"""Routes of WHEP (draft-ietf-wish-whep), by which viewers watch a camera with the badge (docs/protocol.md)."""

from collections.abc import Callable, Sequence
from typing import Protocol

from fastapi import APIRouter

from stream_detect.api.signalling import Cameras, Exchange, routes_of, started_camera
from stream_detect.settings import IceServer
from stream_detect.types import Answer


class ViewerSessions(Protocol):
    """Sessions of viewers (`webrtc.whep.Viewers` fits)."""

    async def answer(self, camera: str, offer_sdp: str, client: str = "") -> Answer:
        """Opens one; see `Viewers.answer`."""
        ...

    async def close(self, camera: str, session_id: str) -> None:
        """Ends one; see `Viewers.close`."""
        ...

    async def add_candidates(self, camera: str, session_id: str, fragment: str, etag: str | None = None) -> None:
        """Takes further candidates of one; see `Viewers.add_candidates`."""
        ...


def router(viewers: ViewerSessions, cameras: Cameras, ice_servers: Callable[[], Sequence[IceServer]]) -> APIRouter:
    """The routes of viewers.

    Args:
        viewers: the sessions.
        cameras: what is watched.
        ice_servers: those that clients are to use from now on.
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
