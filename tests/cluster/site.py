"""A server process on a Ray cluster: requests to it, viewers of its cameras, and restarts."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml
from aiortc import VideoStreamTrack

from tests.conftest import Server, running_server
from tests.patience import PATIENCE_S, until
from tests.webrtc.peers import Publisher, Screen

START_S = 4 * PATIENCE_S
"""Time for Ray and the workers to start: seconds, or minutes on a busy machine."""
FRAMES = 5
PROGRAM = "import sys; from stream_detect.cli import main; main(sys.argv[1:])"


class ClusterSite:
    """A server that joins a Ray cluster, with one worker per node.

    Args:
        address: address of the cluster.
        folder: folder of its settings file and data, which a restarted server finds again.
        settings: sections of the settings file.
        within: prefix of its command.
        http: makes an HTTP client for an address.
    """

    def __init__(
        self,
        address: str,
        folder: Path,
        settings: Mapping[str, Any],
        within: Sequence[str] = (),
        http: Callable[[str], Any] = lambda url: httpx.Client(base_url=url, timeout=PATIENCE_S),
    ) -> None:
        self._command = (*within, sys.executable, "-c", PROGRAM, "serve", "--workers", "1", "--ray", address)
        self._cameras = [one["name"] for one in settings["cameras"] if one["url"] != "whip:"]
        self._make_http = http
        file = folder / "settings.yaml"
        file.write_text(yaml.safe_dump({"cluster": {"lease_s": 3}, "monitoring": {"offline_after_s": 1}, **settings}))
        self._given = {"SETTINGS": str(file), "STORAGE__FOLDER": str(folder / "data")}
        self._running = ExitStack()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._ends: list[Screen | Publisher] = []

    def serve(self) -> None:
        """Starts the server, or restarts it after it ended."""
        self.server: Server = self._running.enter_context(running_server(self._command, **self._given))
        self.http = self._make_http(self.server.url)
        self._running.callback(self.http.close)

    def stop(self) -> None:
        """Stops the server cleanly."""
        self.server.stop()
        self._running.close()

    def kill(self) -> None:
        """Kills the server's process (SIGKILL)."""
        self.server.process.send_signal(signal.SIGKILL)
        self.server.process.wait(PATIENCE_S)
        self._running.close()

    def get(self, path: str) -> Any:
        return self.http.get(path).raise_for_status().json()

    def camera(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/api/cameras/{name}")
        return found

    def node_of(self, name: str) -> str:
        return str(self.camera(name)["node"])

    def is_lost(self, camera: str, since_s: float) -> bool:
        """Whether its worker was lost since a time; the state may be over by the time that somebody looks."""
        entered = self.get(f"/api/cameras/{camera}/states?from={since_s}")["items"]
        return any(one["state"] == "lost_node" and one["at_s"] > since_s for one in entered)

    def events(self, **wanted: str) -> list[dict[str, Any]]:
        """Events, filtered by `camera=`, `kind=` and `from_=`."""
        query = {name.rstrip("_"): value for name, value in wanted.items()}
        items: list[dict[str, Any]] = self.http.get("/api/events", params=query).raise_for_status().json()["items"]
        return items

    def nodes(self) -> dict[str, dict[str, Any]]:
        return {node["id"]: node for node in self.get("/api/cluster")["nodes"]}

    def states(self) -> dict[str, str]:
        return {name: node["state"] for name, node in self.nodes().items()}

    def moves(self) -> set[tuple[str, str, str]]:
        return {(move["camera"], move["from"], move["why"]) for move in self.get("/api/cluster")["moves"]}

    def readiness(self) -> dict[str, Any]:
        """The response of /readyz."""
        found: dict[str, Any] = json.loads(self.http.get("/readyz").text)
        return found

    def summary(self) -> object:
        return self.get("/api/cluster"), "".join(self.server.log)[-3000:]

    def are_live(self, *names: str, but: str = "") -> bool:
        """Whether all of these are live, on nodes other than `but`."""
        cameras = [self.camera(name) for name in names]
        return all(one["state"] == "live" and one["width"] and one["node"] not in {"", but} for one in cameras)

    def live(self, *names: str, but: str = "") -> None:
        """Waits until they are."""
        until(lambda: self.are_live(*names, but=but), START_S, describe=self.summary)

    def ready(self, *names: str) -> None:
        """Waits until these nodes are ready, and all cameras are live."""
        until(lambda: self.states() == dict.fromkeys(names, "ready"), START_S, describe=self.summary)
        self.live(*self._cameras)

    def cluster(self, *arguments: str) -> str:
        """The output of `stream-detect cluster`."""
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "cluster", *arguments],
            env={**os.environ, **{f"STREAM_DETECT_{name}": value for name, value in self._given.items()}},
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def watch(self, camera: str) -> None:
        """Waits until a viewer has received some frames."""
        asyncio.run_coroutine_threadsafe(self._watch(camera), self._loop).result(START_S)

    def publish(self, camera: str) -> None:
        """A publisher that has received the answer."""
        asyncio.run_coroutine_threadsafe(self._publish(camera), self._loop).result(START_S)

    def close(self) -> None:
        """Ends viewers, publishers and the server."""
        for end in self._ends:
            asyncio.run_coroutine_threadsafe(end.close(), self._loop).result(PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()
        self._running.close()

    async def _watch(self, camera: str) -> None:
        screen = Screen()
        await self._open(screen, f"/whep/{camera}")
        await screen.more(FRAMES)

    async def _publish(self, camera: str) -> None:
        await self._open(Publisher(VideoStreamTrack()), f"/whip/{camera}")

    async def _open(self, end: Screen | Publisher, path: str) -> None:
        self._ends.append(end)
        content, headers = await end.offer(), {"Content-Type": "application/sdp"}
        answer = await asyncio.to_thread(self.http.post, path, content=content, headers=headers)
        assert answer.status_code == httpx.codes.CREATED, (answer.text, self.summary())
        await end.accept(answer.text)


@contextmanager
def serving(site: ClusterSite) -> Iterator[ClusterSite]:
    """A running site; its server has to end cleanly."""
    try:
        site.serve()
        yield site
        site.server.stop()
    finally:
        site.close()


def cameras_at(urls: Mapping[str, str]) -> list[dict[str, str]]:
    """Cameras of a settings file, named by their addresses."""
    return [{"name": name, "url": url} for name, url in urls.items()]
