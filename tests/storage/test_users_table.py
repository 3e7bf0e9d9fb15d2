"""Users, sessions and tokens in both databases."""

import threading
from dataclasses import replace

import pytest

from stream_detect.errors import ConflictError, NotFoundError, SignInError, StreamDetectError
from stream_detect.storage.users import (
    MAX_SESSIONS_OF_USER,
    MAX_TOKENS_OF_USER,
    ApiToken,
    Browser,
    StoredUsers,
    User,
    UserSession,
)
from stream_detect.types import Role
from tests.patience import PATIENCE_S

ALICE = User("alice", Role.ADMIN, "hash", created_s=1.0)
BOB = User("bob", Role.VIEWER, None, created_s=2.0)
SESSION = UserSession("a" * 64, "alice", 10.0, 10.0, 100.0, Browser("2001:db8::1", "Firefox/140.0"))
TOKEN = ApiToken("0" * 32, "b" * 64, "script", Role.VIEWER, "street", "alice", 10.0, 50.0)


@pytest.fixture
def stored(database) -> StoredUsers:
    stored = StoredUsers(database, lambda: 20.0)
    stored.add(ALICE)
    stored.add(BOB)
    return stored


def test_stored_users_are_read_back(stored):
    stored.begin_session(SESSION)
    stored.add_token(TOKEN)
    stored.note_use({SESSION.digest: 30.0}, {TOKEN.digest: 31.0})
    read = stored.read()
    assert read.users["bob"] == BOB
    assert read.users["alice"].last_sign_in_s == 10.0
    assert read.sessions[SESSION.digest] == replace(SESSION, seen_s=30.0)
    assert read.tokens[TOKEN.digest].last_used_s == 31.0
    assert (read.tokens[TOKEN.digest].camera, read.tokens[TOKEN.digest].role) == ("street", Role.VIEWER)
    assert [user.name for user in stored.users()] == ["alice", "bob"]


def test_each_change_raises_the_version_and_use_does_not(stored):
    seen = [stored.version()]
    for change in (
        lambda: stored.change("bob", role=Role.OPERATOR),
        lambda: stored.begin_session(SESSION),
        lambda: stored.add_token(TOKEN),
        lambda: stored.remove_token(TOKEN.id),
        lambda: stored.end_session(SESSION.digest),
        lambda: stored.begin_session(SESSION),
        lambda: stored.end_session_of(SESSION.id, "alice"),
        lambda: stored.end_sessions("alice"),
        lambda: stored.remove("bob"),
    ):
        change()
        seen.append(stored.version())
    assert seen == sorted(set(seen))
    stored.note_use({SESSION.digest: 1.0}, {})
    assert stored.version() == seen[-1]


@pytest.mark.parametrize(
    ("session_id", "user"),
    [(SESSION.id, "bob"), (SESSION.digest, None), (SESSION.id[:-1], None), ("a%", None), ("", None), ("a\0", None)],
)
def test_a_session_ends_by_its_whole_id_and_for_its_own_user(stored, session_id, user):
    stored.begin_session(SESSION)
    with pytest.raises(NotFoundError, match="id of a session"):
        stored.end_session_of(session_id, user)
    assert stored.end_session_of(SESSION.id, None) == "alice"
    assert stored.read().sessions == {}


def test_sessions_that_expired_are_neither_read_nor_kept(stored):
    stored.begin_session(UserSession("c" * 64, "alice", 1.0, 1.0, 19.0))
    assert stored.read().sessions == {}


def test_sessions_and_tokens_are_deleted_with_their_user(stored):
    stored.add(User("carol", Role.ADMIN, "hash"))
    stored.begin_session(SESSION)
    stored.add_token(TOKEN)
    stored.remove("alice")
    read = stored.read()
    assert (set(read.users), read.sessions, read.tokens) == ({"bob", "carol"}, {}, {})
    for nobodys in (lambda: stored.begin_session(SESSION), lambda: stored.add_token(TOKEN)):
        with pytest.raises(NotFoundError):
            nobodys()


@pytest.mark.parametrize("meanwhile", [{"password_hash": "new"}, {"disabled": True}])
def test_what_was_proven_counts_only_until_it_changes(stored, meanwhile):
    stored.add(User("carol", Role.ADMIN, "hash"))
    stored.change("alice", **meanwhile)
    for late in (
        lambda: stored.begin_session(SESSION, "hash"),
        lambda: stored.begin_session(SESSION, "hash", rehashed="the old password, hashed anew"),
        lambda: stored.change_password(SESSION, "hash", "another"),
    ):
        with pytest.raises(SignInError, match="meanwhile"):
            late()
    assert stored.read().sessions == {}
    assert stored.user("alice").password_hash == meanwhile.get("password_hash", "hash")


def test_the_last_of_admins_without_passwords_stays(database):
    stored = StoredUsers(database, lambda: 20.0)
    for name in ("carol", "dora"):
        stored.add(User(name, Role.ADMIN, None))
    stored.remove("dora")
    for change in ({"disabled": True}, {"role": Role.VIEWER}):
        with pytest.raises(ConflictError, match="last one"):
            stored.change("carol", **change)
    with pytest.raises(ConflictError, match="last one"):
        stored.remove("carol")


def test_sessions_and_tokens_of_a_user_are_bounded(stored):
    for n in range(MAX_SESSIONS_OF_USER + 2):
        stored.begin_session(UserSession(f"{n:064}", "alice", 10.0 + n, 10.0 + n, 1000.0))
    assert sorted(stored.read().sessions) == [f"{n:064}" for n in range(2, MAX_SESSIONS_OF_USER + 2)]
    for n in range(MAX_TOKENS_OF_USER):
        stored.add_token(ApiToken(f"{n:032}", f"{n:064}", f"token {n}", Role.VIEWER, None, "bob", float(n)))
    with pytest.raises(ConflictError, match="revoke one first"):
        stored.add_token(TOKEN.__class__("f" * 32, "f" * 64, "more", Role.VIEWER, None, "bob", 1.0))
    assert stored.tokens("bob")[0].name == f"token {MAX_TOKENS_OF_USER - 1}"
    assert stored.tokens("alice") == []


@pytest.mark.parametrize("name", ["nobody", "no\0body", "é", "a" * 500])
def test_users_are_found_only_by_their_name(stored, name):
    for ask in (stored.user, stored.remove, lambda name: stored.change(name, disabled=True)):
        with pytest.raises(NotFoundError):
            ask(name)
    with pytest.raises(NotFoundError):
        stored.remove_token(name)


def test_of_two_admins_who_remove_each_other_at_once_one_remains(stored):
    stored.add(User("carol", Role.ADMIN, "hash"))
    begin = threading.Barrier(2)
    failures: list[str] = []

    def remove(name: str) -> None:
        begin.wait()
        try:
            stored.remove(name)
        except StreamDetectError as error:
            failures.append(str(error))

    threads = [threading.Thread(target=remove, args=(name,)) for name in ("alice", "carol")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(failures) == 1
    assert "last one" in failures[0]
    assert len([user for user in stored.users() if user.role is Role.ADMIN]) == 1
