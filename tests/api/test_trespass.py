"""However requests are formed, a viewer's cookie gives access only to what a viewer may do."""

import itertools

import pytest

from stream_detect.api.middleware.authorization import COOKIE
from stream_detect.types import Role
from tests.api.signing_in import ORIGIN, bearer, signed_in

SAME_PATHS = ("/api/users", "/%61pi/users", "/api/%75sers", "/api/users?", "/api/users?role=admin&user=admin")
NO_PATHS = (
    "//api/users",
    "/api//users",
    "/api/users/",
    "/api/users//",
    "/api/./users",
    "/api/status/../users",
    "/api/%2e%2e/api/users",
    "/api/status/%2e%2e/users",
    "/api%2fusers",
    "/api/users%2f",
    "/api/users%00",
    "/api/users;.css",
    "/api/users/..;/users",
    "/assets/../api/users",
    "/index.html/../api/users",
    "/API/users",
    "/api/users%20",
    "/%2fapi/users",
)
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "get", "MADE-UP")


@pytest.fixture
def house(make):
    return signed_in(make({"cameras": [{"name": "street", "url": "whip:"}]}))


@pytest.fixture
def prefixed(make):
    return signed_in(make({"server": {"path_prefix": "/detect"}}))


def test_no_spelling_of_a_path_leads_past_the_table_of_permissions(house):
    viewer = house.sign_in()
    for method, path in itertools.product(METHODS, (*SAME_PATHS, *NO_PATHS)):
        url = house.client.base_url.copy_with(raw_path=path.encode())
        for headers, statuses in ((viewer, {403, 404, 405}), ({}, {401})):
            answer = house.client.request(method, url, headers=headers, follow_redirects=False)
            assert answer.status_code in statuses, (method, path, answer.status_code)
            assert '"items"' not in answer.text
            assert "location" not in answer.headers


@pytest.mark.parametrize("path", ["/detect/api/users", "/detect/detect/api/users", "/api/users", "/detect//api/users"])
def test_no_spelling_of_the_prefix_leads_past_it_either(prefixed, path):
    for headers, statuses in ((prefixed.sign_in(), {403, 404}), ({}, {401})):
        assert prefixed.client.get(path, headers=headers, follow_redirects=False).status_code in statuses


def test_the_prefix_alone_leads_to_the_page_and_nowhere_else(prefixed):
    answer = prefixed.client.get("/detect", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/detect/")
    assert prefixed.client.get("/detectapi/users", headers=prefixed.sign_in()).status_code == 404


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_no_header_or_parameter_makes_another_method_of_a_request(house, name):
    viewer = house.sign_in()
    for method in ("GET", "POST"):
        answer = house.client.request(method, "/api/tokens?_method=DELETE", headers=viewer | {name: "DELETE"})
        assert answer.status_code in {200, 422}
    assert [one["name"] for one in house.client.get("/api/tokens", headers=viewer).json()["items"]] == ["test"]


@pytest.mark.parametrize("header", ["X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-Forwarded-Path"])
def test_no_header_names_another_path(house, header):
    viewer = house.sign_in()
    assert house.client.get("/api/users", headers=viewer | {header: "/healthz"}).status_code == 403
    assert house.client.get("/healthz", headers={header: "/api/users"}).json() == {"status": "alive"}


@pytest.mark.parametrize(
    "header",
    ["X-User", "X-Remote-User", "X-Forwarded-User", "Remote-User", "X-Forwarded-For", "Forwarded", "X-Real-IP"],
)
def test_no_client_header_grants_an_identity(house, header):
    viewer = house.sign_in()
    for value in ("admin", "127.0.0.1", "for=127.0.0.1;by=admin"):
        assert house.client.get("/api/me", headers={header: value}).json()["role"] is None
        assert house.client.get("/api/me", headers=viewer | {header: value}).json()["name"] == "viewer"


def test_ids_of_others_look_like_unknown_ids(house):
    client, viewer = house.client, house.sign_in()
    admin = house.sign_in("admin")
    (session,) = client.get("/api/sessions", headers=admin).json()["items"]
    token = client.get("/api/tokens", headers=admin).json()["items"][0]
    for path, own in (("/api/sessions", session["id"]), ("/api/tokens", token["id"])):
        answers = [client.delete(f"{path}/{one}", headers=viewer) for one in (own, "0" * 32)]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].json()["detail"] == answers[1].json()["detail"]
    assert client.get("/api/status", headers=admin).status_code == 200


def test_a_second_cookie_or_a_token_beside_it_adds_nothing(house):
    viewer, admin = (house.sign_in(name)["Cookie"] for name in ("viewer", "admin"))
    half = admin[: len(admin) // 2]
    for cookie in (f"{viewer}; {half}", f"{half}; {viewer}", f"{COOKIE}=; {viewer}", f'{COOKIE}="{viewer}"'):
        answer = house.client.get("/api/users", headers={"Cookie": cookie} | ORIGIN)
        assert answer.status_code in {401, 403}
    camera = {"Cookie": admin} | bearer(house.publisher)
    assert house.client.get("/api/users", headers=camera).status_code == 403, (
        "the token counts, and it is a publisher's"
    )


def test_what_was_seen_is_in_no_cache_once_one_is_signed_out(house):
    viewer = house.sign_in()
    paths = ("/api/status", "/api/me", "/api/cameras", "/api/events", "/api/analyses", "/api/tokens", "/api/sessions")
    for path in (*paths, "/metrics", "/openapi.json", "/docs", f"/api/events/{'0' * 32}/picture.jpg"):
        assert house.client.get(path, headers=viewer).headers["cache-control"] == "no-store", path


def test_a_viewer_s_token_is_no_more_than_its_cookie(house):
    token = bearer(house.tokens[Role.VIEWER])
    for method, path in (
        ("GET", "/api/users"),
        ("GET", "/api/users/admin/sessions"),
        ("DELETE", "/api/users/admin/sessions"),
        ("GET", "/api/audit"),
        ("GET", "/api/tokens?all=true"),
        ("GET", "/api/tokens?all=1&all=true"),
        ("PUT", "/api/models/judging"),
        ("DELETE", f"/api/events/{'0' * 32}"),
    ):
        assert house.client.request(method, path, headers=token).status_code == 403, path
