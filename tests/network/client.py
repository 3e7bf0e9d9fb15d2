"""A client program that runs in a test's network namespace.

python -m tests.network.client URL TOKEN check|whip|whep [CAMERA] [--trickle]

Prints the media's route as one line of JSON once they flow; a publisher continues until its input ends. Exit status 1:
no media within TRY_S.
"""

import argparse
import asyncio
import json
import sys
from typing import Any

import httpx
from aiortc import (
    MediaStreamError,
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)

from tests.patience import soon

TRY_S = 20.0
FRAMES = 5
DIRECTIONS = {"check": "sendrecv", "whip": "sendonly", "whep": "recvonly"}


class Client:
    """A session of one kind; `prefix` is the path below which a proxy serves the server."""

    def __init__(self, http: httpx.AsyncClient, kind: str, camera: str, prefix: str = "") -> None:
        self._http, self._kind, self._prefix = http, kind, prefix
        self._path = f"{prefix}/webrtc/check" if kind == "check" else f"{prefix}/{kind}/{camera}"
        self.frames = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, *, trickle: bool) -> None:
        """Sends an offer, with the ICE servers that the server announces.

        A client that trickles uses none, and sends its addresses by PATCH: it can only be reached over the server's
        relay.
        """
        status = (await self._http.get(f"{self._prefix}/api/status")).raise_for_status().json()
        servers = [RTCIceServer(**server) for server in status["ice_servers"]]
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[] if trickle else servers))
        self.connection.on("track", lambda track: self._tasks.add(asyncio.create_task(self._read(track))))
        media: Any = "video" if self._kind == "whep" else VideoStreamTrack()
        self._video = self.connection.addTransceiver(media, DIRECTIONS[self._kind])
        if self._kind == "check":
            self.connection.createDataChannel("results")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        lines = self.connection.localDescription.sdp.splitlines()
        later = [line for line in lines if trickle and line.startswith(("a=candidate:", "a=end-of"))]
        offer = "\r\n".join([*(line for line in lines if line not in later), ""])
        answer = await self._http.post(self._path, content=offer, headers={"Content-Type": "application/sdp"})
        answer.raise_for_status()
        self.session, self.answer = answer.headers["location"], answer.text
        if trickle:
            names = [line for line in lines if line.startswith(("a=ice-", "a=mid:"))]
            headers = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": answer.headers["etag"]}
            body = "\r\n".join([*names, *later, ""])
            (await self._http.patch(self.session, content=body, headers=headers)).raise_for_status()
        await self.connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))

    async def flow(self) -> dict[str, Any]:
        """Waits for media; returns their route."""
        await soon(lambda: self.connection.connectionState == "connected", TRY_S)
        if self._kind != "whip":
            await soon(lambda: self.frames >= FRAMES, TRY_S)
        pair = self._video.receiver.transport.transport._connection._nominated[1]
        candidates = [line.split() for line in self.answer.splitlines() if line.startswith("a=candidate:")]
        return {
            "pair": [pair.local_candidate.type, pair.remote_candidate.type],
            "candidates": sorted({f"{part[7]} {part[4]}" for part in candidates}),
            "ports": sorted({int(part[5]) for part in candidates if part[7] == "host"}),
        }

    async def close(self) -> None:
        await self._http.delete(self.session)
        await self.connection.close()

    async def _read(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                await track.recv()
                self.frames += 1
        except MediaStreamError:
            pass


async def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("kind", choices=DIRECTIONS)
    parser.add_argument("camera", nargs="?", default="")
    parser.add_argument("--trickle", action="store_true")
    given = parser.parse_args()
    headers = {"Authorization": f"Bearer {given.token}"}
    async with httpx.AsyncClient(base_url=given.url, headers=headers, timeout=30) as http:
        client = Client(http, given.kind, given.camera)
        await client.open(trickle=given.trickle)
        try:
            print(json.dumps(await client.flow()), flush=True)  # noqa: T201
        except TimeoutError:
            print(client.answer, file=sys.stderr)  # noqa: T201
            return 1
        finally:
            if given.kind == "whip":
                await asyncio.to_thread(sys.stdin.read)
            await client.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
