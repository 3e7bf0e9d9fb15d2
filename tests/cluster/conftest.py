"""Fixtures for tests of the cluster: a head with workers in this process, a real Ray cluster, and PostgreSQL."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stream_detect.analysis.engine import Engine
from stream_detect.analysis.scripted import ScriptedClassifier, ScriptedDetector
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.cameras.fleet import Fleet
from stream_detect.cluster.head import Head, HeadParts
from stream_detect.cluster.messages import ModelOrder
from stream_detect.cluster.nodes import OneNode
from stream_detect.cluster.worker.hosting import WorkerSettings
from stream_detect.models.registry import Registry
from stream_detect.settings import Settings, StorageSettings
from stream_detect.storage.database import Database
from stream_detect.storage.leases import Leases
from stream_detect.types import CameraState, Result, StateChange, Thresholds
from tests.browser.conftest import chromium, visit  # noqa: F401 - fixtures
from tests.cluster.local_nodes import LocalNodes
from tests.cluster.ray_cluster import RayCluster
from tests.conftest import is_on_ray
from tests.patience import until
from tests.storage.conftest import Cluster as PostgreSQL

if TYPE_CHECKING:
    from stream_detect.storage.records import Evidence

LEASE_S = 2.5
RAY: pytest.StashKey[RayCluster] = pytest.StashKey()
"""The Ray nodes of this session, while there are some."""


class Watcher:
    """An observer that records."""

    def __init__(self) -> None:
        self.changes: list[StateChange] = []
        self.results: list[tuple[str, Result, float]] = []
        self.gone: list[str] = []

    def result(self, camera: str, result: Result, at_s: float) -> None:
        self.results.append((camera, result, at_s))

    def state(self, change: StateChange) -> None:
        self.changes.append(change)

    def removed(self, camera: str) -> None:
        self.gone.append(camera)


class ClusterStage:
    """A head, its fleet and what they reported; closed at the end."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        nodes: LocalNodes,
        webrtc: dict[str, Any],
        *,
        one_node: bool,
        **cluster: Any,
    ) -> None:
        self.nodes, self.watcher, self.database = nodes, Watcher(), database
        self.leases = Leases(database)
        self.settings = Settings(
            storage={"folder": folder},
            cluster={"workers": 1, "lease_s": LEASE_S, **cluster},
            window={"min_scores": 3, "min_dwell_s": 0.2},
            evidence={"clip_before_s": 2, "clip_after_s": 1, "min_free_bytes": 0},
            webrtc=webrtc,
        )
        bundle = Registry.of(None).load(self.settings.model.name)
        asked = OneNode(nodes) if one_node else nodes
        self.model = ModelOrder(bundle.card.name, bundle.card.contract_sha256, Thresholds())
        self.kept: list[tuple[str, Evidence]] = []
        self.head = Head(
            self.settings.only(WorkerSettings),
            HeadParts(asked, self.leases, lambda: self.model, frozenset, alone=database.dialect == "sqlite"),
        )
        self.head.observe(self.watcher)
        self.head.inbox.report_evidence_to(lambda event_id, evidence: self.kept.append((event_id, evidence)))
        engine = Engine(
            self.settings.only(AnalysisSettings), lambda: ScriptedDetector([]), lambda: ScriptedClassifier(0.1)
        )
        self.fleet = Fleet(lambda settings, _from_file: self.head.camera(settings), engine, self.watcher, 64)
        self.head.start()

    def close(self) -> None:
        self.fleet.close()
        self.head.close()

    def state(self, name: str) -> CameraState:
        return self.fleet.camera(name).status().change.state

    def node_of(self, name: str) -> str:
        return self.fleet.camera(name).status().node

    def live(self, *names: str) -> list[str]:
        """Waits until all of them are live; returns their nodes."""
        until(lambda: all(self.state(name) == "live" for name in names), describe=self.summary)
        return [self.node_of(name) for name in names]

    def summary(self) -> list[tuple[str, str, str]]:
        return [(change.camera, change.state.value, change.reason) for change in self.watcher.changes][-20:]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Callable[..., ClusterStage]]:
    """Makes stages: nodes by name, settings of WebRTC, further settings of the cluster."""
    with ExitStack() as stack:

        def make(
            *names: str, one_node: bool = False, webrtc: dict[str, Any] | None = None, **cluster: Any
        ) -> ClusterStage:
            database = stack.enter_context(Database.open(_storage(tmp_path)))
            nodes = LocalNodes()
            for name in names:
                nodes.add(name)
            made = ClusterStage(tmp_path, database, nodes, webrtc or {}, one_node=one_node, **cluster)
            stack.callback(made.close)
            until(lambda: len(made.head.a_link_of_each_node()) == len(names), describe=lambda: made.head.problems)
            return made

        yield make


@pytest.fixture(scope="module")
def ray_cluster(request: pytest.FixtureRequest) -> RayCluster:
    """Three Ray nodes on this machine, for all files on Ray: a test that removes a node adds it again."""
    stash = request.session.stash
    if RAY not in stash:
        stash[RAY] = RayCluster()
        request.config.add_cleanup(stash[RAY].close)  # of a session that is interrupted
    return stash[RAY]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Ends the nodes after the last test on Ray: what follows in this process has the machine without them."""
    yield
    stash = item.session.stash
    if RAY in stash and (nextitem is None or not is_on_ray(nextitem.nodeid)):
        stash[RAY].close()
        del stash[RAY]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQL]:
    """A server per file, to stop and start."""
    with tempfile.TemporaryDirectory(prefix="sd-pg-") as name:
        Path(name).chmod(0o755)
        server = PostgreSQL(Path(name))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _storage(folder: Path) -> StorageSettings:
    return Settings(storage={"folder": folder}).storage
