"""A worker: a process that watches the cameras that the server orders, and answers their viewers and publishers.

It hosts the same fleet as a server without a cluster. If the calls of the server stay away for longer than a lease, it
stops its cameras by itself, so that no camera is ever watched twice.
"""

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import cv2
from pydantic import field_validator

from stream_detect import __version__
from stream_detect.analysis.engine import Engine
from stream_detect.analysis.search import FaceSearch
from stream_detect.cameras.fleet import Fleet, HostedCamera, hosted_here
from stream_detect.cameras.observer import Observers
from stream_detect.challenge_record import ChallengeRecord
from stream_detect.cluster.messages import (
    AnalysisBegun,
    AnalysisOrder,
    Batch,
    Call,
    Load,
    ModelOrder,
    Refusal,
    refusal_of,
)
from stream_detect.cluster.orders import Lease, OrderKeeper
from stream_detect.cluster.outbox import Outbox
from stream_detect.cluster.process_folder import ProcessFolder
from stream_detect.cluster.worker_analyses import WorkerAnalyses
from stream_detect.cluster.worker_evidence import WorkerEvidence
from stream_detect.errors import NotFoundError, SettingsError, StreamDetectError
from stream_detect.evidence.folder import EvidenceFolder
from stream_detect.jobs.reviewer import ModelReviewer
from stream_detect.media.credentials import trust_anchors_of
from stream_detect.models.backend import load_model
from stream_detect.models.registry import Registry
from stream_detect.overlay.picture import annotated
from stream_detect.review.models import ExaminationSettings
from stream_detect.settings import (
    ClusterSettings,
    EvidenceSettings,
    MonitoringSettings,
    StorageSettings,
    WebRtcSettings,
)
from stream_detect.types import Answer, CameraState, Thresholds
from stream_detect.webrtc.hub import OverlayStyle
from stream_detect.webrtc.network import Network
from stream_detect.webrtc.whep import Viewers
from stream_detect.webrtc.whip import Publishers

HOLD_S = 0.2
"""A call is answered at once when a state changed, else so late: five messages a second and worker."""

STATUS_S = 1.0
"""How often statuses of cameras are sent."""

ANALYSES_FOLDER = "analyses-of-server"
"""Folder in the storage folder, of uploads that the server sent and of what is made of them."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class WorkerSettings(ExaminationSettings):
    """The sections that a worker uses, as they travel to it: no access token, database or webhook is among them.

    Args:
        webrtc: viewers and publishers.
        monitoring: cameras.
        evidence: of events.
        storage: the folder alone, absolute.
        cluster: how long a lease lasts.
    """

    webrtc: WebRtcSettings = WebRtcSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    storage: StorageSettings = StorageSettings()
    cluster: ClusterSettings = ClusterSettings()

    @field_validator("storage")
    @classmethod
    def _folder_alone(cls, storage: StorageSettings) -> StorageSettings:
        return StorageSettings(folder=storage.folder.resolve())


class Worker:
    """A worker, from its process's start to its end. Its methods are called by Ray on one event loop.

    Nothing is loaded before `begin`: a constructor that fails is started again and again.
    """

    def __init__(self) -> None:
        self._incarnation = os.urandom(8).hex()
        self._outbox = Outbox()
        self._hosting: _Hosting | None = None
        self._status_at_s = -1e9
        self._cpu_s, self._cpu_at_s = time.process_time(), time.monotonic()
        self._beginning = asyncio.Lock()

    async def begin(self, version: str, settings: dict[str, Any], model: tuple[str, str]) -> str | Refusal:
        """Loads the model and waits for orders; called again, does nothing.

        Args:
            version: of the server's program, which must be this one's: messages are of one version.
            settings: sections that a worker uses, as `WorkerSettings.model_dump` gives them.
            model: name and sha256 of the bundle that judges.

        Returns:
            the incarnation, or why it cannot work.
        """
        if version != __version__:
            return Refusal(
                "SettingsError",
                f"this node has stream-detect {__version__}, the server {version}: install the server's version here",
            )
        async with self._beginning:
            if self._hosting is None:
                logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
                for chatty in ("aioice", "aiortc"):
                    logging.getLogger(chatty).setLevel(logging.WARNING)
                loop = asyncio.get_running_loop()
                try:
                    self._hosting = await asyncio.to_thread(
                        _Hosting, WorkerSettings.model_validate(settings), model, self._outbox, loop
                    )
                except (StreamDetectError, ValueError) as error:
                    return refusal_of(error)
        return self._incarnation

    async def exchange(self, call: Call) -> Batch:
        """Takes orders and renewals; answers with what happened, soon."""
        hosting = self._hosting
        if hosting is not None and call.incarnation == self._incarnation:
            hosting.orders.renew(call.renewed_s)
            if call.orders is not None:
                hosting.orders.take(call.orders)
            for request in call.evidence:
                hosting.evidence.begin(request)
            hosting.analyses.want(call.analyses)
        await self._outbox.wait(HOLD_S)
        return self._batch(call)

    async def view(self, camera: str, offer_sdp: str, client: str) -> Answer | Refusal:
        """Answers a viewer's offer (WHEP); see `Viewers.answer`."""
        return await self._answered(lambda hosting: hosting.view(camera, offer_sdp, client))

    async def end_view(self, camera: str, session_id: str) -> Refusal | None:
        """Ends a viewer's session; see `Viewers.close`."""
        return await self._answered(lambda hosting: hosting.viewers.close(camera, session_id))

    async def add_to_view(self, camera: str, session_id: str, fragment: str, etag: str | None) -> Refusal | None:
        """Takes a viewer's further candidates; see `Viewers.add_candidates`."""
        return await self._answered(lambda hosting: hosting.viewers.add_candidates(camera, session_id, fragment, etag))

    async def publish(self, camera: str, offer_sdp: str, client: str) -> Answer | Refusal:
        """Answers a publisher's offer (WHIP); see `Publishers.answer`."""
        return await self._answered(lambda hosting: hosting.publish(camera, offer_sdp, client))

    async def end_publish(self, camera: str, session_id: str) -> Refusal | None:
        """Ends a publisher's session; see `Publishers.close`."""
        return await self._answered(lambda hosting: hosting.publishers.close(camera, session_id))

    async def add_to_publish(self, camera: str, session_id: str, fragment: str, etag: str | None) -> Refusal | None:
        """Takes a publisher's further candidates; see `Publishers.add_candidates`."""
        return await self._answered(
            lambda hosting: hosting.publishers.add_candidates(camera, session_id, fragment, etag)
        )

    async def snapshot(self, camera: str, thresholds: Thresholds, stale_s: float, width: int | None) -> bytes | Refusal:
        """The newest frame with the badge, JPEG; see `overlay.picture.annotated`."""

        async def draw(hosting: "_Hosting") -> bytes:
            newest = hosting.fleet.camera(camera).snapshot()
            if newest is None:
                raise NotFoundError(f"the camera {camera} has sent no picture yet")
            return await asyncio.to_thread(annotated, *newest, thresholds, stale_s, width)

        return await self._answered(draw)

    async def challenge(self, camera: str, act: str, by: str) -> ChallengeRecord | Refusal | None:
        """The challenge of who is before a camera: "start", "stop" or "record"; see `ChallengeControl`.

        Args:
            camera: its name.
            act: what is asked for.
            by: name of the user who asks; empty where none is known.
        """

        async def do(hosting: "_Hosting") -> ChallengeRecord | None:
            control = hosting.fleet.camera(camera).challenge
            if act == "start":
                return control.start(by)
            if act == "stop":
                control.stop()
            return control.record

        return await self._answered(do)

    async def evidence_file(self, name: str) -> bytes | Refusal:
        """A file of evidence that this node has."""

        async def read(hosting: "_Hosting") -> bytes:
            return await asyncio.to_thread(hosting.evidence.keeper.path(name).read_bytes)

        return await self._answered(read)

    async def delete_evidence(self, evidence: Any) -> Refusal | None:
        """Removes the files of an event that this node has."""

        async def delete(hosting: "_Hosting") -> None:
            await asyncio.to_thread(hosting.evidence.keeper.delete, evidence)

        return await self._answered(delete)

    async def begin_analysis(self, order: AnalysisOrder) -> AnalysisBegun | Refusal:
        """Takes an upload to be examined or drawn; see `WorkerAnalyses.begin`."""
        return await self._answered(lambda hosting: asyncio.to_thread(hosting.analyses.begin, order))

    async def put_analysis(self, key: str, name: str, offset: int, piece: bytes) -> Refusal | None:
        """Takes a piece of a file; see `WorkerAnalyses.put`."""
        return await self._answered(lambda hosting: asyncio.to_thread(hosting.analyses.put, key, name, offset, piece))

    async def analysis_piece(self, key: str, offset: int) -> bytes | Refusal:
        """A piece of what was made; see `WorkerAnalyses.piece`."""
        return await self._answered(lambda hosting: asyncio.to_thread(hosting.analyses.piece, key, offset))

    async def end_analysis(self, key: str) -> Refusal | None:
        """Ends an analysis; see `WorkerAnalyses.end`."""
        return await self._answered(lambda hosting: asyncio.to_thread(hosting.analyses.end, key))

    async def close(self) -> None:
        """Stops all cameras and sessions, within five seconds."""
        if self._hosting is not None:
            await self._hosting.close()

    async def _answered(self, ask: Callable[["_Hosting"], Awaitable[T]]) -> T | Refusal:
        if self._hosting is None:
            return Refusal("CapacityError", "this worker has yet to start; try again in a moment", 5)
        try:
            return await ask(self._hosting)
        except StreamDetectError as error:
            return refusal_of(error)

    def _batch(self, call: Call) -> Batch:
        received = call.received if call.incarnation == self._incarnation else 0
        upto, reliable, results = self._outbox.take(received, call.listened)
        hosting, now_s = self._hosting, time.monotonic()
        hosted: dict[str, int] = {} if hosting is None else hosting.orders.hosted
        statuses = []
        if hosting is not None and now_s >= self._status_at_s:
            self._status_at_s = now_s + STATUS_S
            for status in hosting.fleet.statuses():
                number = hosted.get(status.name)
                if number is not None:
                    statuses.append((number, status))
        return Batch(
            incarnation=self._incarnation,
            sent_s=now_s,
            revision=0 if hosting is None else hosting.orders.revision,
            hosted=hosted,
            upto=upto,
            reliable=reliable,
            results=results,
            statuses=tuple(statuses),
            load=self._load(now_s),
            problem="" if hosting is None else hosting.problem,
            analyses={} if hosting is None else hosting.analyses.states(),
            ice_problems=() if hosting is None else hosting.ice_servers.problems,
        )

    def _load(self, now_s: float) -> Load:
        cpu_s = time.process_time()
        cores = (cpu_s - self._cpu_s) / max(now_s - self._cpu_at_s, 1e-3)
        self._cpu_s, self._cpu_at_s = cpu_s, now_s
        sessions = 0 if self._hosting is None else self._hosting.viewers.count + self._hosting.publishers.count
        return Load(round(cores, 3), round(os.getloadavg()[0] / (os.cpu_count() or 1), 3), _rss_bytes(), sessions)


class _Hosting:
    """All that a worker has once it knows its settings. Blocks while it is made: the model is loaded.

    Raises:
        BundleError: the model is absent here.
        SettingsError: it is another one than the server's, or a certificate is absent here.
    """

    def __init__(
        self, settings: WorkerSettings, model: tuple[str, str], outbox: Outbox, loop: asyncio.AbstractEventLoop
    ) -> None:
        cv2.setNumThreads(1)  # as the server: each camera has a thread of its own
        trust_anchors_of(settings.review.trust_anchors)  # the processes that examine files would find out too late
        self._settings = settings
        self._loop = loop
        self._model_name, _ = model
        self._registry = Registry.of(settings.model.folder)
        bundle = _same_bundle(self._registry, *model)
        loaded = load_model(bundle, settings.model.backend, settings.model.threads, settings.model.precision)
        detector = FaceSearch(settings.faces)
        self._engine = Engine(settings, detector.sibling, loaded.classifier, model_sha256=bundle.sha256)
        self._changing_model = threading.Lock()
        self.problem = ""
        style = OverlayStyle(bundle.card.hysteresis(), settings.window.stale_s)
        network = Network.of(settings.webrtc)
        self.ice_servers = network.servers
        self._watching_servers = asyncio.run_coroutine_threadsafe(self.ice_servers.watch(), loop)
        self.viewers = Viewers(settings.webrtc, settings.video, style, settings.monitoring.max_viewers, network)
        self.publishers = Publishers(settings.webrtc, network)
        self.evidence = WorkerEvidence(
            EvidenceFolder.of(settings.storage, settings.evidence), settings.evidence, outbox.kept, self._camera
        )
        make = hosted_here(
            self._engine,
            settings.monitoring,
            Observers((self.evidence, outbox)),
            self.viewers.viewing,
            lambda name: (self.evidence.keeper.tap(name).connection(),),
        )
        self.fleet = Fleet(make, self._engine, self.evidence, sys.maxsize)  # the server bounds how many there are
        self.orders = OrderKeeper(self.fleet, outbox, Lease(settings.cluster.lease_s), self._use, self._leave)
        self.analyses = WorkerAnalyses(
            ModelReviewer(settings.only(ExaminationSettings), self._is_busy),
            self._registry,
            ProcessFolder(settings.storage.folder / ANALYSES_FOLDER, settings.review.min_free_bytes),
            settings.cluster.lease_s,
            outbox.wake,
        )
        self.evidence.start()
        self.orders.start()

    async def view(self, camera: str, offer_sdp: str, client: str) -> Answer:
        """See `Viewers.answer`; NotFoundError where the camera is not here any more."""
        self.fleet.camera(camera)
        return await self.viewers.answer(camera, offer_sdp, client)

    async def publish(self, camera: str, offer_sdp: str, client: str) -> Answer:
        """See `Publishers.answer`; NotFoundError where the camera is not here any more."""
        self.fleet.camera(camera)
        return await self.publishers.answer(camera, offer_sdp, _Sink(self.fleet, camera), client)

    async def close(self) -> None:
        """Ends orders, cameras and sessions."""
        self.orders.close()
        self._watching_servers.cancel()
        await asyncio.gather(
            asyncio.to_thread(self.fleet.close),
            asyncio.to_thread(self.analyses.close),
            self.viewers.close_all(),
            self.publishers.close_all(),
        )
        await asyncio.to_thread(self.evidence.close)

    def _is_busy(self) -> bool:
        """Whether a camera here sends frames now: analyses give way to it."""
        return any(status.change.state is CameraState.LIVE for status in self.fleet.statuses())

    def _camera(self, name: str) -> HostedCamera:
        return self.fleet.camera(name)

    def _use(self, model: ModelOrder) -> None:
        """Judges by another model, on the thread of the orders."""
        if model.sha256 == self._engine.model.sha256:
            return
        try:
            bundle = _same_bundle(self._registry, model.name, model.sha256)
            wanted = self._settings.model
            loaded = load_model(bundle, wanted.backend, wanted.threads, wanted.precision)
        except StreamDetectError as error:
            self.problem = str(error)
            return
        self.problem = ""
        self._engine.judge_by(loaded.classifier, bundle.sha256)
        style = OverlayStyle(model.thresholds, self._settings.window.stale_s)
        self._loop.call_soon_threadsafe(self.viewers.draw_with, style)

    def _leave(self, camera: str) -> None:
        """A camera is not here any more: its viewers and publishers are not, either. From any thread; does not wait."""

        async def leave() -> None:
            await asyncio.gather(self.viewers.forget(camera), self.publishers.forget(camera))

        asyncio.run_coroutine_threadsafe(leave(), self._loop)


class _Sink:
    """A camera as a publisher's sink, looked up for every frame: one that changed is another object."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self._fleet = fleet
        self._name = name

    def push(self, frame: Any, codec: str, *, arrived_s: float, gap: bool = False) -> None:
        """Fits `PublisherSink`."""
        self._fleet.camera(self._name).push(frame, codec, arrived_s=arrived_s, gap=gap)

    def publisher_left(self, reason: str) -> None:
        """Fits `PublisherSink`."""
        self._fleet.camera(self._name).publisher_left(reason)


def _same_bundle(registry: Registry, name: str, sha256: str) -> Any:
    bundle = registry.load(name)
    if bundle.sha256 != sha256:
        raise SettingsError(
            f"expected the server's model {name} (sha256 {sha256[:12]}), received another one on this node "
            f"({bundle.sha256[:12]}): install the same bundle here"
        )
    return bundle


def _rss_bytes() -> int:
    """Resident memory of this process; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
