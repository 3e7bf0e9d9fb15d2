"""Every role on every route: the server follows the table of permissions, and no route is missing from it."""

import re

import pytest

from stream_detect.api.middleware.permissions import PERMISSIONS, Permission
from stream_detect.types import Role
from tests.api.signing_in import PASSWORD, bearer, signed_in

VALUES = {"name": "street", "user": "nobody", "n": "1"}
"""Values of path parameters; no object has these ids."""

ROUTES = [route for route in PERMISSIONS if route != "GET /"]
ENDLESS = ("/results", "/api/streams/events", "/progress")


@pytest.fixture
def house(make):
    return signed_in(make({"cameras": [{"name": "street", "url": "whip:"}], "server": {"token": "correct-horse"}}))


def asked(client, route: str, **more):
    """The response of a route to an unusable body."""
    method, _, path = route.partition(" ")
    target = re.sub(r"{(\w+)}", lambda found: VALUES.get(found[1], "0" * 32), path)
    return client.request(method, target, content=b"{", headers={"Content-Type": "application/json"} | more)


def test_every_route_has_a_role_and_every_role_has_a_route(house):
    assert house.inside.application.state.permissions.unlisted() == []
    there = house.inside.application.state.permissions.listed()
    assert [route for route in PERMISSIONS if route not in there] == []


def test_each_route_is_open_to_its_role_and_above_and_closed_to_all_others(house):
    wrong = []
    for route in ROUTES:
        least = PERMISSIONS[route].least
        if (asked(house.client, route).status_code == 401) is not (least is not None):
            wrong.append((route, None))
        for role, token in house.tokens.items():
            may = least is None or role.covers(least)
            if may and route.endswith(ENDLESS):
                continue  # endless: covered by tests/api/middleware/test_revoked.py
            answer = asked(house.client, route, **bearer(token))
            refused = answer.status_code == 403 and "expected the session of" not in answer.json()["detail"]
            if answer.status_code == 401 or refused is may:
                wrong.append((route, role, answer.status_code, answer.text))
            if refused and f"expected the role {least.value}" not in answer.text:
                wrong.append((route, role, answer.text))
    assert wrong == []


def test_a_token_of_a_publisher_reaches_its_camera_alone(house):
    wrong = []
    for route in ROUTES:
        answer = asked(house.client, route, **bearer(house.publisher))
        own = PERMISSIONS[route].least is None or "/whip/" in route
        refused = answer.status_code == 403 and "only publish to the camera street" in answer.text
        if refused is own:
            wrong.append((route, answer.status_code, answer.text))
    assert wrong == []


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_token_of_a_publisher_reaches_no_other_camera(house, method):
    path = "/whip/other" if method == "POST" else "/whip/other/session"
    answer = house.client.request(method, path, headers=bearer(house.publisher))
    assert answer.status_code == 403


def test_a_path_where_nothing_is_needs_a_sign_in_and_says_so(house):
    assert house.client.get("/absent").status_code == 401
    assert house.client.get("/absent", headers=bearer(house.tokens[Role.VIEWER])).status_code == 404
    assert house.client.post("/api/status", headers=bearer(house.tokens[Role.VIEWER])).status_code == 405


def test_a_route_that_is_not_in_the_table_needs_an_admin(make, monkeypatch, caplog):
    monkeypatch.setitem(PERMISSIONS, "GET /api/status", PERMISSIONS["GET /api/status"])
    monkeypatch.delitem(PERMISSIONS, "GET /api/status")
    house = signed_in(make())
    assert "GET /api/status has no role" in caplog.text
    assert house.client.get("/api/status", headers=bearer(house.tokens[Role.OPERATOR])).status_code == 403
    assert house.client.get("/api/status", headers=bearer(house.tokens[Role.ADMIN])).status_code == 200


def test_the_document_says_which_role_each_route_needs(house):
    described = house.client.get("/openapi.json", headers=bearer(house.tokens[Role.VIEWER])).json()
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            permission: Permission = PERMISSIONS[f"{method.upper()} {path}"]
            assert operation.get("x-role") == (permission.least and permission.least.value)


def test_a_user_without_a_role_is_refused(house):
    for body in ({"name": "eve", "password": PASSWORD}, {"name": "eve", "password": PASSWORD, "role": "owner"}):
        answer = house.client.post("/api/users", json=body, headers=bearer(house.tokens[Role.ADMIN]))
        assert answer.status_code == 422
        assert "role" in answer.json()["detail"]
