"""Hosting of cameras in this process or on the workers of a cluster, with their viewers, publishers and evidence."""

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Protocol

from stream_detect.api.schemas.status import JudgeBody
from stream_detect.app.model_in_use import ModelInUse
from stream_detect.cameras.fleet import Fleet, HostedCamera, hosted_here
from stream_detect.cameras.observer import Observer
from stream_detect.cluster.analyses import ClusterReviewer
from stream_detect.cluster.checks import WorkerChecks
from stream_detect.cluster.evidence import ClusterEvidence
from stream_detect.cluster.head import Head, HeadParts
from stream_detect.cluster.messages import ModelOrder
from stream_detect.cluster.nodes import Nodes, OneNode, environment_of_ray
from stream_detect.cluster.sessions import ClusterPublishers, ClusterViewers
from stream_detect.cluster.worker.hosting import WorkerSettings
from stream_detect.errors import NotFoundError, SettingsError
from stream_detect.evidence.keeper import EvidenceKeeper
from stream_detect.extras import require
from stream_detect.jobs.reviewer import Reviewer
from stream_detect.overlay.overlay import annotated
from stream_detect.settings import CameraSettings, ClusterSettings, Settings
from stream_detect.storage.checks import CheckRecord
from stream_detect.storage.database import Database
from stream_detect.storage.leases import Leases
from stream_detect.types import Thresholds
from stream_detect.webrtc.check_sessions import RemoteChecks
from stream_detect.webrtc.hub import OverlayStyle
from stream_detect.webrtc.network import Network
from stream_detect.webrtc.whep import Viewers
from stream_detect.webrtc.whip import Publishers

CACHE = "evidence-of-nodes"
"""Folder in the storage folder for files fetched from other nodes."""


class Hosting(Protocol):
    """What `Monitoring` needs, wherever cameras run."""

    @property
    def viewers(self) -> Viewers | ClusterViewers:
        """Answers WHEP offers."""
        ...

    @property
    def publishers(self) -> Publishers | ClusterPublishers:
        """Answers WHIP offers."""
        ...

    @property
    def evidence(self) -> EvidenceKeeper | ClusterEvidence:
        """Keeps evidence of events."""
        ...

    @property
    def head(self) -> Head | None:
        """Head of the cluster; None if there is none."""
        ...

    @property
    def problems(self) -> tuple[str, ...]:
        """Current problems, in sentences."""
        ...

    @property
    def ice_problems(self) -> tuple[str, ...]:
        """Problems of STUN and TURN servers as seen by other machines, in sentences that start with the server."""
        ...

    def fleet_for(self, observer: Observer) -> Fleet:
        """Makes the fleet; called once, before `start`.

        Args:
            observer: is notified of all cameras.
        """
        ...

    def reviewer_for(self, here: Reviewer, contract_of: Callable[[str], str]) -> Reviewer:
        """Makes the reviewer of uploads.

        Args:
            here: reviewer in this process.
            contract_of: returns `Card.contract_sha256` of a bundle, by its name; raises BundleError.
        """
        ...

    def remote_checks(self, keep: Callable[[CheckRecord], None]) -> RemoteChecks | None:
        """Accepts live checks before this process does; None if this process accepts all of them.

        Args:
            keep: stores the records of ended checks; thread-safe.
        """
        ...

    def start(self) -> None:
        """Starts; the cameras are started afterwards.

        Raises:
            StorageError: another server leads the cluster.
        """
        ...

    def use(self, judge: JudgeBody) -> None:
        """Changes the model."""
        ...

    async def picture(self, name: str, width: int | None) -> bytes:
        """The newest frame of a camera with its badge, as JPEG of at most `width` pixels.

        Raises:
            NotFoundError: there is no such camera, or it has sent none yet.
            CapacityError: no worker runs it now.
        """
        ...

    async def leave(self, changed: Sequence[str], removed: Sequence[str]) -> None:
        """Ends the publishers of changed cameras, and the viewers of removed ones."""
        ...

    async def close_sessions(self) -> None:
        """Ends viewers and publishers, while cameras are being stopped."""
        ...

    def close(self) -> None:
        """Ends what `start` started, once cameras are stopped. Blocks for at most a second."""
        ...


class HostedHere:
    """Cameras in this process; a `Hosting`.

    Args:
        settings: all sections.
        model: the model in use and its engine.
        keeper: keeper of evidence.
        network: network settings for viewers and publishers.
    """

    head: Head | None = None

    def __init__(self, settings: Settings, model: ModelInUse, keeper: EvidenceKeeper, network: Network) -> None:
        self._settings = settings
        self._model = model
        self.evidence = keeper
        self.publishers = Publishers(settings.webrtc, network)
        self.viewers = Viewers(
            settings.webrtc, settings.video, self._style(model.judge), settings.monitoring.max_viewers, network
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def ice_problems(self) -> tuple[str, ...]:
        """None: this machine's problems are those of the server."""
        return ()

    def fleet_for(self, observer: Observer) -> Fleet:
        """See `Hosting`."""
        monitoring, keeper = self._settings.monitoring, self.evidence
        make = hosted_here(
            self._model.engine,
            monitoring,
            observer,
            self.viewers.viewing,
            lambda name: (keeper.tap(name).connection(),),
        )
        self._fleet = Fleet(make, self._model.engine, observer, monitoring.max_cameras)
        return self._fleet

    def reviewer_for(self, here: Reviewer, contract_of: Callable[[str], str]) -> Reviewer:  # noqa: ARG002 - Hosting's
        """See `Hosting`."""
        return here

    def remote_checks(self, keep: Callable[[CheckRecord], None]) -> RemoteChecks | None:  # noqa: ARG002 - Hosting's
        """See `Hosting`."""
        return None

    def start(self) -> None:
        """Does nothing."""

    def use(self, judge: JudgeBody) -> None:
        """See `Hosting`."""
        self.viewers.draw_with(self._style(judge))

    async def picture(self, name: str, width: int | None) -> bytes:
        """See `Hosting`."""
        newest = self._fleet.camera(name).snapshot()
        if newest is None:
            raise NotFoundError(f"the camera {name} has no frame yet")
        style = self._style(self._model.judge)
        return await asyncio.to_thread(annotated, *newest, style.thresholds, style.stale_s, width)

    async def leave(self, changed: Sequence[str], removed: Sequence[str]) -> None:
        """See `Hosting`."""
        publishers = (self.publishers.forget(name) for name in changed)
        await asyncio.gather(*publishers, *(self.viewers.forget(name) for name in removed))

    async def close_sessions(self) -> None:
        """See `Hosting`."""
        await asyncio.gather(self.viewers.close_all(), self.publishers.close_all())

    def close(self) -> None:
        """Does nothing."""

    def _style(self, judge: JudgeBody) -> OverlayStyle:
        return OverlayStyle(_thresholds(judge), self._settings.window.stale_s)


class HostedByWorkers:
    """Cameras on the workers of a Ray cluster; a `Hosting`. The constructor starts or joins Ray.

    Args:
        settings: all sections.
        model: the model in use.
        database: with the leases.
        keeper: keeper of the evidence on this machine.
        listened: returns the cameras whose results somebody follows.

    Raises:
        MissingExtraError: Ray is not installed.
        SettingsError: no cluster responds at cluster.address, or it has several nodes and the database is SQLite.
    """

    def __init__(
        self,
        settings: Settings,
        model: ModelInUse,
        database: Database,
        keeper: EvidenceKeeper,
        listened: Callable[[], frozenset[str]],
    ) -> None:
        self._settings = settings
        self._model = model
        parts = HeadParts(
            nodes=_nodes(settings.cluster, database),
            leases=Leases(database),
            model=self._order,
            listened=listened,
            alone=database.dialect == "sqlite",
        )
        self._checks: WorkerChecks | None = None
        self.head: Head = Head(settings.only(WorkerSettings), parts)
        self.viewers = ClusterViewers(self.head)
        self.publishers = ClusterPublishers(self.head)
        self.evidence = ClusterEvidence(keeper, self.head, settings.storage.folder / CACHE)

    @property
    def problems(self) -> tuple[str, ...]:
        """See `Hosting`."""
        return self.head.problems

    @property
    def ice_problems(self) -> tuple[str, ...]:
        """See `Hosting`."""
        return self.head.ice_problems

    def fleet_for(self, observer: Observer) -> Fleet:
        """See `Hosting`."""
        self.head.observe(observer)
        self._fleet = Fleet(self._made, self._model.engine, observer, self._settings.monitoring.max_cameras)
        return self._fleet

    def reviewer_for(self, here: Reviewer, contract_of: Callable[[str], str]) -> Reviewer:
        """See `Hosting`."""
        return ClusterReviewer(self.head.tasks, here, contract_of, self._settings.review)

    def remote_checks(self, keep: Callable[[CheckRecord], None]) -> RemoteChecks | None:
        """See `Hosting`."""
        self._checks = WorkerChecks(self.head.tasks, keep)
        self.head.inbox.report_checks_to(self._checks.take)
        return self._checks

    def start(self) -> None:
        """See `Hosting`."""
        self.head.start()

    def use(self, judge: JudgeBody) -> None:
        """Does nothing: workers get the model with their next orders."""

    async def picture(self, name: str, width: int | None) -> bytes:
        """See `Hosting`."""
        self._fleet.camera(name)
        thresholds = _thresholds(self._model.judge)
        return await self.viewers.snapshot(name, thresholds, self._settings.window.stale_s, width)

    async def leave(self, changed: Sequence[str], removed: Sequence[str]) -> None:
        """Does nothing: a worker ends the sessions of cameras that it no longer runs."""

    async def close_sessions(self) -> None:
        """Waits for live checks, whose records workers send; other sessions end with their cameras."""
        if self._checks is not None:
            await self._checks.all_ended()

    def close(self) -> None:
        """See `Hosting`."""
        self.head.close()

    def _order(self) -> ModelOrder:
        judge = self._model.judge
        return ModelOrder(judge.name, self._model.contract_sha256, _thresholds(judge))

    def _made(self, settings: CameraSettings, _from_settings_file: bool) -> HostedCamera:  # noqa: FBT001 - MakeCamera
        return self.head.camera(settings)


def _nodes(settings: ClusterSettings, database: Database) -> Nodes:
    require("cluster", "cluster.address" if settings.address else "cluster.workers")
    os.environ.update(environment_of_ray(settings.address))
    from stream_detect.cluster.ray_nodes import RayNodes  # noqa: PLC0415 - nobody without a cluster imports Ray

    nodes = RayNodes(settings.address)
    if database.dialect != "sqlite":
        return nodes
    one = OneNode(nodes)
    try:
        one.alive()
    except SettingsError:
        one.close()
        raise
    return one


def _thresholds(judge: JudgeBody) -> Thresholds:
    return Thresholds(**judge.thresholds.model_dump())
