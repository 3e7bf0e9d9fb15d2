"""The routes of WHIP and WHEP (docs/protocol.md): headers, every status code, and refusals."""

import re
from types import SimpleNamespace

import httpx
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from fastapi import FastAPI

from stream_detect.api import whip_whep
from stream_detect.api.middleware import problems
from stream_detect.api.signalling import ice_link
from stream_detect.errors import NotFoundError
from stream_detect.settings import IceServer, VideoSettings, WebRtcSettings
from stream_detect.settings.cameras import CameraSettings
from stream_detect.types import CameraState, Thresholds
from stream_detect.webrtc.aiortc_private.connection import close
from stream_detect.webrtc.hub import OverlayStyle
from stream_detect.webrtc.ice_servers import IceServers
from stream_detect.webrtc.offer import KEPT_CANDIDATES
from stream_detect.webrtc.whep import Viewers
from stream_detect.webrtc.whip import Publishers
from tests.patience import soon

SDP = {"Content-Type": "application/sdp"}
# An address where nothing responds: aiortc receives it too, and must not contact anybody.
ICE = (IceServer(urls=("turn:127.0.0.1:9?transport=udp",), username="viewer", credential='a "secret"'),)
PATHS = ("/whip/street", "/whep/door")


class OneCamera:
    def __init__(self, name, url, state=CameraState.LIVE):
        self.settings = CameraSettings(name=name, url=url)
        self.state = state
        self.left = []

    def status(self):
        return SimpleNamespace(change=SimpleNamespace(state=self.state))

    def push(self, frame, codec, *, arrived_s, gap=False):
        pass

    def publisher_left(self, reason):
        self.left.append(reason)


class FewCameras(dict):
    def camera(self, name):
        if name not in self:
            raise NotFoundError(f"expected a camera, received {name}")
        return self[name]


@pytest.fixture
def cameras():
    made = [
        OneCamera("door", "rtsp://10.0.0.5/stream"),
        OneCamera("street", "whip:"),
        OneCamera("dark", "rtsp://10.0.0.6/stream", CameraState.STOPPED),
        OneCamera("silent", "whip:", CameraState.STOPPED),
    ]
    return FewCameras({camera.settings.name: camera for camera in made})


@pytest.fixture
async def serve(cameras):
    opened = []

    async def make(webrtc=None):
        webrtc = webrtc or WebRtcSettings()
        viewers = Viewers(WebRtcSettings(), VideoSettings(), OverlayStyle(Thresholds(), 1.0), 1)
        publishers = Publishers(WebRtcSettings())
        application = FastAPI()
        problems.install(application)
        application.include_router(whip_whep.whip(publishers, cameras, IceServers(webrtc).for_clients))
        application.include_router(whip_whep.whep(viewers, cameras, IceServers(webrtc).for_clients))
        client = httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://server")
        opened.append((viewers, publishers, client, application))
        make.viewers = [viewers]
        return client

    yield make
    for viewers, publishers, client, _ in opened:
        await client.aclose()
        await viewers.close_all()
        await publishers.close_all()


@pytest.fixture
async def offers():
    """An offer for each path, with their connections."""
    watching = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    watching.addTransceiver("video", "recvonly")
    watching.addTransceiver("audio", "recvonly")
    sending = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    sending.addTransceiver(VideoStreamTrack(), "sendonly")
    connections = {"/whep/door": watching, "/whip/street": sending}
    for connection in connections.values():
        await connection.setLocalDescription(await connection.createOffer())
    yield connections
    for connection in connections.values():
        await close(connection)


def is_problem(response: httpx.Response, status: int, words: str = "") -> bool:
    body = response.json()
    form = response.headers["content-type"] == "application/problem+json" and {"type", "title", "detail"} < set(body)
    return form and response.status_code == body["status"] == status and words in body["detail"]


@pytest.mark.parametrize("path", PATHS)
async def test_an_offer_is_answered_with_its_session_which_can_be_deleted_once(serve, offers, path):
    client = await serve()
    response = await client.post(path, content=offers[path].localDescription.sdp, headers=SDP)
    assert response.status_code == 201
    assert response.headers["content-type"].startswith("application/sdp")
    assert re.fullmatch(path + r"/[\w-]{20,}", response.headers["location"])
    assert re.fullmatch(r'"[0-9a-f]{8,}"', response.headers["etag"])
    assert "link" not in response.headers
    await offers[path].setRemoteDescription(RTCSessionDescription(response.text, "answer"))
    direction = "sendonly" if path.startswith("/whep") else "recvonly"
    assert f"a={direction}" in response.text
    assert "a=candidate:" in response.text
    deleted = await client.delete(response.headers["location"])
    assert (deleted.status_code, deleted.content) == (200, b"")
    assert is_problem(await client.delete(response.headers["location"]), 404)


@pytest.mark.parametrize("path", PATHS)
async def test_ice_servers_are_sent_in_link_headers(serve, offers, path):
    client = await serve(WebRtcSettings(ice_servers=ICE))
    response = await client.post(path, content=offers[path].localDescription.sdp, headers=SDP)
    (link,) = response.headers.get_list("link")
    assert link.split("; ") == [
        "<turn:127.0.0.1:9?transport=udp>",
        'rel="ice-server"',
        'username="viewer"',
        'credential="a \\"secret\\""',
        'credential-type="password"',
    ]


@pytest.mark.parametrize(
    ("server", "link"),
    [
        (IceServer(urls=("stun:a.example:3478",)), '<stun:a.example:3478>; rel="ice-server"'),
        (
            IceServer(urls=("stun:a.example:3478",), username="zoë\r\nX: y"),
            "<stun:a.example:3478>; rel=\"ice-server\"; username*=UTF-8''zo%C3%AB%0D%0AX%3A%20y",
        ),
        (IceServer.model_construct(urls=("stun:a>\r\nb",)), '<stun:a%3E%0D%0Ab>; rel="ice-server"'),
    ],
)
def test_no_setting_breaks_out_of_a_link_header(server, link):
    assert ice_link(server, server.urls[0]) == link


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ((b"hello", SDP), 400, "expected a session description"),
        ((b"\xff\xfe", SDP), 400, "UTF-8"),
        ((b"v=0\r\n" * 20_000, SDP), 413, "65536 bytes"),
        ((b'{"sdp": "", "type": "offer"}', {"Content-Type": "application/json"}), 415, "application/sdp"),
        ((b"v=0\r\n", {}), 415, "no content type"),
    ],
)
async def test_bad_bodies_are_answered_with_what_was_expected(serve, path, body, status, words):
    content, headers = body
    assert is_problem(await (await serve()).post(path, content=content, headers=headers), status, words)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/whip/nowhere", 404, "nowhere"),
        ("/whep/nowhere", 404, "nowhere"),
        ("/whip/door", 409, "whip:"),
        ("/whip/silent", 409, "stopped"),
        ("/whep/dark", 409, "stopped"),
    ],
)
async def test_cameras_that_cannot_be_watched_or_sent_to(serve, offers, path, status, words):
    offer = offers["/whep/door" if path.startswith("/whep") else "/whip/street"].localDescription.sdp
    assert is_problem(await (await serve()).post(path, content=offer, headers=SDP), status, words)


@pytest.mark.parametrize("path", PATHS)
async def test_an_offer_of_the_wrong_direction_or_codec_is_unprocessable(serve, offers, path):
    client, sdp = await serve(), offers[path].localDescription.sdp
    turned = sdp.replace("recvonly", "x").replace("sendonly", "recvonly").replace("a=x", "a=sendonly")
    assert is_problem(await client.post(path, content=turned, headers=SDP), 422, "only")
    other = sdp.replace("H264", "H266").replace("VP8", "AV1")
    assert is_problem(await client.post(path, content=other, headers=SDP), 422, "codecs")


async def test_a_second_publisher_is_a_conflict_and_a_viewer_too_many_may_try_again(serve):
    client = await serve()
    for path, direction, status in (("/whip/street", "sendonly", 409), ("/whep/door", "recvonly", 503)):
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connection.addTransceiver("video", direction)
        await connection.setLocalDescription(await connection.createOffer())
        offer = connection.localDescription.sdp
        answer = await client.post(path, content=offer, headers=SDP)
        assert answer.status_code == 201
        await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        await soon(lambda connection=connection: connection.connectionState == "connected")
        refused = await client.post(path, content=offer, headers=SDP)
        while refused.status_code == 201:  # our side of the connection may end slightly later
            refused = await client.post(path, content=offer, headers=SDP)
        assert is_problem(refused, status)
        await close(connection)
    assert int(refused.headers["retry-after"]) > 0


async def test_a_session_is_only_under_its_own_camera(serve, offers, cameras):
    cameras["yard"] = OneCamera("yard", "whip:")
    client = await serve()
    for path, protocol in (("/whip/street", "whip"), ("/whep/door", "whep")):
        response = await client.post(path, content=offers[path].localDescription.sdp, headers=SDP)
        session_id = response.headers["location"].rsplit("/", 1)[1]
        assert is_problem(await client.delete(f"/{protocol}/yard/{session_id}"), 404)
        assert (await client.delete(response.headers["location"])).status_code == 200
    assert cameras["street"].left == ["the publisher left"]


@pytest.mark.parametrize("path", PATHS)
async def test_options_and_refused_methods(serve, path):
    client = await serve()
    for resource, allowed, accept, taken in (
        (path, "POST, OPTIONS", "post", "application/sdp"),
        (f"{path}/some-session", "DELETE, PATCH, OPTIONS", "patch", "application/trickle-ice-sdpfrag"),
    ):
        options = await client.options(resource)
        assert (options.status_code, options.content) == (204, b"")
        assert (options.headers[f"accept-{accept}"], options.headers["allow"]) == (taken, allowed)
        for method in {"PATCH", "PUT", "GET", "POST"} - set(allowed.split(", ")):
            refused = await client.request(method, resource)
            assert is_problem(refused, 405, allowed)
            assert refused.headers["allow"] == allowed
    assert is_problem(await client.delete(f"{path}/some-session"), 404)


FRAGMENT = "application/trickle-ice-sdpfrag"


def split(sdp: str) -> tuple[str, str]:
    """An offer without candidates, and a fragment with them."""
    lines = sdp.splitlines()
    candidates = [line for line in lines if line.startswith("a=candidate:")]
    offer = [line for line in lines if line not in candidates and line != "a=end-of-candidates"]
    names = [next(line for line in lines if line.startswith(f"a={name}:")) for name in ("ice-ufrag", "ice-pwd", "mid")]
    section = "m=video 9 UDP/TLS/RTP/SAVPF 0"
    fragment = [*names[:2], section, names[2], *dict.fromkeys(candidates), "a=end-of-candidates"]
    return "\r\n".join([*offer, ""]), "\r\n".join([*fragment, ""])


@pytest.fixture
async def trickling(serve, offers):
    """Returns a function that PATCHes a session of a path whose offer had no candidates."""
    client = await serve()

    async def opened(path: str):
        offer, fragment = split(offers[path].localDescription.sdp)
        answer = await client.post(path, content=offer, headers=SDP)
        assert answer.status_code == 201, answer.text

        async def patch(body: str | bytes = fragment, kind: str = FRAGMENT, **headers: str) -> httpx.Response:
            given = {"Content-Type": kind, "If-Match": answer.headers["etag"], **headers}
            given = {name.replace("_", "-"): value for name, value in given.items() if value}
            return await client.patch(answer.headers["location"], content=body, headers=given)

        return patch, answer, fragment

    return opened


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("etag", ["its own", "*"])
async def test_candidates_may_come_after_the_offer(trickling, offers, path, etag):
    patch, answer, _ = await trickling(path)
    taken = await patch(**({"If-Match": "*"} if etag == "*" else {}))
    assert (taken.status_code, taken.content) == (204, b"")
    connection = offers[path]
    await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
    await soon(lambda: connection.connectionState == "connected")


@pytest.mark.parametrize("path", PATHS)
async def test_each_bad_patch_is_answered_with_what_was_expected(trickling, path):
    patch, _, fragment = await trickling(path)
    for status, words, given in (
        (428, "If-Match", {"If-Match": ""}),
        (412, "POST a new offer", {"If-Match": '"another"'}),
        (412, "one ETag in quotes", {"If-Match": "another"}),
        (415, FRAGMENT, {"kind": "application/sdp"}),
        (400, "a=ice-ufrag", {"body": "a=end-of-candidates"}),
        (400, "UTF-8", {"body": b"\xff"}),
        (400, "expected a candidate", {"body": fragment.replace("a=candidate:", "a=candidate:x ")}),
        (400, "a=mid", {"body": re.sub("a=mid.*", "", fragment)}),
        (400, "64 candidates", {"body": fragment + "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n" * 65}),
        (400, "the port", {"body": fragment + "a=candidate:1 1 udp 1 10.0.0.1 70000 typ host"}),
        (413, "65536 bytes", {"body": fragment + "a=x\r\n" * 20_000}),
        (422, "not restarted", {"body": re.sub("a=ice-ufrag:.*", "a=ice-ufrag:restart", fragment)}),
        (422, "not restarted", {"body": re.sub("a=ice-ufrag:.*", "a=ice-ufrag:restart", fragment), "If-Match": "*"}),
    ):
        refused = await patch(**given)
        assert is_problem(refused, status, words), (refused.status_code, refused.text, status, words)
    assert (await patch()).status_code == 204, "the session goes on"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "candidate", ["udp 1 nobody.example 9", "udp 1 5d2a.local 9", "tcp 1 10.0.0.1 9", "ice-x 1 ! 9"]
)
async def test_candidates_that_cannot_be_used_are_left_out_in_silence(trickling, offers, path, candidate):
    """RFC 9725, 4.3.2, and its counterpart in WHEP."""
    patch, answer, fragment = await trickling(path)
    taken = await patch(f"{fragment}a=candidate:1 1 {candidate} typ host tcptype active\r\n")
    assert (taken.status_code, taken.content, taken.headers.get("etag")) == (204, b"", None)
    await offers[path].setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
    await soon(lambda: offers[path].connectionState == "connected")


@pytest.mark.parametrize("path", PATHS)
async def test_an_ice_restart_is_refused_and_the_session_continues(trickling, offers, path):
    """422 from a server with candidates but no ICE restarts (RFC 9725, 4.3.1); the session continues (4.3.3)."""
    patch, answer, fragment = await trickling(path)
    assert (await patch()).status_code == 204
    await offers[path].setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
    await soon(lambda: offers[path].connectionState == "connected")
    restart = re.sub("a=ice-ufrag:.*", "a=ice-ufrag:again", re.sub("a=ice-pwd:.*", f"a=ice-pwd:{'x' * 24}", fragment))
    refused = await patch(restart, **{"If-Match": "*"})
    assert is_problem(refused, 422, "DELETE the session")
    assert "etag" not in refused.headers
    assert (await patch()).status_code == 204
    assert offers[path].connectionState == "connected"


@pytest.mark.parametrize("path", PATHS)
async def test_a_patch_of_no_session_is_reported(serve, path):
    headers = {"Content-Type": FRAGMENT, "If-Match": "*"}
    assert is_problem(await (await serve()).patch(f"{path}/none", content="a=x", headers=headers), 404)


async def test_a_peer_makes_us_check_few_of_its_addresses(serve, offers):
    """Clients must not be able to make this server send packets to arbitrary hosts."""
    client = await serve()
    offer, fragment = split(offers["/whep/door"].localDescription.sdp)
    answer = await client.post("/whep/door", content=offer, headers=SDP)
    for part in range(4):
        many = "".join(f"a=candidate:1 1 udp 1 10.1.{part}.{n} 9 typ host\r\n" for n in range(1, 21))
        headers = {"Content-Type": FRAGMENT, "If-Match": answer.headers["etag"]}
        assert (await client.patch(answer.headers["location"], content=fragment + many, headers=headers)).is_success
    (session,) = serve.viewers[0]._sessions.all()
    (transceiver, *_) = session.connection.rtc.getTransceivers()
    assert len(transceiver.receiver.transport.transport._connection.remote_candidates) <= KEPT_CANDIDATES
