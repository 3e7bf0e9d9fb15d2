"""A server process with a settings file, and the requests of tests."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import psutil  # type: ignore[import-untyped]
import yaml

from tests.patience import PATIENCE_S, until

QUICK = {
    "window": {"min_scores": 3, "min_dwell_s": 0.2},
    "monitoring": {"offline_after_s": 1, "fake_rest_s": 1, "backoff_last_s": 1},
    "evidence": {"clip_before_s": 2, "clip_after_s": 1, "min_free_bytes": 0},
}

T = TypeVar("T")


class Site:
    """A server, its settings file, and requests to it."""

    def __init__(self, start: Callable[..., Any], folder: Path, model: Path) -> None:
        self._start = start
        self._folder = folder
        self._model = model
        self.file = folder / "settings.yaml"
        self.http = httpx.Client()

    def write(self, *cameras: dict[str, Any], **more: Any) -> None:
        """Writes the settings file."""
        settings = {
            **QUICK,
            "storage": {"folder": str(self._folder / "data")},
            "model": {"folder": str(self._model)},
            "cameras": list(cameras),
            **more,
        }
        self.file.write_text(yaml.safe_dump(settings), encoding="utf-8")

    def serve(self) -> None:
        """Starts the server, or restarts it after it ended."""
        self.server = self._start(SETTINGS=str(self.file), STORAGE__FOLDER=str(self._folder / "data"))
        self.http.close()
        self.http = httpx.Client(base_url=self.server.url, timeout=PATIENCE_S)

    def camera(self, name: str = "door") -> dict[str, Any]:
        return self.http.get(f"/api/cameras/{name}").raise_for_status().json()

    def events(self, **wanted: str) -> list[dict[str, Any]]:
        return self.http.get("/api/events", params=wanted).raise_for_status().json()["items"]

    def comes(self, look: Callable[[], T | None]) -> T:
        """Waits until `look` returns something true, and returns it."""
        return until(look, describe=lambda: "".join(self.server.log)[-3000:])

    def is_live(self, name: str = "door") -> dict[str, Any]:
        """Waits until its first frame has been analysed."""
        return self.comes(
            lambda: camera if (camera := self.camera(name))["state"] == "live" and camera["width"] else None
        )

    def connections_to(self, url: str) -> int:
        """Number of TCP connections of the server to the port of an address."""
        port = urlsplit(url).port
        connections = psutil.Process(self.server.process.pid).net_connections("tcp")
        return sum(1 for one in connections if one.raddr and one.raddr.port == port)

    def news(
        self, path: str, name: str, once_listening: Callable[[], object] = lambda: None, **like: Any
    ) -> dict[str, Any]:
        """The next server-sent event with this name and these values.

        Args:
            path: path of the stream.
            name: name of the event.
            once_listening: causes the event; called when the stream is open.
            like: values that the event must have.
        """
        with self.http.stream("GET", path, timeout=PATIENCE_S) as stream:
            lines = stream.raise_for_status().iter_lines()
            for number, line in enumerate(lines):
                if number == 0:
                    once_listening()
                if line == f"event: {name}":
                    value = json.loads(next(lines).removeprefix("data: "))
                    if like.items() <= value.items():
                        return value
        raise AssertionError(f"no {name} came")

    def fake_begins(self, camera: dict[str, Any]) -> dict[str, Any]:
        """The announced fake event of a camera, which is added to the server once the test listens."""
        silent = {"name": "silent", "url": "whip:"}
        self.write(silent)
        self.serve()

        def add() -> None:
            self.write(silent, camera)
            self.http.post("/api/cameras/reload").raise_for_status()

        return self.news("/api/streams/events", "event", add, kind="fake")
