"""The audit log names users and their actions, without secrets or pictures."""

import asyncio

import pytest

from stream_detect.access.principal import Principal
from stream_detect.api.middleware.audit import STRANGERS, Audit
from stream_detect.api.middleware.permissions import Permission
from stream_detect.storage.audit import AuditFilter
from stream_detect.types import Role
from tests.api.signing_in import ORIGIN, PASSWORD, bearer, signed_in
from tests.patience import until

CAMERA = {"name": "door", "url": "rtsp://viewer:hunter2@192.0.2.1/stream", "enabled": False}


@pytest.fixture
def house(make):
    return signed_in(make())


def entries(house, count: int):
    """Waits for this number of entries; returns all, oldest first."""
    table = house.inside.access.audit.table
    until(lambda: len(list(table.entries())) >= count, describe=lambda: [e.action for e in table.entries()])
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
    assert client.get("/api/cameras", headers=admin).status_code == 200  # reading is not logged
    assert entries(house, 6) == [
        ("admin", "token", "camera.add", "door", "ok"),
        ("operator", "token", "camera.delete", "door", "refused"),
        ("admin", "token", "camera.delete", "door", "ok"),
        ("admin", "token", "camera.delete", "door", "failed"),
        ("admin", "token", "model.choose", "other", "ok"),
        ("admin", "token", "user.add", "eve", "ok"),
    ]


def test_changes_are_written_down_with_what_was_changed(make):
    now = {}
    house = signed_in(make(read_again=lambda: now))
    client, admin = house.client, bearer(house.tokens[Role.ADMIN])
    user = {"name": "eve", "role": "viewer", "password": PASSWORD}
    assert client.post("/api/users", json=user, headers=admin).status_code == 201
    change = {"role": "operator", "disabled": True, "password": f"another {PASSWORD}"}
    for given in (change, {"disabled": False}, {}):
        assert client.patch("/api/users/eve", json=given, headers=admin).status_code == 200
    assert client.post("/api/cameras", json=CAMERA, headers=admin).status_code == 201
    change = {"url": "rtsp://viewer:hunter3@192.0.2.1/stream", "title": "Door", "enabled": False}
    for _ in range(2):
        assert client.put("/api/cameras/door", json=change, headers=admin).status_code == 200
    now = {"cameras": [{"name": "yard", "url": "whip:"}], "alerts": {"min_interval_s": 5}}
    assert client.post("/api/cameras/reload", headers=admin).status_code == 200
    entries(house, 8)
    written = list(house.inside.access.audit.table.entries())
    assert [entry.detail.partition(": 20")[2] for entry in written] == [
        "1; role viewer",
        "0; role operator, disabled, new password",
        "0; enabled",
        "0; nothing was given",
        "1",
        "0; changed: title, url",
        "0; changed: none",
        "0; added yard, changed none, removed none; after a restart: alerts",
    ]
    assert not [entry for entry in written if "hunter" in str(entry) or PASSWORD in str(entry)]


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


def test_a_session_that_is_ended_is_written_down_with_its_user(house):
    house.sign_in()
    admin = bearer(house.tokens[Role.ADMIN])
    (session,) = house.client.get("/api/users/viewer/sessions", headers=admin).json()["items"]
    assert house.client.delete(f"/api/sessions/{session['id']}", headers=admin).status_code == 204
    assert house.client.delete("/api/users/viewer/sessions", headers=admin).status_code == 204
    assert entries(house, 3)[1:] == [
        ("admin", "token", "session.end", f"{session['id']} of viewer", "ok"),
        ("admin", "token", "session.end_all", "viewer", "ok"),
    ]


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


def test_a_view_is_recorded_for_each_file_and_after_one_that_failed(house):
    admin, event = bearer(house.tokens[Role.ADMIN]), "0" * 32
    for _ in range(2):
        for name in ("face.jpg", "clip.mp4"):
            house.client.get(f"/api/events/{event}/{name}", headers=admin)
        for limit in (0, 1):
            house.client.get(f"/api/audit?limit={limit}", headers=admin)
    assert [(action, target, result) for *_, action, target, result in entries(house, 4)] == [
        ("evidence.view", event, "failed"),
        ("evidence.view", event, "failed"),
        ("audit.view", "", "failed"),
        ("audit.view", "", "ok"),
    ]


def test_a_change_that_fails_unexpectedly_is_written_down_and_its_answer_is_as_safe_as_any(house, monkeypatch):
    def broken(_name: str) -> None:
        raise RuntimeError("/root/secret")

    monkeypatch.setattr(house.inside.access.accounts, "remove", broken)
    answer = house.client.delete("/api/users/viewer", headers=bearer(house.tokens[Role.ADMIN]))
    assert (answer.status_code, answer.headers["cache-control"]) == (500, "no-store")
    assert "Content-Security-Policy" in answer.headers
    assert "secret" not in answer.text
    assert entries(house, 1) == [("admin", "token", "user.remove", "viewer", "failed")]


async def test_a_change_during_which_the_server_stops_is_written_down(house):
    begun = asyncio.Event()

    async def change(scope, _receive, _send) -> None:
        scope["permission"], scope["template"], scope["values"] = Permission(Role.ADMIN, "camera.change"), "", {}
        scope["principal"] = Principal(Role.ADMIN, "session", "alice")
        begun.set()
        await asyncio.Event().wait()

    access = house.inside.access
    scope = {"type": "http", "method": "PUT", "path": "/api/cameras/door", "headers": [], "client": ("192.0.2.1", 1)}
    request = asyncio.create_task(Audit(change, access.audit, access.directory)(scope, None, None))
    await begun.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert entries(house, 1) == [("alice", "session", "camera.change", "", "failed")]
    (written,) = access.audit.table.entries()
    assert written.detail.endswith("stopped before it was answered")


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


FOREIGN = {"Origin": "https://evil.example"}


@pytest.mark.parametrize(
    ("headers", "action", "cause"),
    [
        (FOREIGN, "request.cross_site", "403, Origin https://evil.example"),
        ({"Sec-Fetch-Site": "same-site"}, "request.cross_site", "403, Origin same-site"),
        ({"Host": "rebound.example"}, "request.host", "421, Host rebound.example"),
        ({"Host": "a\nb" + "x" * 500}, "request.host", f"421, Host a\\nb{'x' * 196}"),
    ],
)
def test_cross_site_requests_are_logged_with_the_user_of_the_browser(house, headers, action, cause):
    cookie = house.sign_in("operator")
    for shown in ({"Cookie": cookie["Cookie"]}, bearer(house.tokens[Role.VIEWER]), {}):
        for _ in range(3):
            answer = house.client.post("/api/tokens", json={}, headers=shown | headers)
            assert answer.status_code in {403, 421}
    found = entries(house, 4)[1:]
    assert found == [
        ("operator", "session", action, "", "refused"),
        ("viewer", "token", action, "", "refused"),
        ("", "", action, "", "refused"),
    ]
    assert {entry.detail for entry in house.inside.access.audit.table.page(AuditFilter(action=action))} == {
        f"POST /api/tokens: {cause}"
    }


def test_a_refused_request_of_another_site_is_no_use_of_the_session(house):
    cookie = house.sign_in()
    (before,) = house.inside.access.directory.sessions("viewer")
    assert house.client.post("/api/tokens", headers={"Cookie": cookie["Cookie"]} | FOREIGN).status_code == 403
    assert house.inside.access.directory.sessions("viewer") == [before]


def test_strangers_do_not_fill_the_log_from_however_many_addresses(house, caplog):
    for n in range(STRANGERS + 5):
        house.client._transport.client = (f"2001:db8:{n:x}::1", 50000)
        assert house.client.post("/api/tokens", headers=FOREIGN).status_code == 403
        assert house.client.delete("/api/session", headers=ORIGIN).status_code == 204
    assert (
        house.client.post("/api/session", json={"name": "viewer", "password": "x"}, headers=ORIGIN).status_code == 401
    )
    actions = [action for _, _, action, _, _ in entries(house, 2 * STRANGERS + 1)]
    assert [actions.count(one) for one in ("request.cross_site", "session.end", "session.begin")] == [
        STRANGERS,
        STRANGERS,
        1,
    ]
    assert caplog.text.count("some are omitted") == 2


def test_one_subscriber_s_many_addresses_are_one_refusal(house):
    for n in range(5):
        house.client._transport.client = (f"2001:db8::{n:x}", 50000)
        house.client.post("/api/tokens", headers=FOREIGN)
    house.sign_in()
    assert [action for _, _, action, _, _ in entries(house, 2)] == ["request.cross_site", "session.begin"]


def test_no_client_can_inject_lines_into_the_log(house, caplog):
    caplog.set_level("INFO", "stream_detect.audit")
    house.client.post(
        "/whep/door%0aadmin (session): user.add mallory ok%1b[2J", headers=bearer(house.tokens[Role.VIEWER])
    )
    ((_, _, _, target, _),) = entries(house, 1)
    assert target == r"door\nadmin (session): user.add mallory ok\x1b[2J"
    until(lambda: "camera.watch" in caplog.text)
    assert not [record for record in caplog.records if not record.getMessage().isprintable()]


def test_an_open_server_writes_down_addresses(make):
    house = make()
    assert house.client.delete("/api/cameras/nothing").status_code == 404
    until(lambda: house.access.audit.table.page(AuditFilter(action="camera.")))
    (entry,) = house.access.audit.table.page(AuditFilter())
    assert (entry.who, entry.by, entry.address) == ("", "open", "testclient")
