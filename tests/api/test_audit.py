"""Who did what is in the audit log, without secrets and pictures."""

import pytest

from stream_detect.storage.audit import AuditFilter
from stream_detect.types import Role
from tests.api.signing_in import ORIGIN, PASSWORD, bearer, signed_in
from tests.patience import until

CAMERA = {"name": "door", "url": "rtsp://viewer:hunter2@192.0.2.1/stream", "enabled": False}


@pytest.fixture
def house(make):
    return signed_in(make())


def entries(house, count: int):
    """All entries, the oldest first, once there are so many."""
    table = house.inside.access.audit.table
    until(lambda: len(list(table.entries())) >= count, said=lambda: [e.action for e in table.entries()])
    return [(entry.who, entry.by, entry.action, entry.target, entry.result) for entry in table.entries()]


def test_changes_are_written_down_with_who_did_them(house):
    client, admin = house.client, bearer(house.tokens[Role.ADMIN])
    assert client.post("/api/cameras", json=CAMERA, headers=admin).status_code == 201
    assert client.delete("/api/cameras/door", headers=bearer(house.tokens[Role.OPERATOR])).status_code == 403
    assert client.delete("/api/cameras/door", headers=admin).status_code == 204
    assert client.delete("/api/cameras/door", headers=admin).status_code == 404
    assert client.put("/api/models/judging", json={"name": "other"}, headers=admin).status_code == 200
    user = {"name": "eve", "role": "viewer", "password": PASSWORD}
    assert client.post("/api/users", json=user, headers=admin).status_code == 201
    assert client.get("/api/cameras", headers=admin).status_code == 200  # reading is not written down
    assert entries(house, 6) == [
        ("admin", "token", "camera.add", "door", "ok"),
        ("operator", "token", "camera.delete", "door", "refused"),
        ("admin", "token", "camera.delete", "door", "ok"),
        ("admin", "token", "camera.delete", "door", "failed"),
        ("admin", "token", "model.choose", "other", "ok"),
        ("admin", "token", "user.add", "eve", "ok"),
    ]


def test_sign_ins_and_refused_ones_are_written_down_without_what_was_typed(house):
    for body in (
        {"name": "viewer", "password": "not the right one"},
        {"name": "my-secret-password-in-the-wrong-field", "password": "x"},
    ):
        assert house.client.post("/api/session", json=body, headers=ORIGIN).status_code == 401
    own = house.sign_in("operator")
    token = house.client.post("/api/tokens", json={"name": "script", "role": "viewer"}, headers=own).json()
    house.client.delete("/api/session", headers=own)
    house.client.get("/api/status", headers=bearer("a-wrong-token"))
    found = entries(house, 5)
    assert found == [
        ("", "", "session.begin", "viewer", "refused"),
        ("operator", "session", "session.begin", "operator", "ok"),
        ("operator", "session", "token.add", f"{token['id']} script", "ok"),
        ("operator", "session", "session.end", "", "ok"),
        ("", "", "request", "", "refused"),
    ]
    written = str(list(house.inside.access.audit.table.entries()))
    for secret in ("not the right one", "my-secret", "a-wrong-token", token["token"], "stream_detect_session"):
        assert secret not in written


def test_looking_at_evidence_is_written_down_once_in_a_while(house):
    viewer = bearer(house.tokens[Role.VIEWER])
    path = f"/api/events/{'0' * 32}/picture.jpg"
    for _ in range(3):
        assert house.client.get(path, headers=viewer).status_code == 404
    assert house.client.get("/api/audit", headers=viewer).status_code == 403
    assert entries(house, 2) == [
        ("viewer", "token", "evidence.view", "0" * 32, "failed"),
        ("viewer", "token", "audit.view", "", "refused"),
    ]


def test_the_log_is_read_in_pages_and_with_filters_by_admins(house):
    client, admin = house.client, bearer(house.tokens[Role.ADMIN])
    for _ in range(3):
        client.delete("/api/cameras/nothing", headers=admin)
    client.delete("/api/users/nobody", headers=admin)
    entries(house, 4)
    page = client.get("/api/audit?limit=2&action=camera.", headers=admin).json()
    assert [entry["action"] for entry in page["items"]] == ["camera.delete"] * 2
    entry = page["items"][0]
    assert (entry["who"], entry["by"], entry["result"], entry["address"]) == ("admin", "token", "failed", "testclient")
    assert entry["detail"] == "DELETE /api/cameras/nothing: 404"
    rest = client.get(f"/api/audit?action=camera.&before={page['next']}", headers=admin).json()
    assert [len(rest["items"]), rest["next"]] == [1, None]
    assert client.get("/api/audit?who=nobody", headers=admin).json()["items"] == []
    for bad in ("before=x", "before=-1", "limit=0", "result=x", "more=1"):
        assert client.get(f"/api/audit?{bad}", headers=admin).status_code in {400, 422}


def test_an_open_server_writes_down_addresses(make):
    house = make()
    assert house.client.delete("/api/cameras/nothing").status_code == 404
    until(lambda: house.access.audit.table.page(AuditFilter(action="camera.")))
    (entry,) = house.access.audit.table.page(AuditFilter())
    assert (entry.who, entry.by, entry.address) == ("", "open", "testclient")
