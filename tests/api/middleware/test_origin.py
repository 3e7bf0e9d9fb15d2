"""Other origins are refused; every response carries the policy."""

import pytest
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from stream_detect.api.middleware.origin import SameOrigin, Served
from stream_detect.settings import ServerSettings

LOOPBACK: frozenset[str] = frozenset()


def client(hosts: frozenset[str] | None = LOOPBACK, origins: tuple[str, ...] = (), *, tls: bool = False) -> TestClient:
    async def answer(_request):
        return PlainTextResponse("fine")

    behind = Starlette(routes=[Route("/", answer, methods=["GET", "POST", "DELETE"])])
    return TestClient(SameOrigin(behind, Served(hosts, origins, tls)), base_url="http://127.0.0.1:8080")


def test_every_response_carries_a_strict_policy():
    for response in (client().get("/"), client().get("/absent"), client().get("/", headers={"host": "evil.example"})):
        policy = response.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["permissions-policy"] == "camera=(self), display-capture=(self), microphone=()"
        assert not [name for name in response.headers if name.startswith("access-control")]


def test_only_a_tls_server_tells_browsers_to_insist_on_it():
    assert "strict-transport-security" not in client().get("/").headers
    assert client(tls=True).get("/").headers["strict-transport-security"].startswith("max-age=")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:8080"}, 200),
        ({"origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"origin": "http://127.0.0.1:9090"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://127.0.0.1:8080", "sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_what_another_origin_sends_is_refused(method, headers, status):
    assert client().request(method, "/", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("host", "hosts", "status"),
    [
        ("localhost:8080", LOOPBACK, 200),
        ("LOCALHOST", LOOPBACK, 200),
        ("127.0.0.1", LOOPBACK, 200),
        ("[::1]:8080", LOOPBACK, 200),
        ("rebound.example:8080", LOOPBACK, 421),
        ("192.168.1.2", LOOPBACK, 421),
        ("", LOOPBACK, 421),
        ("localhost.example", LOOPBACK, 421),
        ("camera.example", None, 200),
        ("Camera.example:443", frozenset({"camera.example"}), 200),
        ("127.0.0.1", frozenset({"camera.example"}), 200),
        ("other.example", frozenset({"camera.example"}), 421),
    ],
)
def test_a_host_that_is_not_served_is_refused(host, hosts, status):
    assert client(hosts).get("/", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    ("server", "hosts"),
    [
        ({}, LOOPBACK),
        ({"token": "correct-horse"}, None),
        ({"host": "0.0.0.0", "token": "correct-horse"}, None),
        ({"hosts": ["Cam.example"]}, frozenset({"cam.example"})),
        ({"token": "correct-horse", "hosts": ["[2001:db8::1]"]}, frozenset({"2001:db8::1"})),
    ],
)
def test_without_names_in_the_settings_only_an_open_loopback_server_is_strict(server, hosts):
    assert Served.of(ServerSettings(**server)).hosts == hosts


@pytest.mark.parametrize("value", [{"hosts": ["https://a"]}, {"origins": ["a.example"]}, {"proxies": ["a"]}])
def test_names_origins_and_proxies_are_checked(value):
    with pytest.raises(ValidationError, match=r"expected|does not appear"):
        ServerSettings(**value)


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("cam.example", "https://cam.example", 200),
        ("cam.example:443", "https://cam.example", 200),
        ("cam.example", "https://cam.example:443", 200),
        ("cam.example:80", "http://cam.example", 200),
        ("CAM.example", "https://cam.example", 200),
        ("[::1]", "http://[::1]:80", 200),
        ("cam.example:443", "http://cam.example", 403),
        ("cam.example:8443", "https://cam.example", 403),
        ("cam.example", "https://evil.example", 403),
        ("cam.example", "https://cam.example:x", 403),
        ("cam.example", "https://evil.example@cam.example.evil", 403),
    ],
)
def test_a_port_of_the_scheme_equals_none(host, origin, status):
    assert client(None).post("/", headers={"host": host, "origin": origin}).status_code == status


PLAYER = "https://player.example"


def test_a_page_of_an_allowed_origin_may_ask_and_read():
    there = client(origins=(PLAYER,))
    asked = there.options("/", headers={"origin": PLAYER, "access-control-request-method": "POST"})
    assert asked.status_code == 204
    assert "authorization" in asked.headers["access-control-allow-headers"].lower()
    answer = there.post("/", headers={"origin": PLAYER, "sec-fetch-site": "cross-site"})
    assert answer.status_code == 200
    for response in (asked, answer):
        assert response.headers["access-control-allow-origin"] == PLAYER
        assert "Origin" in response.headers["vary"]
    assert "Location" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("https://Player.Example", PLAYER),
        ("https://player.example:443", PLAYER),
        ("http://player.example:80", "http://player.example"),
        ("http://player.example:443", "http://player.example:443"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_an_origin_of_the_settings_is_the_one_that_browsers_send(given, sent):
    assert Served.of(ServerSettings(origins=(given,))).origins == (sent,)


def test_another_origin_receives_nothing():
    there = client(origins=(PLAYER,))
    for method in ("OPTIONS", "GET", "POST"):
        headers = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        answer = there.request(method, "/", headers=headers)
        assert "access-control-allow-origin" not in answer.headers
        assert method == "GET" or answer.status_code >= 400


def test_what_says_nothing_of_caches_is_kept_nowhere():
    assert client().get("/").headers["cache-control"] == "no-store"
