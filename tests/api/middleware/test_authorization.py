"""Everything except the page's files, /healthz and the sign-in requires a token or a session."""

import pytest
from starlette.testclient import TestClient

from stream_detect.access.limits import GUESSES
from stream_detect.api.middleware.authorization import COOKIE
from stream_detect.errors import StorageError
from tests.patience import until

TOKEN = "correct-horse-battery"


@pytest.fixture
def client(make) -> TestClient:
    return make({"server": {"token": TOKEN}}).client


def shown(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("path", ["/", "/index.html", "/healthz", "/api/me"])
def test_the_open_paths_need_no_token(client, path):
    assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/status",
        "/docs",
        "/openapi.json",
        "/metrics",
        "/assets/a.js",
        "/healthz/",
        "/readyz",
        "/absent",
        "/api/me/",
    ],
)
def test_everything_else_does(client, path):
    response = client.get(path, follow_redirects=False)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="stream-detect"'
    assert response.headers["content-type"] == "application/problem+json"
    assert TOKEN not in response.text


def test_open_paths_are_open_for_reading_only(client):
    assert client.post("/healthz").status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_token_opens(client, scheme):
    assert client.get("/api/status", headers={"Authorization": f"{scheme} {TOKEN}"}).status_code == 200
    me = client.get("/api/me", headers=shown(TOKEN)).json()
    assert (me["name"], me["role"], me["by"]) == (None, "admin", "settings_token")


@pytest.mark.parametrize(
    "value", [TOKEN, f"Basic {TOKEN}", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \xe9"]
)
def test_nothing_else_does(client, value):
    headers = {"Authorization": value.encode("latin-1")}
    assert client.get("/api/status", headers=headers).status_code == 401
    assert client.get("/api/me", headers=headers).json()["role"] is None


def test_two_headers_do_not_open(client):
    headers = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer wrong")]
    assert client.get("/api/status", headers=headers).status_code == 401


@pytest.mark.parametrize("cookie", ["", "x", "a" * 4000, "\xe9", '"quoted"'])
def test_a_cookie_of_another_server_does_not_open(client, cookie):
    headers = {"Cookie": f"{COOKIE}={cookie}".encode("latin-1")}
    assert client.get("/api/status", headers=headers).status_code == 401


def test_after_many_wrong_tokens_the_right_one_of_the_same_address_still_opens(client, caplog):
    answers = [client.get("/api/status", headers=shown(f"wrong-number-{n}")) for n in range(GUESSES + 1)]
    assert [answer.status_code for answer in answers] == [*[401] * GUESSES, 429]
    assert answers[-1].headers["retry-after"] == "1"
    assert client.get("/api/status", headers=shown(TOKEN)).status_code == 200
    assert client.get("/healthz").status_code == 200
    assert [record for record in caplog.messages if "refused" in record and "testclient" in record]


def test_repeating_the_same_wrong_token_locks_nobody_out(client):
    for _ in range(3 * GUESSES):
        assert client.get("/api/status", headers=shown("the-token-of-yesterday")).status_code == 401


def test_an_open_server_ignores_credentials(make):
    client = make().client
    assert client.get("/api/status", headers=shown("a-token-of-another-server")).status_code == 200
    assert client.get("/api/me").json() == {
        "name": None,
        "role": "admin",
        "by": "open",
        "sign_in": {"needed": False, "password": False, "oidc": None},
    }


def test_a_token_that_is_replaced_is_refused_at_once(make):
    now = {"server": {"token": TOKEN}}
    inside = make({"server": {"token": TOKEN}}, lambda: now)
    now["server"] = {"token": "another-token"}
    assert inside.client.post("/api/cameras/reload", headers=shown(TOKEN)).status_code == 200
    assert inside.client.get("/api/status", headers=shown(TOKEN)).status_code == 401
    assert inside.client.get("/api/status", headers=shown("another-token")).status_code == 200
    table = inside.access.audit.table
    until(lambda: [(entry.action, entry.detail) for entry in table.entries()][:1] == [("settings.token", "replaced")])


def test_a_token_is_replaced_although_the_database_is_away(make, monkeypatch):
    inside = make({"server": {"token": TOKEN}}, lambda: {"server": {"token": "another-token"}})

    def away(_skipped):
        raise StorageError("the database is away")

    monkeypatch.setattr(inside.monitoring.cameras._stored, "all", away)
    assert inside.client.post("/api/cameras/reload", headers=shown(TOKEN)).status_code == 503
    assert inside.client.get("/api/status", headers=shown(TOKEN)).status_code == 401
