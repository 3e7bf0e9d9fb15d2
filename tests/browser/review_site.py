"""A server that analyses uploads, for browser tests: its models, its videos, and analyses without a browser."""

import json
import shutil
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import httpx
import numpy as np
import yaml
from numpy.typing import NDArray

from tests.conftest import Server
from tests.patience import PATIENCE_S, until

if TYPE_CHECKING:
    from tests.browser.conftest import Visit

SHIPPED = Path(__file__).parents[2] / "stream_detect" / "models" / "shipped" / "meso4-dfdc"
SUSPICIOUS = {"fake_enter": 0.002, "fake_leave": 0.0015, "real_enter": 0.0005, "real_leave": 0.001}
"""Thresholds that nearly every face exceeds: these tests are about the page."""


def settings_of(folder: Path) -> Path:
    """Settings of a server with two models; one calls nearly everything fake."""
    for name, change in (("meso4-dfdc", {"thresholds": SUSPICIOUS}), ("calm", {"name": "calm", "title": "A calm one"})):
        shutil.copytree(SHIPPED, folder / "models" / name)
        card = folder / "models" / name / "card.json"
        card.write_text(json.dumps({**json.loads(card.read_text(encoding="utf-8")), **change}))
    content = {
        "window": {"min_scores": 3, "min_dwell_s": 0.2},
        "model": {"folder": str(folder / "models"), "name": "meso4-dfdc"},
        "review": {"min_free_bytes": 0},
    }
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return file


def film(file: Path, codec: str, pictures: Iterable[NDArray[np.uint8]]) -> Path:
    """A video of RGB images (480, 640, 3)."""
    with av.open(str(file), "w") as container:
        stream = container.add_stream(codec, rate=30)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 640, 480, "yuv420p", Fraction(1, 30)
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return file


def analysed(server: Server, file: Path, token: str = "") -> str:
    """The id of an ended analysis by both models, submitted without a browser."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=server.url, headers=headers, timeout=PATIENCE_S) as client:
        files = {"file": (file.name, file.read_bytes())}
        submitted = client.post("/api/analyses", files=files, data={"model": ["meso4-dfdc", "calm"]})
        assert submitted.status_code == 202, submitted.text
        (analysis,) = submitted.json()["items"]
        until(lambda: client.get(f"/api/analyses/{analysis['id']}").json()["ended_s"])
    return analysis["id"]


def go(opened: "Visit", address: str) -> None:
    opened.page.evaluate("address => { window.location.hash = address }", address)
