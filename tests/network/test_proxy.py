"""Behind a real nginx, with the configuration of docs/operations.md: below a path, with TLS at the proxy."""

import asyncio
import contextlib
import re
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, VideoStreamTrack

from stream_detect.settings import Settings
from stream_detect.webrtc.aiortc_private.connection import close
from tests.conftest import ROOT, Server
from tests.network.coturn import free_port
from tests.patience import PATIENCE_S, until

TOKEN = "correct-horse-battery"
SDP = {"Content-Type": "application/sdp"}


def documented() -> str:
    """nginx's configuration in the document."""
    found = re.search(r"```nginx\n(.*?)```", (ROOT / "docs/operations.md").read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def proxied(
    start_server: Callable[..., Server], certificate: tuple[Path, Path], tmp_path: Path
) -> Iterator[tuple[httpx.Client, Server]]:
    """A client of nginx, and the server behind it."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if nginx is None:
        pytest.skip("nginx is absent: apt-get install nginx-light")
    settings = tmp_path / "settings.yaml"
    settings.write_text('cameras: [{name: studio, url: "whip:"}]')
    port = free_port()
    server = start_server(
        SETTINGS=str(settings),
        TOKEN=TOKEN,
        SERVER__PATH_PREFIX="/detect",
        SERVER__PROXIES='["127.0.0.1"]',
        SERVER__HOSTS='["127.0.0.1"]',
    )
    block = documented().replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    block = re.sub("/etc/letsencrypt/\\S+/fullchain.pem", str(certificate[0]), block)
    block = re.sub("/etc/letsencrypt/\\S+/privkey.pem", str(certificate[1]), block)
    block = block.replace("http://127.0.0.1:8080", server.url)
    own = "".join(
        f"  {kind}_temp_path {tmp_path}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = f"pid {tmp_path}/pid;\nerror_log {tmp_path}/error.log;\nevents {{}}\n"
    (tmp_path / "nginx.conf").write_text(f"{main}http {{\n  access_log off;\n{own}{block}}}\n")
    process = subprocess.Popen([nginx, "-c", str(tmp_path / "nginx.conf"), "-g", "daemon off;"])
    context = ssl.create_default_context(cafile=str(certificate[0]))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    try:
        with httpx.Client(
            base_url=f"https://127.0.0.1:{port}", verify=context, headers=headers, timeout=PATIENCE_S
        ) as http:
            until(lambda: _answers(http))
            yield http, server
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


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


def test_the_page_the_api_and_whip_work_below_a_path(proxied: tuple[httpx.Client, Server]) -> None:
    http, server = proxied
    assert http.get("/detect/api/status").json()["max_sessions"] == 4
    assert "<!doctype html>" in http.get("/detect/").text.lower()
    origin = {"Origin": str(http.base_url), "Sec-Fetch-Site": "same-origin"}
    answer = http.post("/detect/whip/studio", content=asyncio.run(_offer()), headers={**SDP, **origin})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"].startswith("/detect/whip/studio/")
    assert http.delete(answer.headers["location"], headers=origin).status_code == 200
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {TOKEN}"}) as straight:
        assert straight.get("/api/status").is_success, "a proxy may take the prefix off"
        foreign = straight.post("/whip/studio", headers={**SDP, "Origin": "https://elsewhere.example"})
        assert foreign.status_code == 403


def test_events_stream_and_uploads_are_not_cut(proxied: tuple[httpx.Client, Server]) -> None:
    http, _ = proxied
    with http.stream("GET", "/detect/api/streams/events") as stream:
        assert stream.is_success
        assert any(line.startswith(("event:", ":")) for line in stream.iter_lines())
    large = http.post("/detect/api/analyses", files={"file": ("none.mp4", bytes(3 << 20), "video/mp4")})
    assert large.status_code != 413


@pytest.mark.parametrize("prefix", ["detect", "/api", "/whip/below", "/a b", "//x", "https://a"])
def test_a_prefix_that_is_none_is_told(prefix: str) -> None:
    with pytest.raises(ValueError, match="expected a path as /detect"):
        Settings.model_validate({"server": {"path_prefix": prefix}})
