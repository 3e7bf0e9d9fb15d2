"""A server behind a real nginx and a real Caddy (docs/operations.md): below a path, with TLS at the proxy."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import psutil
import pytest
import yaml
from aiortc import RTCConfiguration, RTCPeerConnection, VideoStreamTrack

from stream_detect.settings import Settings
from stream_detect.webrtc.aiortc_private.connection import close
from tests.access.provider import CLIENT, SECRET, running_provider
from tests.conftest import Server
from tests.jobs.scripted_reviewer import write_clip
from tests.network.client import Client
from tests.network.proxies import PROXIES, ReverseProxy, proxied
from tests.patience import PATIENCE_S, until

TOKEN = "correct-horse-battery"
PASSWORD = "four random words here"
SDP = {"Content-Type": "application/sdp"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SPOOFED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example"}


@dataclass(frozen=True)
class Site:
    """A server behind a proxy.

    Args:
        url: address of the proxy.
        server: the server behind it.
        trust: TLS context that trusts the proxy's certificate.
        issuer: issuer of the OpenID Connect provider.
    """

    url: str
    server: Server
    trust: ssl.SSLContext
    issuer: str

    def client(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, verify=self.trust, headers=headers, timeout=PATIENCE_S)

    @property
    def origin(self) -> dict[str, str]:
        """Headers of a browser on the server's own page."""
        return {"Origin": self.url, "Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module", params=PROXIES, ids=lambda kind: kind.program)
def site(
    request: pytest.FixtureRequest,
    run_server: Callable[..., contextlib.AbstractContextManager[Server]],
    certificate: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """A server behind each proxy, with a user."""
    kind: ReverseProxy = request.param
    folder = tmp_path_factory.mktemp(kind.program)
    clip = write_clip(folder / "clip.mp4")
    cameras = [{"name": "street", "url": "whip:"}, {"name": "door", "url": f"file:{clip}", "loop": True}]
    (folder / "settings.yaml").write_text(yaml.safe_dump({"cameras": cameras}))
    with running_provider() as provider, contextlib.ExitStack() as stack:
        server = stack.enter_context(
            run_server(
                SETTINGS=str(folder / "settings.yaml"),
                TOKEN=TOKEN,
                SERVER__PATH_PREFIX="/detect",
                SERVER__PROXIES='["127.0.0.1"]',
                SERVER__HOSTS='["127.0.0.1"]',
                ACCESS__OIDC_ISSUER=provider.issuer,
                ACCESS__OIDC_CLIENT_ID=CLIENT,
                ACCESS__OIDC_CLIENT_SECRET=SECRET,
                ACCESS__SSO_ROLE="operator",
            )
        )
        url = stack.enter_context(proxied(kind, folder, certificate, server.url))
        made = Site(url, server, ssl.create_default_context(cafile=str(certificate[0])), provider.issuer)
        with made.client(**BEARER) as http:
            until(lambda: _answers(http))
            user = {"name": "anna", "role": "admin", "password": PASSWORD}
            assert http.post("/detect/api/users", json=user).status_code == 201
        yield made


def _answers(http: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return http.get("/detect/healthz").is_success
    return False


async def _offer() -> str:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver(VideoStreamTrack(), "sendonly")
    await connection.setLocalDescription(await connection.createOffer())
    sdp: str = connection.localDescription.sdp
    await close(connection)
    return sdp


def test_the_page_the_api_and_whip_work_below_a_path(site: Site) -> None:
    with site.client(**BEARER) as http:
        assert http.get("/detect/api/status").json()["max_sessions"] == 4
        assert "<!doctype html>" in http.get("/detect/").text.lower()
        bare = http.get("/detect", follow_redirects=True)
        assert (bare.url.path, bare.text.lower().count("<!doctype html>")) == ("/detect/", 1)
        answer = http.post("/detect/whip/street", content=asyncio.run(_offer()), headers={**SDP, **site.origin})
        assert answer.status_code == 201, answer.text
        assert answer.headers["location"].startswith("/detect/whip/street/")
        assert http.delete(answer.headers["location"], headers=site.origin).status_code == 200
    with httpx.Client(base_url=site.server.url, headers=BEARER) as straight:
        assert straight.get("/api/status").is_success, "a proxy may take the prefix off"
        foreign = straight.post("/whip/street", headers={**SDP, "Origin": "https://elsewhere.example"})
        assert foreign.status_code == 403


async def test_a_viewer_sees_a_camera(site: Site) -> None:
    async with httpx.AsyncClient(base_url=site.url, verify=site.trust, headers=BEARER, timeout=PATIENCE_S) as http:
        viewer = Client(http, "whep", "door", prefix="/detect")
        await viewer.open(trickle=True)
        assert (await viewer.flow())["pair"]
        await viewer.close()


def test_events_stream_and_end_with_their_listener_and_uploads_are_not_cut(site: Site) -> None:
    with site.client(**BEARER) as http:
        with http.stream("GET", "/detect/api/streams/events") as stream:
            assert stream.is_success
            lines = stream.iter_lines()  # referenced, because the stream ends with it
            assert any(line.startswith(("event:", ":")) for line in lines)
            assert _connections(site.server) > 0
        until(lambda: _connections(site.server) == 0)
        large = http.post("/detect/api/analyses", files={"file": ("none.mp4", bytes(3 << 20), "video/mp4")})
        assert large.status_code != 413


def _connections(server: Server) -> int:
    """Number of the server's open streams."""
    there = psutil.Process(server.process.pid).net_connections("tcp")
    port = urlsplit(server.url).port
    return sum(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port for one in there)


def test_the_sign_in_cookie_is_secure_whatever_the_client_claims(site: Site) -> None:
    credentials = {"name": "anna", "password": PASSWORD}
    with site.client(**site.origin, **SPOOFED) as http:
        answer = http.post("/detect/api/session", json=credentials)
        assert answer.status_code == 200, answer.text
        assert {"Secure", "HttpOnly", "Path=/detect", "SameSite=strict"} <= set(
            answer.headers["set-cookie"].split("; ")
        )
        (own,) = [one for one in http.get("/detect/api/sessions").json()["items"] if one["current"]]
        assert own["address"] == "127.0.0.1"
        assert "Secure" in http.delete("/detect/api/session").headers["set-cookie"]
        assert http.get("/detect/api/status").status_code == 401
    with httpx.Client(base_url=site.server.url, headers={"Origin": site.server.url}) as straight:
        answer = straight.post("/api/session", json=credentials)
        assert answer.status_code == 200
        assert "Secure" not in answer.headers["set-cookie"], "it came without TLS and without a proxy"


def test_single_sign_on_returns_over_https(site: Site) -> None:
    with site.client(**SPOOFED) as http:
        out = http.get("/detect/api/oidc/login", params={"to": "/cameras"})
        assert out.status_code == 302, out.text
        assert "Secure" in out.headers["set-cookie"]
        callback = f"{site.url}/detect/api/oidc/callback"
        assert parse_qs(urlsplit(out.headers["location"]).query)["redirect_uri"] == [callback]
        back = httpx.get(out.headers["location"]).headers["location"]
        assert back.startswith(f"{callback}?")
        answer = http.get(back)
        assert (answer.status_code, answer.headers["location"]) == (302, "/detect/cameras")
        assert all("Secure" in cookie for cookie in answer.headers.get_list("set-cookie"))
        assert http.get("/detect/api/me").json()["role"] == "operator"


@pytest.mark.parametrize("prefix", ["detect", "/api", "/whip/below", "/a b", "//x", "https://a"])
def test_a_prefix_that_is_none_is_reported(prefix: str) -> None:
    with pytest.raises(ValueError, match="expected a path such as /detect"):
        Settings.model_validate({"server": {"path_prefix": prefix}})
