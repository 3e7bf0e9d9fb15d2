"""Other origins are refused; every response carries the policy."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from stream_detect.api.gate import SameOrigin


def client(*, loopback: bool = True, tls: bool = False) -> TestClient:
    async def answer(_request):
        return PlainTextResponse("fine")

    behind = Starlette(routes=[Route("/", answer, methods=["GET", "POST", "DELETE"])])
    return TestClient(SameOrigin(behind, loopback=loopback, tls=tls), base_url="http://127.0.0.1:8080")


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
    ("host", "loopback", "status"),
    [
        ("localhost:8080", True, 200),
        ("LOCALHOST", True, 200),
        ("127.0.0.1", True, 200),
        ("[::1]:8080", True, 200),
        ("rebound.example:8080", True, 421),
        ("192.168.1.2", True, 421),
        ("", True, 421),
        ("localhost.example", True, 421),
        ("camera.example", False, 200),
    ],
)
def test_a_foreign_name_that_resolves_to_this_machine_is_refused(host, loopback, status):
    assert client(loopback=loopback).get("/", headers={"host": host}).status_code == status
