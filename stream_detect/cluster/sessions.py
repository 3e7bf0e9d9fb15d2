"""Viewers and publishers in a cluster: the worker of the camera answers, and media go directly to it."""

import time
from collections import OrderedDict
from typing import Any

from stream_detect.cluster.head import RETRY_AFTER_S, Head
from stream_detect.cluster.messages import Refusal, raised
from stream_detect.cluster.nodes import WorkerLink, WorkerLostError
from stream_detect.errors import CapacityError, NotFoundError
from stream_detect.types import Answer, Thresholds

ANSWER_S = 15.0
"""Time limit of an answer, which gathers ICE candidates: some seconds if STUN and TURN servers do not respond."""

MAX_REMEMBERED = 16_384
"""Sessions whose worker is remembered, so that they can be ended by id; the oldest are forgotten."""


class _Sessions:
    """Sessions of one kind, by id.

    Args:
        head: knows the worker of each camera.
        opens: method of a worker to answer an offer.
        ends: method to end a session.
        adds: method to add candidates after the offer.
    """

    def __init__(self, head: Head, opens: str, ends: str, adds: str) -> None:
        self._head = head
        self._opens = opens
        self._ends = ends
        self._adds = adds
        self._links: OrderedDict[str, tuple[str, WorkerLink, float]] = OrderedDict()

    def runs(self, session_id: str) -> bool:
        """Whether a session was opened, and its worker has not reported that it ended."""
        known = self._links.get(session_id)
        return known is not None and self._head.tasks.has_session(known[1], session_id, known[2])

    async def close(self, camera: str, session_id: str) -> None:
        """Ends a session.

        Raises:
            NotFoundError: that camera has no session with that id.
        """
        link = self._link(camera, session_id)
        del self._links[session_id]
        await self._asked_of_session(link, self._ends, camera, session_id)

    async def add_candidates(self, camera: str, session_id: str, fragment: str, etag: str | None = None) -> None:
        """Passes further candidates to the camera's worker; see `webrtc.whep.Viewers.add_candidates`.

        Raises:
            NotFoundError: that camera has no session with that id.
            PreconditionError: its ICE session is another one.
            OfferError: the fragment is malformed.
            SignalingError: it requests an ICE restart.
        """
        link = self._link(camera, session_id)
        await self._asked_of_session(link, self._adds, camera, session_id, fragment, etag)

    async def _open(self, camera: str, offer_sdp: str, client: str) -> Answer:
        link = self._head.link_of(camera)
        answer: Answer = await _asked(link, self._opens, camera, offer_sdp, client)
        self._links[answer.session_id] = camera, link, time.monotonic()
        while len(self._links) > MAX_REMEMBERED:
            self._links.popitem(last=False)
        return answer

    async def _asked_of_session(self, link: WorkerLink, method: str, *arguments: Any) -> None:
        try:
            await _asked(link, method, *arguments)
        except CapacityError:
            raise NotFoundError("the session ended with its worker") from None

    def _link(self, camera: str, session_id: str) -> WorkerLink:
        known = self._links.get(session_id)
        if known is None or known[0] != camera:
            raise NotFoundError("expected the id of a running session, received an unknown id; it may have ended")
        return known[1]


class ClusterViewers(_Sessions):
    """All viewers of a cluster's cameras (`webrtc.whep.Viewers` without a cluster). Used on the event loop.

    Args:
        head: knows the worker of each camera.
    """

    def __init__(self, head: Head) -> None:
        super().__init__(head, "view", "end_view", "add_to_view")

    async def answer(self, camera: str, offer_sdp: str, client: str = "") -> Answer:
        """Opens a session on the camera's worker; see `Viewers.answer`.

        Raises:
            OfferError: the offer is malformed, or (NoVideoError) contains no video to receive.
            CodecError: it contains no supported codec.
            CapacityError: there are too many viewers, or no worker has the camera now.
        """
        return await self._open(camera, offer_sdp, client)

    async def snapshot(self, camera: str, thresholds: Thresholds, stale_s: float, width: int | None) -> bytes:
        """The newest frame of a camera with its badge, as JPEG; see `overlay.overlay.annotated`.

        Raises:
            NotFoundError: it has sent none yet.
            CapacityError: no worker has the camera now.
            MediaError: the frame has a format that cannot be drawn on.
        """
        link = self._head.link_of(camera)
        picture: bytes = await _asked(link, "snapshot", camera, thresholds, stale_s, width)
        return picture


class ClusterPublishers(_Sessions):
    """All publishers to a cluster's cameras (`webrtc.whip.Publishers` without a cluster). Used on the event loop.

    Args:
        head: knows the worker of each camera.
    """

    def __init__(self, head: Head) -> None:
        super().__init__(head, "publish", "end_publish", "add_to_publish")

    async def answer(self, camera: str, offer_sdp: str, sink: object, client: str = "") -> Answer:  # noqa: ARG002
        """Opens a session on the camera's worker, which feeds the camera there; see `Publishers.answer`.

        Raises:
            OfferError: the offer is malformed, or (NoVideoError) contains no video to send.
            CodecError: it contains no supported codec.
            ConflictError: there is another publisher.
            CapacityError: no worker has the camera now.
        """
        return await self._open(camera, offer_sdp, client)


async def _asked(link: WorkerLink, method: str, *arguments: Any) -> Any:
    """A worker's answer; raises its refusals as errors.

    Raises:
        CapacityError: it does not respond.
    """
    try:
        answer = await link.ask(method, *arguments, timeout_s=ANSWER_S)
    except WorkerLostError as error:
        raise CapacityError(f"the camera's worker does not answer ({error}); try again", RETRY_AFTER_S) from error
    if isinstance(answer, Refusal):
        raise raised(answer)
    return answer
