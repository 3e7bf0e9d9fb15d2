"""What passes between head and workers: real ones in this process, each message pickled as Ray does, and weighed.

Ray adds its own envelope to each, which is not in the figures.
"""

import pickle
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster_load import films

from stream_detect.analysis.engine import Engine
from stream_detect.analysis.scripted import ScriptedClassifier, ScriptedDetector
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.cameras.fleet import Fleet
from stream_detect.cameras.observer import Observers
from stream_detect.cluster.head import Head, HeadParts
from stream_detect.cluster.messages import ModelOrder
from stream_detect.cluster.nodes import Node
from stream_detect.cluster.worker.hosting import WorkerSettings
from stream_detect.models.registry import Registry
from stream_detect.settings import CameraSettings, Settings
from stream_detect.storage.database import Database
from stream_detect.storage.leases import Leases
from stream_detect.types import Thresholds
from tests.cluster.local_nodes import LocalLink, LocalNodes

NODES = ("a", "b")
LIVE_S = 180.0
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Wire:
    """Messages in both directions, by camera and hour."""

    bytes_per_camera_hour: float
    messages_per_camera_hour: float


class WeighedLink(LocalLink):
    """A link that weighs."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0
        self.messages = 0

    def call(self, method: str, *arguments: Any, timeout_s: float) -> Any:
        """A call and its answer: two messages."""
        answer = super().call(method, *arguments, timeout_s=timeout_s)
        self.bytes += len(pickle.dumps((method, arguments))) + len(pickle.dumps(answer))
        self.messages += 2
        return answer


class WeighedNodes(LocalNodes):
    """Nodes whose links weigh."""

    def start_worker(self, node: Node, _index: int) -> LocalLink:
        """A worker of its own."""
        link = self.links[node.name] = WeighedLink()
        return link

    def sums(self) -> tuple[int, int]:
        """Bytes and messages so far."""
        links = [link for link in self.links.values() if isinstance(link, WeighedLink)]
        return sum(link.bytes for link in links), sum(link.messages for link in links)


def wire(count: int, folder: Path, seconds: float) -> Wire:
    """Watch so many cameras, and weigh for so long.

    Raises:
        RuntimeError: the cameras are not live in three minutes.
    """
    nodes = WeighedNodes()
    for name in NODES:
        nodes.add(name)
    settings = Settings.model_validate({"storage": {"folder": folder / "wire"}, "cluster": {"workers": 1}})
    bundle = Registry.of(None).load(settings.model.name)
    order = ModelOrder(bundle.card.name, bundle.card.contract_sha256, Thresholds())
    with films(count, folder) as addresses, Database.open(settings.storage) as database:
        head = Head(
            settings.only(WorkerSettings), HeadParts(nodes, Leases(database), lambda: order, frozenset, alone=True)
        )
        observer = Observers(())
        head.observe(observer)
        engine = Engine(settings.only(AnalysisSettings), lambda: ScriptedDetector([]), lambda: ScriptedClassifier(0.1))
        fleet = Fleet(lambda camera, _from_file: head.camera(camera), engine, observer, count)
        head.start()
        try:
            for number, url in enumerate(addresses):
                fleet.add(CameraSettings(name=f"camera{number}", url=url))
            _wait_live(fleet)
            before, start_s = nodes.sums(), time.monotonic()
            time.sleep(seconds)
            after, passed_s = nodes.sums(), time.monotonic() - start_s
        finally:
            fleet.close()
            head.close()
    per = 3600 / passed_s / count
    return Wire((after[0] - before[0]) * per, (after[1] - before[1]) * per)


def _wait_live(fleet: Fleet) -> None:
    deadline_s = time.monotonic() + LIVE_S
    while not all(status.change.state == "live" for status in fleet.statuses()):
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"expected all cameras to be live, received {fleet.statuses()}")
        time.sleep(POLL_S)
