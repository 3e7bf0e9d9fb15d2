"""Cluster nodes in the process of the tests: real workers on their own event loops, with links that can be cut."""

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any

from stream_detect.cameras.fleet import Fleet
from stream_detect.cluster.nodes import Node, WorkerLostError
from stream_detect.cluster.worker.worker import Worker

CUT_S = 0.05


class LocalLink:
    """A worker in this process. Fits `WorkerLink`."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.cut = threading.Event()
        self.worker = Worker()

    def call(self, method: str, *arguments: Any, timeout_s: float) -> Any:
        if self.cut.wait(0):
            self.cut.wait(CUT_S)
            raise WorkerLostError("the link is cut")
        asked = asyncio.run_coroutine_threadsafe(getattr(self.worker, method)(*arguments), self.loop)
        try:
            answer = asked.result(timeout_s)
        except TimeoutError:
            asked.cancel()
            raise WorkerLostError("it did not answer") from None
        if self.cut.is_set():
            raise WorkerLostError("the link was cut before the answer came")
        return answer

    async def ask(self, method: str, *arguments: Any, timeout_s: float) -> Any:
        return await asyncio.to_thread(self.call, method, *arguments, timeout_s=timeout_s)

    @property
    def fleet(self) -> Fleet | None:
        hosting = self.worker._hosting
        return None if hosting is None else hosting.fleet

    def watches(self, camera: str) -> bool:
        """Whether this worker currently watches a camera, whatever the server knows."""
        fleet = self.fleet
        return fleet is not None and camera in fleet.names() and fleet.camera(camera).status().change.state != "stopped"

    def start_anew(self) -> None:
        """Ends its process and starts another one."""
        before, self.worker = self.worker, Worker()
        asyncio.run_coroutine_threadsafe(before.close(), self.loop).result(10)

    def end(self) -> None:
        asyncio.run_coroutine_threadsafe(self.worker.close(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


@dataclass
class LocalNodes:
    """Nodes that tests add and remove. Fits `Nodes`."""

    nodes: list[Node] = field(default_factory=list)
    links: dict[str, LocalLink] = field(default_factory=dict)
    """One worker per node, by the node's name."""

    def add(self, name: str) -> None:
        self.nodes = [*self.nodes, Node(f"key-{name}-{len(self.links)}", name, "127.0.0.1", 2.0)]

    def remove(self, name: str) -> None:
        self.nodes = [node for node in self.nodes if node.name != name]
        self.links[name].cut.set()

    def alive(self) -> list[Node]:
        return self.nodes

    def start_worker(self, node: Node, _index: int) -> LocalLink:
        link = self.links[node.name] = LocalLink()
        return link

    def close(self) -> None:
        for link in self.links.values():
            link.end()
