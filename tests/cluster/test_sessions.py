"""Candidates sent after an offer reach the worker that has the camera, which reports when the session has ended."""

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from stream_detect.cluster.messages import refusal_of
from stream_detect.cluster.sessions import ClusterPublishers, ClusterViewers
from stream_detect.errors import NotFoundError, PreconditionError, SignalingError, StreamDetectError
from stream_detect.settings import CameraSettings, VideoSettings, WebRtcSettings
from stream_detect.types import Thresholds
from stream_detect.webrtc.hub import OverlayStyle
from stream_detect.webrtc.whep import Viewers
from tests.patience import PATIENCE_S, soon
from tests.webrtc.conftest import Camera
from tests.webrtc.peers import Publisher, Screen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Link:
    """A link to a worker in this process, with real viewers, and errors as they are sent."""

    def __init__(self, viewers: Viewers) -> None:
        self._methods: dict[str, Callable[..., Awaitable[Any]]] = {
            "view": viewers.answer,
            "end_view": viewers.close,
            "add_to_view": viewers.add_candidates,
        }

    async def ask(self, method: str, *arguments: Any, timeout_s: float) -> Any:  # noqa: ARG002 - as WorkerLink
        try:
            return await self._methods[method](*arguments)
        except StreamDetectError as error:
            return refusal_of(error)


async def test_candidates_reach_the_worker_and_its_refusals_come_back() -> None:
    viewers = Viewers(WebRtcSettings(), VideoSettings(), OverlayStyle(Thresholds(), 1.0), 2)
    link = Link(viewers)
    there = ClusterViewers(SimpleNamespace(link_of=lambda _camera: link))  # type: ignore[arg-type]
    screen = Screen()
    offer = await screen.offer()
    fragment = "\r\n".join(line for line in offer.splitlines() if line.startswith(("a=ice-", "a=mid", "a=candidate")))
    answer = await there.answer("door", offer)
    await there.add_candidates("door", answer.session_id, fragment, answer.etag)
    with pytest.raises(PreconditionError):
        await there.add_candidates("door", answer.session_id, fragment, "another")
    with pytest.raises(SignalingError, match="not restarted"):
        await there.add_candidates("door", answer.session_id, fragment.replace("ufrag:", "ufrag:x"))
    with pytest.raises(NotFoundError):
        await there.add_candidates("yard", answer.session_id, fragment)
    await there.close("door", answer.session_id)
    await viewers.close_all()
    await screen.close()


async def test_a_session_runs_until_its_worker_reports_its_end_or_is_lost(stage: Any) -> None:
    # A lease that a busy machine renews in time.
    made = await asyncio.to_thread(stage, "a", webrtc={"connect_timeout_s": 2 * PATIENCE_S}, lease_s=10)
    await asyncio.to_thread(made.fleet.add, CameraSettings(name="street", url="whip:"))
    link = made.nodes.links["a"]
    await soon(lambda: link.watches("street"))
    viewers, publishers = ClusterViewers(made.head), ClusterPublishers(made.head)
    screen, publisher = Screen(), Publisher(Camera())
    viewing = (await viewers.answer("street", await screen.offer())).session_id
    publishing = (await publishers.answer("street", await publisher.offer(), None)).session_id
    assert viewers.runs(viewing)
    assert publishers.runs(publishing)
    assert not viewers.runs(publishing)
    ending = link.worker.end_view("street", viewing)  # without the server
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(ending, link.loop))
    await soon(lambda: not viewers.runs(viewing))
    assert publishers.runs(publishing)
    link.cut.set()
    await soon(lambda: not publishers.runs(publishing))
    link.cut.clear()
    await asyncio.gather(screen.close(), publisher.close())
