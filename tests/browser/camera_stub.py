"""A stub of a server with many cameras: it follows docs/protocol.md and counts the page's requests.

For what no real server can provide within a test: fifty cameras, a day of history, pages of events.
"""

import asyncio
import io
import json
import math
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from fractions import Fraction
from typing import Any, Self

import av
import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from PIL import Image, ImageDraw
from starlette.responses import StreamingResponse

from stream_detect.api.middleware.origin import SameOrigin, Served
from stream_detect.api.page import read_page
from stream_detect.api.page import router as page_router

THRESHOLDS = {"fake_enter": 0.9, "fake_leave": 0.7, "real_enter": 0.15, "real_leave": 0.35}
MODEL = {"name": "streamnet", "title": "Streamnet", "sha256": "c0ffee" * 10 + "abcd", "thresholds": THRESHOLDS}
VERDICTS = (("real", 0.08), ("real", 0.11), ("uncertain", 0.52), ("no_face", None), ("fake", 0.95), ("gathering", None))
REASONS = {
    "connecting": "opening the stream",
    "live": "25 fps",
    "stalled": "no picture for 5 s",
    "backing_off": "the camera closed the connection",
    "refused": "the camera refused the password",
    "stopped": "stopped by a person",
}
SNAPSHOT_S = 0.05
"""Delay of a snapshot, like a server that has to decode and draw."""


class CameraStub:
    """A context manager that serves `count` cameras on a free port."""

    def __init__(self, count: int, events: int = 0) -> None:
        self.states = {f"camera-{index:02}": _state(index) for index in range(count)}
        self.events = [_event(index, f"camera-{index % max(count, 1):02}") for index in range(events)]
        self.asked: Counter[str] = Counter()
        self.most_snapshots_at_once = 0
        self.rounds = 0
        """Rounds in which the state of every camera was sent."""
        self._snapshots_now = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        application = SameOrigin(self._application(), Served(frozenset()))
        self._server = uvicorn.Server(
            uvicorn.Config(application, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
        )
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self._socket.close()

    def camera(self, name: str) -> dict[str, Any]:
        """A camera in the protocol's form; its verdict changes slightly every second."""
        state, verdict, probability = self.states[name]
        live = state == "live"
        number = int(name.rpartition("-")[2])
        faces = 0 if verdict == "no_face" else 1
        shown = {"state": verdict, "reason": "", "fake_probability": probability, "faces": faces, "age_s": 0.2}
        shown |= {"feed": "live", "feed_reason": ""}
        pictures = int(25 * time.time()) % 100_000
        return {
            "name": name,
            "title": f"Entrance hall {number}, north side" if number % 7 == 3 else f"Camera {number}",
            "origin": "file" if number % 5 == 4 else "api",
            "enabled": True,
            "settings": {
                "url": f"rtsp://viewer:***@10.0.0.{number}/stream",
                "transport": "tcp",
                "loop": False,
                "rate_hz": 5.0,
                "keyframes_only_when_idle": False,
                "evidence": number % 2 == 0,
                "node": "",
            },
            "state": state,
            "reason": REASONS[state],
            "since_s": time.time() - 3600,
            "retry_at_s": time.time() + 12 if state in {"backing_off", "refused"} else None,
            "width": None if state == "connecting" else 640,
            "height": None if state == "connecting" else 480,
            "codec": "h264",
            "fps": 25.0 if live else 0.0,
            "viewers": 0,
            "node": None,
            "counts": {
                "pictures": pictures,
                "analysed": pictures // 5,
                "dropped_samples": 0,
                "decode_errors": 0,
                "reconnects": 2,
                "received_bytes": 60_000 * pictures,
            },
            "verdict": shown if live else None,
        }

    def _application(self) -> FastAPI:
        routes = FastAPI()
        self._add_cameras(routes)
        self._add_events(routes)
        routes.include_router(page_router(read_page()))
        return routes

    def _add_cameras(self, routes: FastAPI) -> None:
        @routes.get("/api/me")
        async def me() -> dict[str, Any]:
            sign_in = {"needed": False, "password": False, "oidc": None}
            return {"name": None, "role": "admin", "by": "open", "sign_in": sign_in}

        @routes.get("/api/status")
        async def status() -> dict[str, Any]:
            model = {
                **MODEL,
                "terms": "research",
                "limits": ["Blur misleads it.", "It knows some kinds of fakes only."],
            }
            return {
                "version": "0.1.0",
                "model": model,
                "window_s": 10.0,
                "needed": 12,
                "stale_s": 1.0,
                "sessions": 0,
                "max_sessions": 4,
                "ice_servers": [],
                "review_urls": False,
                "problems": [],
            }

        @routes.get("/api/cameras")
        async def cameras() -> dict[str, Any]:
            self.asked["list"] += 1
            return {"items": [self.camera(name) for name in self.states]}

        @routes.get("/api/cameras/{name}/snapshot.jpg")
        async def snapshot(name: str, width: int = 640) -> Response:
            self.asked["snapshot"] += 1
            self._snapshots_now += 1
            self.most_snapshots_at_once = max(self.most_snapshots_at_once, self._snapshots_now)
            await asyncio.sleep(SNAPSHOT_S)
            self._snapshots_now -= 1
            picture = await asyncio.to_thread(jpeg, name, width)
            return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "no-store"})

        @routes.get("/api/cameras/{name}/scores")
        async def scores(name: str, request: Request) -> dict[str, Any]:
            return _scores(float(request.query_params["from"]), float(request.query_params["to"]))

        @routes.get("/api/cameras/{name}/states")
        async def states(name: str, request: Request) -> dict[str, Any]:
            return _states(float(request.query_params["from"]), float(request.query_params["to"]))

        @routes.get("/api/streams/events")
        async def feed() -> StreamingResponse:
            self.asked["feed"] += 1
            return StreamingResponse(self._news(), media_type="text/event-stream")

        @routes.get("/api/streams/{name}/results")
        async def results(name: str) -> StreamingResponse:
            return StreamingResponse(_results(), media_type="text/event-stream")

        @routes.post("/whep/{name}")
        async def watch(name: str) -> Response:
            self.asked["whep"] += 1
            raise HTTPException(422, "expected a real camera")

    def _add_events(self, routes: FastAPI) -> None:
        @routes.get("/api/events")
        async def events(limit: int = 50, cursor: int = 0, camera: str = "", kind: str = "") -> dict[str, Any]:
            found = [one for one in self.events if camera in {"", one["camera"]} and kind in {"", one["kind"]}]
            rest = cursor + limit < len(found)
            return {"items": found[cursor : cursor + limit], "next": str(cursor + limit) if rest else None}

        @routes.get("/api/events/{identity}")
        async def event(identity: str) -> dict[str, Any]:
            return next(one for one in self.events if one["id"] == identity)

        @routes.get("/api/events/{identity}/{file}")
        async def evidence(identity: str, file: str) -> Response:
            if file == "clip.mp4":
                return Response(await asyncio.to_thread(clip), media_type="video/mp4")
            return Response(jpeg(identity[-2:], 240 if file == "face.jpg" else 640), media_type="image/jpeg")

        @routes.get("/api/alerts")
        async def notifiers() -> dict[str, Any]:
            counts = {"delivered": 12, "failed": 0, "waiting": 0}
            failing = {"state": "failing", "detail": "no answer within 5 s", "delivered": 3, "failed": 1, "waiting": 4}
            return {
                "items": [
                    {"name": "mqtt", "kind": "mqtt", "state": "ok", "detail": "", **counts},
                    {"name": "guard", "kind": "webhook", **failing},
                ]
            }

        @routes.post("/api/alerts/{name}/test")
        async def test_alert(name: str) -> dict[str, Any]:
            self.asked[f"alert {name}"] += 1
            return {"ok": name == "mqtt", "detail": "the broker took it" if name == "mqtt" else "no answer within 5 s"}

    async def _news(self) -> AsyncIterator[str]:
        while not self._server.should_exit:
            for name in self.states:
                yield f"event: camera\ndata: {json.dumps(self.camera(name))}\n\n"
            self.rounds += 1
            await asyncio.sleep(1)


def jpeg(name: str, width: int) -> bytes:
    """A grey gradient with the camera's name."""
    height = width * 3 // 4
    shade = np.linspace(60, 180, width, dtype=np.uint8)
    image = Image.fromarray(np.repeat(np.tile(shade, (height, 1))[..., None], 3, axis=2))
    ImageDraw.Draw(image).text((width // 3, height // 2), name, fill=(255, 255, 255), font_size=width // 12)
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


def clip() -> bytes:
    """Two seconds of H.264 in MP4."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 320, 240, "yuv420p", Fraction(1, 25)
        for index in range(50):
            image = np.full((240, 320, 3), 4 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()


def _state(index: int) -> tuple[str, str, float | None]:
    state = {8: "stalled", 13: "backing_off", 21: "refused", 34: "stopped", 45: "connecting"}.get(index, "live")
    return (state, *VERDICTS[index % len(VERDICTS)])


def _event(index: int, camera: str) -> dict[str, Any]:
    began_s = time.time() - 600 - 1700 * index
    fake = index % 3 != 2
    files = {name: f"/api/events/{index:032}/{name}" for name in ("picture.jpg", "face.jpg", "clip.mp4")}
    evidence = {
        "picture": files["picture.jpg"],
        "face": files["face.jpg"],
        "clip": files["clip.mp4"],
        "bytes": 1_200_000,
        "problem": "",
    }
    return {
        "id": f"{index:032}",
        "camera": camera,
        "kind": "fake" if fake else "offline",
        "began_s": began_s,
        "ended_s": None if index == 0 else began_s + 45 + index,
        "interrupted": index == 3,
        "reason": "steady over 30 usable frames" if fake else "the camera closed the connection",
        "peak": 0.97 if fake else None,
        "mean": 0.93 if fake else None,
        "track": 3 if fake else None,
        "gaps_s": [began_s + 4, began_s + 9] if index == 1 else [],
        "model": {name: MODEL[name] for name in ("name", "sha256", "thresholds")} if fake else None,
        "evidence": evidence if fake else None,
    }


def _scores(from_s: float, to_s: float) -> dict[str, Any]:
    step_s = 1 if to_s - from_s <= 3600 else 60
    items = []
    for at_s in range(int(from_s), int(to_s), step_s):
        part = (at_s - from_s) / (to_s - from_s)
        if 0.3 < part < 0.36:
            continue
        mean = 0.5 - 0.42 * math.cos(9 * part) ** 3
        state = "fake" if mean > 0.9 else "real" if mean < 0.15 else "uncertain"
        items.append([at_s, max(mean - 0.06, 0), mean, min(mean + 0.06, 1), state])
    return {"step_s": step_s, "items": items}


def _states(from_s: float, to_s: float) -> dict[str, Any]:
    marks = ((0, "live"), (0.3, "stalled"), (0.31, "backing_off"), (0.35, "connecting"), (0.36, "live"))
    return {
        "items": [
            {"at_s": from_s + part * (to_s - from_s), "state": state, "reason": REASONS[state]} for part, state in marks
        ]
    }


async def _results() -> AsyncIterator[str]:
    for sequence in range(600):
        judged = {"state": "real", "reason": "steady over 41 usable frames", "fake_probability": 0.08}
        evidence = {"admitted": 41, "needed": 12}
        face = {"track": 1, "box": [210, 96, 402, 330], "score": 0.1, "rejected": None, **judged, **evidence}
        result = {"sequence": sequence, "pts": 0, "time_s": sequence / 5, "width": 640, "height": 480, "faces": [face]}
        result |= {"latency_ms": 9.0, "dropped": {"samples": 0, "frames": 0}, "error": None, **judged, **evidence}
        result |= {"feed": "live", "feed_reason": "", "challenge": None}
        yield f"event: result\ndata: {json.dumps(result)}\n\n"
        await asyncio.sleep(0.2)
