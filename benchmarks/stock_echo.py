"""The server that ours is measured against: aiortc sending every received track straight back, with its own defaults.

`POST /offer` takes {"sdp", "type"}, as aiortc's own server example does, and answers in the same form. The pictures are
decoded and encoded again by aiortc in the first codec that the offer names. `GET /readyz`
answers once it runs. aiortc's example is served by aiohttp; this one by FastAPI, which the project has, on the same
plain asyncio loop.
"""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from fastapi import FastAPI
from pydantic import BaseModel


class Description(BaseModel):
    """A session description as browsers write it."""

    sdp: str
    type: str


def echo_app() -> FastAPI:
    """The application; its connections live as long as their peers, or as itself."""
    connections: set[RTCPeerConnection] = set()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        for connection in tuple(connections):
            await connection.close()

    app = FastAPI(lifespan=lifespan)

    @app.get("/readyz")
    async def readyz() -> dict[str, bool]:
        return {"ready": True}

    @app.post("/offer")
    async def answer(offer: Description) -> Description:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connections.add(connection)

        @connection.on("track")
        def echo(track: MediaStreamTrack) -> None:
            connection.addTrack(track)

        @connection.on("connectionstatechange")
        async def forget() -> None:
            if connection.connectionState in {"failed", "closed"}:
                await connection.close()
                connections.discard(connection)

        await connection.setRemoteDescription(RTCSessionDescription(sdp=offer.sdp, type=offer.type))
        await connection.setLocalDescription(await connection.createAnswer())
        local = connection.localDescription
        return Description(sdp=local.sdp, type=local.type)

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    arguments = parser.parse_args()
    uvicorn.run(echo_app(), port=arguments.port, loop=arguments.loop, log_level="warning")
