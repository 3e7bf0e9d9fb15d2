"""The routes of the live check (docs/protocol.md): every status code, and every content type of the offer."""

import asyncio
import logging
import re
from pathlib import Path

import httpx
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from fastapi import FastAPI

from stream_detect.analysis.engine import Engine
from stream_detect.analysis.scripted import ScriptedClassifier, ScriptedDetector
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.api import checks
from stream_detect.api.middleware import problems
from stream_detect.api.requests import MAX_OFFER_BYTES
from stream_detect.settings import VideoSettings, WebRtcSettings
from stream_detect.types import Thresholds
from stream_detect.webrtc.check_sessions import CheckSessions
from stream_detect.webrtc.results_channel import Introduction

SDP = {"Content-Type": "application/sdp"}
JSON = {"Content-Type": "application/json"}
ABOUT = Introduction("scripted", "Scripted", "0" * 64, Thresholds(), 10.0, 12)


@pytest.fixture
async def sessions():
    engine = Engine(AnalysisSettings(), lambda: ScriptedDetector([]), lambda: ScriptedClassifier(0.5))
    sessions = CheckSessions(engine, WebRtcSettings(max_sessions=1), VideoSettings(), ABOUT)
    yield sessions
    await sessions.close_all()


@pytest.fixture
async def client(sessions):
    application = FastAPI()
    problems.install(application)
    application.include_router(checks.live_check(sessions))
    application.include_router(checks.challenges(sessions.challenge))
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client


@pytest.fixture
async def peer():
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTrack(VideoStreamTrack())
    connection.createDataChannel("results")
    await connection.setLocalDescription(await connection.createOffer())
    yield connection
    await connection.close()


def is_problem(response: httpx.Response, status: int) -> bool:
    body = response.json()
    form = response.headers["content-type"] == "application/problem+json" and {"type", "title", "detail"} < set(body)
    return form and response.status_code == body["status"] == status


async def test_an_sdp_offer_is_answered_in_sdp_and_its_location_can_be_deleted(client, peer, sessions):
    response = await client.post("/webrtc/check", content=peer.localDescription.sdp, headers=SDP)
    assert response.status_code == 201
    assert response.headers["content-type"].startswith("application/sdp")
    location = response.headers["location"]
    assert re.fullmatch(r"/webrtc/check/[\w-]{20,}", location)
    await peer.setRemoteDescription(RTCSessionDescription(response.text, "answer"))
    assert sessions.count == 1
    deleted = await client.delete(location)
    assert (deleted.status_code, deleted.content, sessions.count) == (204, b"", 0)
    assert is_problem(await client.delete(location), 404)


async def test_the_name_of_the_camera_is_in_the_log_and_cannot_forge_a_line(client, peer, caplog):
    caplog.set_level(logging.INFO)
    label = {"source_label": "OBS\nVirtual\x1b[2J Camera"}
    response = await client.post("/webrtc/check", params=label, content=peer.localDescription.sdp, headers=SDP)
    assert response.status_code == 201
    session = response.headers["location"].rpartition("/")[2]
    assert f"check {session[:6]}: the camera's name is 'OBSVirtual[2J Camera'" in caplog.messages


async def test_a_name_longer_than_cameras_have_is_refused(client, peer, sessions):
    label = {"source_label": "x" * 129}
    response = await client.post("/webrtc/check", params=label, content=peer.localDescription.sdp, headers=SDP)
    assert is_problem(response, 422)
    assert sessions.count == 0


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8"])
async def test_a_json_offer_is_answered_in_json(client, peer, content_type):
    offer = {"sdp": peer.localDescription.sdp, "type": "offer"}
    response = await client.post("/webrtc/check", json=offer, headers={"Content-Type": content_type})
    assert response.status_code == 201
    assert response.headers["content-type"] == "application/json"
    assert response.json()["type"] == "answer"
    await peer.setRemoteDescription(RTCSessionDescription(**response.json()))


@pytest.mark.parametrize(
    ("content", "headers", "status", "words"),
    [
        (b"hello", SDP, 400, "expected a session description"),
        (b"", SDP, 400, "expected a session description"),
        (b"\xff\xfe", SDP, 400, "UTF-8"),
        (b"{", JSON, 400, "expected {"),
        (b"[]", JSON, 400, "expected {"),
        (b'{"sdp": "v=0"}', JSON, 400, "type"),
        (b'{"sdp": 7, "type": "offer"}', JSON, 400, "sdp"),
        (b'{"sdp": "v=0", "type": "answer"}', JSON, 400, "type"),
        (b"v=0\r\n" * 20_000, SDP, 413, "65536 bytes"),
        (b"v=0\r\n", {"Content-Type": "text/plain"}, 415, "application/sdp"),
        (b"v=0\r\n", {}, 415, "no content type"),
    ],
)
async def test_bad_bodies_are_answered_with_what_was_expected(client, content, headers, status, words):
    response = await client.post("/webrtc/check", content=content, headers=headers)
    assert is_problem(response, status)
    assert words in response.json()["detail"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [("a=sendrecv", "a=recvonly", "sendrecv"), ("VP8", "AV1", "codecs"), ("m=video", "m=audio", "video")],
)
async def test_an_offer_without_usable_video_is_unprocessable(client, peer, old, new, words):
    sdp = peer.localDescription.sdp.replace("H264", "H266").replace(old, new)
    response = await client.post("/webrtc/check", content=sdp, headers=SDP)
    assert is_problem(response, 422)
    assert words in response.json()["detail"]


async def test_a_full_server_says_when_to_try_again(client, peer):
    for status in [201, 503]:
        response = await client.post("/webrtc/check", content=peer.localDescription.sdp, headers=SDP)
        assert response.status_code == status
    assert is_problem(response, 503)
    assert int(response.headers["retry-after"]) > 0


async def test_a_body_is_read_up_to_the_limit_whatever_its_declared_length(sessions):
    application = FastAPI()
    problems.install(application)
    application.include_router(checks.live_check(sessions))
    application.include_router(checks.challenges(sessions.challenge))
    read, sent = 0, []

    async def receive() -> dict:
        nonlocal read
        read += 16 * 1024
        return {"type": "http.request", "body": b"v" * 16 * 1024, "more_body": True}

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/webrtc/check", "query_string": b"", "http_version": "1.1",
        "headers": [(b"content-type", b"application/sdp"), (b"content-length", b"10")],
    }  # fmt: skip
    async with asyncio.timeout(60):
        await application(scope, receive, send)
    assert sent[0]["status"] == 413
    assert read <= MAX_OFFER_BYTES + 16 * 1024


async def test_every_status_code_of_the_document_is_in_the_openapi_description(sessions):
    application = FastAPI()
    application.include_router(checks.live_check(sessions))
    application.include_router(checks.challenges(sessions.challenge))
    described = set(application.openapi()["paths"]["/webrtc/check"]["post"]["responses"])
    document = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
    sentence = re.search(r"Status codes of `POST /webrtc/check`: (.*?)\n\n", document, re.DOTALL)[1]
    assert set(re.findall(r"\b[45]\d\d\b", sentence)) | {"201"} == described


async def test_a_challenge_of_a_session_is_started_shown_stopped_and_forgotten(client, peer):
    response = await client.post("/webrtc/check", content=peer.localDescription.sdp, headers=SDP)
    challenge = f"{response.headers['location']}/challenge"
    assert is_problem(await client.get(challenge), 404)
    assert is_problem(await client.delete(challenge), 404)
    started = await client.post(challenge)
    assert started.status_code == 201
    assert started.json() == {
        "id": started.json()["id"], "state": "baseline", "reason": None, "prompts": [], "now": None, "done": [],
        "score_outside_mean": None, "score_outside_max": None,
    }  # fmt: skip
    assert is_problem(await client.post(challenge), 409)
    assert (await client.get(challenge)).json() == started.json()
    assert (await client.delete(challenge)).status_code == 204
    stopped = (await client.get(challenge)).json()
    assert (stopped["state"], stopped["reason"]) == ("stopped", "stopped on request")
    assert (await client.delete(challenge)).status_code == 204
    assert is_problem(await client.get(challenge), 404)
    await peer.setRemoteDescription(RTCSessionDescription(response.text, "answer"))


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_there_is_no_challenge_without_a_session(client, method):
    assert is_problem(await client.request(method, "/webrtc/check/nobody/challenge"), 404)
