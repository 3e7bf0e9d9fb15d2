"""Everything that a worker hosts: cameras with their viewers and publishers, live checks, analyses and evidence."""

import asyncio
import logging
import sys
from typing import Any

import cv2
from pydantic import field_validator

from stream_detect.analysis.engine import Engine
from stream_detect.analysis.search import FaceSearch
from stream_detect.backoff import keep_running
from stream_detect.cameras.fleet import Fleet, HostedCamera, hosted_here
from stream_detect.cameras.observer import Observers
from stream_detect.cluster.messages import ModelOrder
from stream_detect.cluster.worker.analyses import WorkerAnalyses
from stream_detect.cluster.worker.evidence import WorkerEvidence
from stream_detect.cluster.worker.folder import ProcessFolder
from stream_detect.cluster.worker.orders import NOT_RENEWED, OrderKeeper, WorkerLease
from stream_detect.cluster.worker.outbox import Outbox
from stream_detect.errors import SettingsError, StreamDetectError
from stream_detect.evidence.folder import EvidenceFolder
from stream_detect.jobs.reviewer import ModelReviewer
from stream_detect.media.credentials import trust_anchors_of
from stream_detect.media.planes import reuse_frame_memory
from stream_detect.models.backend import load_model
from stream_detect.models.bundle import Bundle
from stream_detect.models.registry import Registry
from stream_detect.review.models import ExaminationSettings
from stream_detect.settings import (
    ClusterSettings,
    EvidenceSettings,
    MonitoringSettings,
    StorageSettings,
    WebRtcSettings,
)
from stream_detect.types import Answer, CameraState, Thresholds
from stream_detect.webrtc.check_sessions import CheckSessions
from stream_detect.webrtc.hub import OverlayStyle
from stream_detect.webrtc.network import Network
from stream_detect.webrtc.results_channel import Introduction
from stream_detect.webrtc.whep import Viewers
from stream_detect.webrtc.whip import Publishers

ANALYSES_FOLDER = "analyses-of-server"
"""Folder in the storage folder for uploads sent by the server and their output."""

log = logging.getLogger(__name__)


class WorkerSettings(ExaminationSettings):
    """The sections that are sent to a worker: no access token, database or webhook is among them.

    Args:
        webrtc: viewers and publishers.
        monitoring: cameras.
        evidence: evidence of events.
        storage: only the folder, absolute.
        cluster: duration of a lease.
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


class WorkerHosting:
    """Services of a worker once it knows its settings. The constructor blocks while it loads the model.

    Raises:
        BundleError: the model is missing here.
        SettingsError: it differs from the server's, or a certificate is missing here.
        StorageError: the folder for analyses cannot be written.
    """

    def __init__(
        self, settings: WorkerSettings, model: tuple[str, str], outbox: Outbox, loop: asyncio.AbstractEventLoop
    ) -> None:
        cv2.setNumThreads(1)  # like the server: each camera has its own thread
        reuse_frame_memory()
        trust_anchors_of(settings.review.trust_anchors)  # the processes that examine files would notice too late
        self._settings = settings
        self._loop = loop
        self._model_name, _ = model
        self._registry = Registry.of(settings.model.folder)
        bundle = _same_bundle(self._registry, *model)
        loaded = load_model(bundle, settings.model.backend, settings.model.threads, settings.model.precision)
        detector = FaceSearch(settings.faces)
        self._engine = Engine(settings, detector.sibling, loaded.classifier, model_sha256=bundle.sha256)
        self._contract_sha256 = bundle.card.contract_sha256
        self.problem = ""
        style = OverlayStyle(bundle.card.hysteresis(), settings.window.stale_s)
        network = Network.of(settings.webrtc)
        self.evidence = WorkerEvidence(
            EvidenceFolder.of(settings.storage, settings.evidence), settings.evidence, outbox.kept, self._camera
        )
        folder = ProcessFolder(settings.storage.folder / ANALYSES_FOLDER, settings.review.min_free_bytes)
        # Nothing below fails: the server calls again and again, and each failure would leave threads and tasks behind.
        self.ice_servers = network.servers
        watching = keep_running(log, "the trial of ICE servers", self.ice_servers.watch)
        self._watching_servers = asyncio.run_coroutine_threadsafe(watching, loop)
        self.viewers = Viewers(settings.webrtc, settings.video, style, settings.monitoring.max_viewers, network)
        self.publishers = Publishers(settings.webrtc, network)
        make = hosted_here(
            self._engine,
            settings.monitoring,
            Observers((self.evidence, outbox)),
            self.viewers.viewing,
            lambda name: (self.evidence.keeper.tap(name).connection(),),
        )
        self.fleet = Fleet(make, self._engine, self.evidence, sys.maxsize)  # the server bounds how many there are
        about = self._introduction(bundle, bundle.card.hysteresis())
        self.checks = CheckSessions(
            self._engine, settings.webrtc, settings.video, about, network, keep=outbox.ended
        )  # the server bounds how many there are
        lease = WorkerLease(settings.cluster.lease_s)
        self.orders = OrderKeeper(self.fleet, outbox, lease, self._use, self._leave)
        self.orders.on_expired = self._end_checks
        self.analyses = WorkerAnalyses(
            ModelReviewer(settings.only(ExaminationSettings), self._is_busy),
            self._registry,
            folder,
            settings.cluster.lease_s,
            outbox.wake,
        )
        self.evidence.start()
        self.orders.start()

    async def view(self, camera: str, offer_sdp: str, client: str) -> Answer:
        """See `Viewers.answer`; raises NotFoundError if the camera is no longer here."""
        self.fleet.camera(camera)
        return await self.viewers.answer(camera, offer_sdp, client)

    async def publish(self, camera: str, offer_sdp: str, client: str) -> Answer:
        """See `Publishers.answer`; raises NotFoundError if the camera is no longer here."""
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
            self.checks.close_all(),
        )
        await asyncio.to_thread(self.evidence.close)

    def _is_busy(self) -> bool:
        """Whether there is a live check, or a camera sends frames: analyses give way to them."""
        return self.checks.count > 0 or any(status.change.state is CameraState.LIVE for status in self.fleet.statuses())

    def _camera(self, name: str) -> HostedCamera:
        return self.fleet.camera(name)

    def _use(self, model: ModelOrder) -> bool:
        """Changes the model, on the thread of the orders; see `OrderKeeper`."""
        if model.contract_sha256 == self._contract_sha256:
            self.problem = ""  # the server went back to the model that is still in use here
            return True
        try:
            bundle = _same_bundle(self._registry, model.name, model.contract_sha256)
            wanted = self._settings.model
            loaded = load_model(bundle, wanted.backend, wanted.threads, wanted.precision)
        except StreamDetectError as error:
            if str(error) != self.problem:
                log.warning("the model in use stays, because the server's cannot be used: %s", error)
            self.problem = str(error)
            return False
        self.problem = ""
        self._contract_sha256 = model.contract_sha256
        self._engine.judge_by(loaded.classifier, bundle.sha256)
        style = OverlayStyle(model.thresholds, self._settings.window.stale_s)
        self._loop.call_soon_threadsafe(self.viewers.draw_with, style)
        about = self._introduction(bundle, model.thresholds)
        self._loop.call_soon_threadsafe(self.checks.introduce, about)
        return True

    def _introduction(self, bundle: Bundle, thresholds: Thresholds) -> Introduction:
        window = self._settings.window
        card = bundle.card
        return Introduction(card.name, card.title, bundle.sha256, thresholds, window.length_s, window.min_scores)

    def _end_checks(self) -> None:
        """The server does not respond and cannot end live checks any more. Thread-safe; does not wait."""
        self._loop.call_soon_threadsafe(self.checks.end_all, NOT_RENEWED)

    def _leave(self, camera: str) -> None:
        """Ends the viewers and publishers of a camera that is no longer here. Thread-safe; does not wait."""

        async def leave() -> None:
            await asyncio.gather(self.viewers.forget(camera), self.publishers.forget(camera))

        asyncio.run_coroutine_threadsafe(leave(), self._loop)


class _Sink:
    """A camera as a publisher's sink, looked up for every frame, because a changed camera is another object."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self._fleet = fleet
        self._name = name

    def push(self, frame: Any, codec: str, *, arrived_s: float, gap: bool = False) -> None:
        """See `PublisherSink`."""
        self._fleet.camera(self._name).push(frame, codec, arrived_s=arrived_s, gap=gap)

    def publisher_left(self, reason: str) -> None:
        """See `PublisherSink`."""
        self._fleet.camera(self._name).publisher_left(reason)


def _same_bundle(registry: Registry, name: str, contract_sha256: str) -> Bundle:
    bundle = registry.load(name)
    if bundle.card.contract_sha256 != contract_sha256:
        raise SettingsError(
            f"expected the server's model {name}, received another one of that name on this node (weights "
            f"{bundle.sha256[:12]}): install the same bundle here"
        )
    return bundle
