"""A running server that watches cameras at given addresses and is asked over HTTP what it sees.

Its settings come from a file, as an operator's do; its storage is a folder of its own.
"""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
from servers import MEBIBYTE, Footprint, ProcessorTime, ServerKind, ServerUnderTest, running

RATE_HZ = 5.0
"""Samples a second of each camera, as issue 3 asks; the default, written down."""

LIVE_TIMEOUT_S = 180.0
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Camera:
    """What the server says of a camera."""

    name: str
    state: str
    pictures: int
    analysed: int
    dropped_samples: int
    decode_errors: int
    reconnects: int
    faces: int

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Camera":
        """From the API's answer."""
        counts, verdict = body["counts"], body["verdict"]
        return cls(
            name=body["name"],
            state=body["state"],
            pictures=counts["pictures"],
            analysed=counts["analysed"],
            dropped_samples=counts["dropped_samples"],
            decode_errors=counts["decode_errors"],
            reconnects=counts["reconnects"],
            faces=verdict["faces"] if verdict else 0,
        )


class Watch:
    """A server that watches cameras.

    Args:
        server: that is ready.
    """

    def __init__(self, server: ServerUnderTest) -> None:
        self._server = server
        self._client = httpx.Client(base_url=server.origin, timeout=10)

    def footprint(self) -> Footprint:
        """Of its process."""
        return self._server.footprint()

    def processor_time(self) -> ProcessorTime:
        """Of it and of those that it started."""
        return self._server.processor_time()

    def restart(self) -> None:
        """Kills its process and starts it again; returns once it is ready."""
        self._server.kill()
        self._server.start()
        self._server.wait_ready()

    def nodes(self) -> list[dict[str, Any]]:
        """Of its cluster."""
        return cast("list[dict[str, Any]]", self._get("/api/cluster")["nodes"])

    def worker_rss_mb(self) -> float:
        """Memory a worker, MiB, as its nodes say."""
        nodes = self.nodes()
        workers = int(sum(node["workers"] for node in nodes))
        return float(sum(node["memory_bytes"] for node in nodes)) / max(workers, 1) / MEBIBYTE

    def cameras(self) -> list[Camera]:
        """All of them, by name."""
        return [Camera.of(body) for body in self._get("/api/cameras")["items"]]

    def wait(self, *states: str, timeout_s: float = LIVE_TIMEOUT_S) -> None:
        """Return once all cameras are in one of these states.

        Raises:
            RuntimeError: they are not in time.
        """
        deadline_s = time.monotonic() + timeout_s
        while not all(camera.state in states for camera in self.cameras()):
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"expected all cameras to be {' or '.join(states)}: {self.cameras()}")
            time.sleep(POLL_S)

    def states(self, camera: str, since_s: float) -> list[tuple[str, float]]:
        """States that a camera entered from that unix time on, with their times, the oldest first."""
        items = self._get(f"/api/cameras/{camera}/states?from={since_s}")["items"]
        return [(item["state"], item["at_s"]) for item in items if item["at_s"] >= since_s]

    def whep_url(self, camera: str) -> str:
        """Where a viewer posts its offer."""
        return f"{self._server.origin}/whep/{camera}"

    def results_url(self, camera: str) -> str:
        """Address of a camera's stream of results."""
        return f"{self._server.origin}/api/streams/{camera}/results"

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def _get(self, path: str) -> dict[str, Any]:
        answer = self._client.get(path)
        answer.raise_for_status()
        return cast("dict[str, Any]", answer.json())


@contextmanager
def watching(
    addresses: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None, **monitoring: float
) -> Iterator[Watch]:
    """A server that is ready and watches the cameras at these addresses, `camera1` and so on; all of them are live.

    Args:
        addresses: of the cameras.
        folder: takes what the server leaves behind.
        environment: further settings, as `ServerUnderTest` takes them.
        monitoring: settings of that section; all others are defaults.
    """
    own = Path(tempfile.mkdtemp(prefix="server-", dir=folder))
    cameras = [
        {"name": f"camera{number}", "url": address, "rate_hz": RATE_HZ} for number, address in enumerate(addresses, 1)
    ]
    file = own / "stream-detect.yaml"
    file.write_text(json.dumps({"cameras": cameras, "monitoring": monitoring}))  # JSON is YAML
    settings = {"SETTINGS": str(file), "STORAGE__FOLDER": str(own / "data"), **(environment or {})}
    with running(ServerKind.OURS, own, settings) as server:
        watch = Watch(server)
        try:
            watch.wait("live")
            yield watch
        finally:
            watch.close()
