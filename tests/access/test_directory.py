"""The owner of a credential, its expiry, and when no sign-in is required."""

import threading

import pytest
from pydantic import SecretStr

from stream_detect.access.principal import Principal
from stream_detect.errors import StorageError
from stream_detect.settings import ServerSettings
from stream_detect.storage.users import StoredUsers
from stream_detect.types import Role
from tests.access.conftest import PASSWORD
from tests.patience import PATIENCE_S

TOKEN = "correct-horse-battery"
PUBLIC = ServerSettings(host="0.0.0.0", sign_in=True)


@pytest.mark.parametrize(
    ("server", "access", "is_open"),
    [
        (ServerSettings(), {}, True),
        (ServerSettings(host="::1"), {}, True),
        (ServerSettings(token=SecretStr(TOKEN)), {}, False),
        (ServerSettings(sign_in=True), {}, False),
        (PUBLIC, {}, False),
        (ServerSettings(), {"proxy_header": "X-User", "proxy_addresses": ["127.0.0.1"]}, False),
    ],
)
def test_loopback_needs_no_sign_in_by_default(house, server, access, is_open):
    directory = house.make(server, **access).directory
    assert directory.is_open is is_open
    assert (directory.anybody() is not None) is is_open
    assert directory.sign_in().needed is not is_open


def test_the_first_user_closes_the_house_within_one_look(house):
    assert house.directory.anybody() == Principal(Role.ADMIN, "open")
    assert house.directory.role_of("open") is Role.ADMIN
    house.add("alice")
    assert house.directory.anybody() is None
    assert house.directory.role_of("open") is None
    assert house.directory.sign_in().password


def test_a_copy_that_was_read_earlier_never_replaces_a_newer_one(house):
    house.add("alice")
    read, others = house.stored.read, []

    def slow():
        found = read()
        if not others:
            house.accounts.add("bob", Role.VIEWER, PASSWORD)
            others.append(threading.Thread(target=house.directory.refresh))
            others[0].start()
            others[0].join(0.2)  # it is done by then, unless it waits for this one
        return found

    house.stored.read = slow
    house.accounts.add("carol", Role.VIEWER, PASSWORD)
    house.directory.refresh()
    others[0].join(PATIENCE_S)
    assert house.directory.knows("bob")


def test_the_settings_token_is_an_admin_until_it_is_replaced(house):
    directory = house.make(ServerSettings(token=SecretStr(TOKEN))).directory
    principal = directory.by_bearer(TOKEN.encode())
    assert (principal.role, principal.by, principal.name) == (Role.ADMIN, "settings_token", None)
    assert directory.by_bearer(b"x" + TOKEN.encode()) is None
    directory.replace_token(SecretStr("another-token"))
    assert directory.by_bearer(TOKEN.encode()) is None
    assert directory.role_of(principal.key) is None
    assert directory.by_bearer(b"another-token").role is Role.ADMIN
    directory.replace_token(None)
    assert directory.by_bearer(b"another-token") is None
    assert directory.anybody() is None  # its `Host` may be any, so it must not be open before a restart


def test_the_sessions_of_a_user_are_those_that_stand_the_one_used_last_first(house):
    house.make(session_idle_minutes=30).add("alice")
    house.add("bob", Role.VIEWER)
    house.signed_in("alice")  # idle before the others start
    house.now_s += 31 * 60
    first, _, _ = house.signed_in("alice"), house.signed_in("alice"), house.signed_in("bob")
    began_s = house.now_s
    house.now_s += 60
    assert house.directory.by_cookie(first) is not None
    found = house.directory.sessions("alice")
    assert [(one.user, one.began_s, one.seen_s) for one in found] == [
        ("alice", began_s, began_s + 60),
        ("alice", began_s, began_s),
    ]
    assert house.directory.sessions("nobody") == []


def test_a_session_ends_when_idle_and_at_its_time_however_much_it_is_used(house):
    house.make(session_idle_minutes=30, session_hours=2).add("alice")
    idle, used = house.signed_in("alice"), house.signed_in("alice")
    for _ in range(7):
        house.now_s += 16 * 60
        assert house.directory.by_cookie(used) is not None
    assert house.directory.by_cookie(idle) is None
    house.now_s += 16 * 60
    assert house.directory.by_cookie(used) is None


def test_a_session_does_not_outlast_a_limit_that_was_lowered_since(house):
    house.make(session_hours=100).add("alice")
    cookie = house.signed_in("alice")
    house.now_s += 600
    assert house.make(session_hours=0.2).directory.by_cookie(cookie)
    house.now_s += 200
    assert house.directory.by_cookie(cookie) is None


def test_a_session_from_a_clock_that_was_ahead_ends_when_it_is_set_right(house):
    house.add("alice")
    house.now_s += 365 * 86_400
    cookie = house.signed_in("alice")
    assert house.directory.by_cookie(cookie)
    house.now_s -= 365 * 86_400
    assert house.directory.by_cookie(cookie) is None


def test_a_stream_that_runs_counts_as_use_until_the_session_expires(house):
    house.make(session_idle_minutes=30, session_hours=2).add("alice")
    key = house.directory.by_cookie(house.signed_in("alice")).key
    for _ in range(5):
        house.now_s += 20 * 60
        assert house.directory.role_of(key, in_use=True) is Role.ADMIN
    house.now_s += 31 * 60
    assert house.directory.role_of(key, in_use=True) is None


def test_a_token_expires_and_its_last_use_is_written_down(house):
    house.add("alice")
    _, value = house.accounts.add_token(Principal(Role.ADMIN, "session", "alice"), "x", Role.VIEWER, 1, None)
    house.directory.refresh()
    house.now_s += 3600
    key = house.directory.by_bearer(value.encode()).key
    house.directory.refresh()
    assert house.accounts.tokens("alice")[0].last_used_s == house.now_s
    assert house.directory.role_of(key) is Role.VIEWER
    house.now_s += 86400
    assert house.directory.by_bearer(value.encode()) is None
    assert house.directory.role_of(key) is None


def test_use_is_written_down_once_a_minute_and_survives_a_restart(house):
    house.add("alice")
    cookie = house.signed_in("alice")
    house.now_s += 59
    house.directory.by_cookie(cookie)
    house.directory.refresh()
    seen = {session.seen_s for session in StoredUsers(house.database, house.clock).read().sessions.values()}
    assert seen == {house.now_s - 59}
    house.now_s += 1
    house.directory.refresh()
    house.now_s += 29 * 60
    house.make()
    assert house.directory.by_cookie(cookie) is not None


def test_a_change_by_another_process_is_seen(house):
    house.add("alice")
    house.add("bob", Role.VIEWER)
    key = house.directory.by_cookie(house.signed_in("bob")).key
    StoredUsers(house.database).change("bob", disabled=True)
    assert house.directory.role_of(key) is Role.VIEWER
    assert house.directory.refresh()
    assert house.directory.role_of(key) is None


def test_while_the_database_is_away_what_was_read_last_holds(house, caplog):
    house.add("alice")
    cookie = house.signed_in("alice")

    def away() -> int:
        raise StorageError("the database is away")

    house.stored.version = away
    assert not house.directory.refresh()
    assert not house.directory.refresh()
    assert house.directory.by_cookie(cookie) is not None
    assert caplog.text.count("the database is away") == 1


def test_a_proxy_names_users_who_are_in_the_list(house):
    house.add("alice")
    assert house.directory.by_proxy("Alice").by == "proxy"
    assert house.directory.by_proxy("mallory") is None
    assert house.directory.by_proxy("") is None
