"""Browsers sign in and out with a cookie; users, passwords and tokens are changed over HTTP."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_detect.api.middleware.authorization import COOKIE
from stream_detect.errors import StorageError
from stream_detect.types import Role
from tests.api.signing_in import ORIGIN, PASSWORD, bearer, signed_in

CREDENTIALS = {"name": "viewer", "password": PASSWORD}


@pytest.fixture
def house(make):
    return signed_in(make())


def test_a_browser_signs_in_reads_and_signs_out(house):
    client = house.client
    assert client.get("/api/status").status_code == 401
    assert client.get("/api/me").json() == {
        "name": None,
        "role": None,
        "by": None,
        "sign_in": {"needed": True, "password": True, "oidc": None},
    }
    answer = client.post("/api/session", json=CREDENTIALS, headers=ORIGIN)
    assert (answer.json()["name"], answer.json()["role"], answer.json()["by"]) == ("viewer", "viewer", "session")
    cookie = answer.headers["set-cookie"].lower()
    for attribute in ("httponly", "samesite=strict", "path=/", "max-age=43200"):
        assert attribute in cookie
    assert "secure" not in cookie
    assert "domain" not in cookie
    assert client.get("/api/status").status_code == 200
    value = client.cookies[COOKIE]
    assert client.delete("/api/session", headers=ORIGIN).status_code == 204
    assert COOKIE not in client.cookies
    assert client.get("/api/status", headers={"Cookie": f"{COOKIE}={value}"}).status_code == 401


def test_a_browser_forgets_its_session_although_the_database_is_away(house, monkeypatch):
    def away(_digest: str) -> None:
        raise StorageError("the database is away")

    house.client.post("/api/session", json=CREDENTIALS, headers=ORIGIN)
    monkeypatch.setattr(house.inside.access.accounts._stored, "end_session", away)
    assert house.client.delete("/api/session", headers=ORIGIN).status_code == 503
    assert COOKIE not in house.client.cookies


def test_under_tls_the_cookie_is_secure(make):
    house = signed_in(make(base_url="https://127.0.0.1:8080"))
    headers = {"Origin": "https://127.0.0.1:8080"}
    answer = house.client.post("/api/session", json=CREDENTIALS, headers=headers)
    assert "secure" in answer.headers["set-cookie"].lower()
    assert "secure" in house.client.delete("/api/session", headers=headers).headers["set-cookie"].lower()


def test_signing_in_again_ends_the_session_before(house):
    before = house.sign_in()
    answer = house.client.post("/api/session", json=CREDENTIALS, headers=before)
    assert answer.status_code == 200
    house.client.cookies.clear()
    assert house.client.get("/api/status", headers=before).status_code == 401


def test_signing_out_everywhere_ends_only_the_user_s_sessions(house):
    phone, desk, other = house.sign_in(), house.sign_in(), house.sign_in("operator")
    assert house.client.delete("/api/sessions", headers=phone).status_code == 204
    assert house.client.get("/api/status", headers=desk).status_code == 401
    assert house.client.get("/api/status", headers=other).status_code == 200


def sessions(house, headers, path="/api/sessions"):
    """The items of a list, after checking the response."""
    answer = house.client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def test_sessions_are_listed_with_where_they_began_and_ended_one_by_one(house):
    phone = house.sign_in(agent="Mozilla/5.0 (Android 15; Mobile) Firefox/140.0\x01" + "x" * 300)
    desk = house.sign_in()
    own = sessions(house, desk)
    assert [(one["user"], one["address"], one["current"]) for one in own] == [
        ("viewer", "testclient", True),
        ("viewer", "testclient", False),
    ]
    other = own[1]
    assert other["user_agent"].startswith("Mozilla/5.0 (Android 15; Mobile) Firefox/140.0x")
    assert len(other["user_agent"]) == 256
    assert other["began_at"] <= other["seen_at"] <= other["expires_at"]
    assert house.client.delete(f"/api/sessions/{other['id']}", headers=desk).status_code == 204
    assert house.client.get("/api/status", headers=phone).status_code == 401
    assert [one["current"] for one in sessions(house, desk)] == [True]
    assert house.client.delete(f"/api/sessions/{other['id']}", headers=desk).status_code == 404


def test_an_id_of_a_session_opens_nothing(house):
    (own,) = sessions(house, house.sign_in())
    for value in (own["id"], own["id"] * 2):
        answer = house.client.get("/api/status", headers={"Cookie": f"{COOKIE}={value}"} | bearer(value))
        assert answer.status_code == 401


def test_only_admins_see_and_end_sessions_of_others(house):
    client, viewer, operator, admin = house.client, *map(house.sign_in, ("viewer", "operator", "admin"))
    (of_admin,) = sessions(house, admin)
    for headers in (viewer, operator):
        assert {one["user"] for one in sessions(house, headers)} == {
            client.get("/api/me", headers=headers).json()["name"]
        }
        assert client.delete(f"/api/sessions/{of_admin['id']}", headers=headers).status_code == 404
        for method in ("GET", "DELETE"):
            assert client.request(method, "/api/users/admin/sessions", headers=headers).status_code == 403
    (of_viewer,) = sessions(house, admin, "/api/users/viewer/sessions")
    assert (of_viewer["user"], of_viewer["current"]) == ("viewer", False)
    assert client.delete(f"/api/sessions/{of_viewer['id']}", headers=admin).status_code == 204
    assert client.get("/api/status", headers=viewer).status_code == 401
    assert client.delete("/api/users/operator/sessions", headers=admin).status_code == 204
    assert client.get("/api/status", headers=operator).status_code == 401
    assert client.get("/api/status", headers=admin).status_code == 200
    for method in ("GET", "DELETE"):
        assert client.request(method, "/api/users/nobody/sessions", headers=admin).status_code == 404


def test_a_token_sees_no_sessions_and_one_of_an_admin_ends_them(house):
    cookie = house.sign_in()
    (of_viewer,) = sessions(house, cookie)
    for role, status in ((Role.VIEWER, 403), (Role.ADMIN, 204)):
        token = bearer(house.tokens[role])
        assert house.client.get("/api/sessions", headers=token).status_code == 403
        assert house.client.delete(f"/api/sessions/{of_viewer['id']}", headers=token).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (ORIGIN, 204),
        ({"Sec-Fetch-Site": "same-origin"}, 204),
        ({}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:9090"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://player.example"}, 403),
    ],
)
def test_a_cookie_changes_something_from_the_own_page_only(make, headers, status):
    house = signed_in(make({"server": {"origins": ["https://player.example"]}}))
    cookie = {"Cookie": house.sign_in()["Cookie"]}
    assert house.client.delete("/api/sessions", headers=cookie | headers).status_code == status


@pytest.mark.parametrize("name", ["viewer", "nobody", "VIEWER", "x" * 64, "no name!"])
def test_a_wrong_sign_in_is_answered_alike_for_users_and_others(house, name):
    answer = house.client.post("/api/session", json={"name": name, "password": "wrong password"}, headers=ORIGIN)
    assert answer.status_code == 401
    assert answer.json()["detail"] == "expected the name and password of a user, received a wrong name or password"
    assert "set-cookie" not in answer.headers


def test_many_wrong_passwords_wait(house, caplog):
    wrong = {"name": "viewer", "password": "wrong password"}
    statuses = [house.client.post("/api/session", json=wrong, headers=ORIGIN).status_code for _ in range(11)]
    assert statuses == [*[401] * 10, 429]
    right = house.client.post("/api/session", json=CREDENTIALS, headers=ORIGIN)
    assert right.status_code == 429
    assert right.headers["retry-after"] == "5"
    assert "wrong password" not in caplog.text


def test_a_user_is_added_changed_and_removed_by_an_admin(house):
    client, admin = house.client, bearer(house.tokens[Role.ADMIN])
    added = client.post("/api/users", json={"name": "Eve", "role": "operator", "password": PASSWORD}, headers=admin)
    assert (added.status_code, added.headers["location"], added.json()["name"]) == (201, "/api/users/eve", "eve")
    eve = house.sign_in("eve")
    changed = client.patch("/api/users/eve", json={"role": "viewer"}, headers=admin).json()
    assert (changed["role"], changed["disabled"]) == ("viewer", False)
    assert client.get("/api/me", headers=eve).json()["role"] == "viewer"
    assert client.patch("/api/users/eve", json={"disabled": True}, headers=admin).json()["disabled"]
    assert client.get("/api/status", headers=eve).status_code == 401
    listed = client.get("/api/users", headers=admin).json()["items"]
    assert [user["name"] for user in listed] == ["admin", "eve", "operator", "viewer"]
    assert "argon2" not in str(listed)
    assert client.delete("/api/users/eve", headers=admin).status_code == 204
    assert client.delete("/api/users/eve", headers=admin).status_code == 404


@pytest.mark.parametrize(
    ("method", "body"), [("DELETE", None), ("PATCH", {"role": "viewer"}), ("PATCH", {"disabled": True})]
)
def test_the_last_admin_cannot_be_removed(house, method, body):
    answer = house.client.request(method, "/api/users/admin", json=body, headers=house.sign_in("admin"))
    assert answer.status_code == 409
    assert "last one" in answer.json()["detail"]


def test_the_first_user_closes_an_open_server(make):
    client = make().client
    assert client.get("/api/me").json()["by"] == "open"
    first = {"name": "alice", "role": "admin", "password": PASSWORD}
    refused = client.post("/api/users", json=first | {"role": "viewer"})
    assert refused.status_code == 409
    assert "admin as the first user" in refused.json()["detail"]
    assert client.post("/api/users", json=first).status_code == 201
    assert client.get("/api/status").status_code == 401
    assert client.post("/api/session", json={"name": "alice", "password": PASSWORD}).status_code == 200


def test_a_password_that_is_guessed_first_is_refused_with_the_reason(house):
    body = {"name": "eve", "role": "viewer", "password": "password12345"}
    answer = house.client.post("/api/users", json=body, headers=bearer(house.tokens[Role.ADMIN]))
    assert answer.status_code == 422
    assert "not easy to guess" in answer.json()["detail"]
    assert "password12345" not in answer.text


def test_after_changing_the_password_this_browser_stays_signed_in(house):
    other, own = house.sign_in(), house.sign_in()
    wrong = {"current": "not the password", "new": "another long password"}
    assert house.client.put("/api/me/password", json=wrong, headers=own).status_code == 403
    body = {"current": PASSWORD, "new": "another long password"}
    answer = house.client.put("/api/me/password", json=body, headers=own)
    assert answer.status_code == 204
    assert house.client.get("/api/me").json()["name"] == "viewer"
    house.client.cookies.clear()
    assert house.client.get("/api/status", headers=other).status_code == 401
    assert house.client.get("/api/status", headers=own).status_code == 401
    again = house.client.post("/api/session", json={"name": "viewer", "password": body["new"]}, headers=ORIGIN)
    assert again.status_code == 200


def test_a_token_does_not_change_the_password_or_make_tokens(house):
    token = bearer(house.tokens[Role.ADMIN])
    body = {"current": PASSWORD, "new": "another long password"}
    assert house.client.put("/api/me/password", json=body, headers=token).status_code == 403
    assert house.client.post("/api/tokens", json={"name": "x", "role": "viewer"}, headers=token).status_code == 403


def test_tokens_are_made_shown_once_used_and_revoked(house):
    client, own = house.client, house.sign_in("operator")
    body = {"name": "script", "role": "operator", "expires_in_days": 30, "camera": None}
    made = client.post("/api/tokens", json=body, headers=own)
    assert made.status_code == 201
    value = made.json()["token"]
    assert value.startswith("sd_")
    assert client.get("/api/status", headers=bearer(value)).status_code == 200
    listed = client.get("/api/tokens", headers=own)
    assert [token["name"] for token in listed.json()["items"]] == ["script", "test"]
    assert value not in listed.text
    assert client.get("/api/tokens?all=true", headers=own).status_code == 403
    everybodys = client.get("/api/tokens?all=true", headers=house.sign_in("admin")).json()["items"]
    assert {token["owner"] for token in everybodys} == {"admin", "operator", "viewer"}
    assert client.delete(f"/api/tokens/{made.json()['id']}", headers=house.sign_in()).status_code == 404
    assert client.delete(f"/api/tokens/{made.json()['id']}", headers=own).status_code == 204
    assert client.get("/api/status", headers=bearer(value)).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "role": "admin"},
        {"name": "", "role": "viewer"},
        {"name": "x\n", "role": "viewer"},
        {"name": "x", "role": "viewer", "expires_in_days": 0},
        {"name": "x", "role": "viewer", "expires_in_days": -1},
        {"name": "x", "role": "viewer", "camera": "../x"},
        {"name": "x", "role": "viewer", "owner": "admin"},
    ],
)
def test_a_token_that_may_not_be_is_refused(house, body):
    assert house.client.post("/api/tokens", json=body, headers=house.sign_in("operator")).status_code in {403, 422}


@pytest.mark.parametrize("network", ["10.0.0.0/8", "0.0.0.0/0"])
def test_a_proxy_s_header_counts_from_its_address_only(make, network, caplog):
    house = signed_in(
        make(
            {"access": {"proxy_header": "X-User", "proxy_addresses": [network], "sso_role": "viewer"}}, peer="192.0.2.7"
        )
    )
    answer = house.client.get("/api/me", headers={"X-User": "Admin"}).json()
    if network == "10.0.0.0/8":
        assert answer["role"] is None
        assert house.client.get("/api/status", headers={"X-User": "admin"}).status_code == 401
        assert "X-User from 192.0.2.7 is ignored" in caplog.text
    else:
        assert (answer["name"], answer["role"], answer["by"]) == ("admin", "admin", "proxy")
        assert house.client.get("/api/me", headers={"X-User": "new.user"}).json()["role"] == "viewer"
        for bad in ([("X-User", "admin"), ("X-User", "viewer")], [("X-User", "")], [("X-User", "no name")]):
            assert house.client.get("/api/status", headers=bad).status_code == 401


def test_a_proxy_s_user_who_is_not_in_the_list_is_refused_with_the_cure(make):
    settings = {"access": {"proxy_header": "X-User", "proxy_addresses": ["0.0.0.0/0"]}}
    house = signed_in(make(settings, peer="192.0.2.7"))
    answer = house.client.get("/api/status", headers={"X-User": "stranger"})
    assert answer.status_code == 401
    assert "access.sso_role" in answer.json()["detail"]


@pytest.mark.parametrize("body", [b'{"\\ud800": 1}', b'{"name": "\\ud800", "password": "x"}'])
def test_text_that_utf_8_cannot_encode_is_refused_as_what_it_is(house, body):
    answer = house.client.post("/api/session", content=body, headers=ORIGIN | {"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text


TEXT = st.text(max_size=300)
FUZZED = st.one_of(
    st.fixed_dictionaries({}, optional={"name": TEXT, "password": TEXT, "more": TEXT}),
    st.recursive(st.none() | st.booleans() | st.integers() | TEXT, lambda one: st.lists(one, max_size=3), max_leaves=5),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=FUZZED, cookie=st.binary(max_size=80), address=st.integers(0, 2**32 - 1))
def test_no_sign_in_of_nonsense_opens_or_breaks_anything(house, body, cookie, address):
    house.inside.client._transport.client = (f"192.0.{address % 256}.{address // 256 % 256}", 1)
    cookies = {"Cookie": COOKIE.encode() + b"=" + bytes(byte for byte in cookie if byte >= 32 and byte != 127)}
    answer = house.client.post("/api/session", json=body, headers=ORIGIN | cookies)
    assert answer.status_code in {401, 422, 429}
    assert "set-cookie" not in answer.headers
    assert house.client.get("/api/me", headers=cookies).json()["role"] is None
