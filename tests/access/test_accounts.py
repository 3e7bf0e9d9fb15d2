"""Sign-in, and changes of users, passwords and tokens."""

import pytest
from argon2 import extract_parameters

from stream_detect.access.passwords import check_new
from stream_detect.access.principal import Principal
from stream_detect.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    PasswordError,
    RequestError,
    SignInError,
)
from stream_detect.types import Role
from tests.access.conftest import PASSWORD

ADMIN = Principal(Role.ADMIN, "session", "alice")


def test_a_user_signs_in_by_name_in_any_case(house):
    house.add("Alice")
    principal = house.directory.by_cookie(house.signed_in("aLICE "))
    assert (principal.name, principal.role, principal.by) == ("alice", Role.ADMIN, "session")


@pytest.mark.parametrize("name", ["bob", "alice", "disabled", "sso", "", "no such\0name"])
def test_errors_do_not_reveal_whether_a_user_exists(house, name):
    house.add("alice")
    house.add("disabled", Role.VIEWER)
    house.accounts.change("disabled", disabled=True)
    house.make(sso_role="viewer").accounts.enter_from_elsewhere("sso")
    password = PASSWORD if name == "disabled" else "another password"
    with pytest.raises(SignInError, match="received a wrong name or password"):
        house.accounts.sign_in(name, password)


def test_each_wrong_sign_in_takes_one_hash(house, monkeypatch):
    house.add("alice")
    verified = []
    hasher = house.accounts._passwords._hasher
    real = type(hasher).verify
    monkeypatch.setattr(type(hasher), "verify", lambda *given: verified.append(given) or real(*given))
    for name in ("alice", "nobody", "not a name!"):
        with pytest.raises(SignInError):
            house.accounts.sign_in(name, "wrong")
    assert len(verified) == 3
    of_users, *of_nobody = (extract_parameters(password_hash) for _, password_hash, _ in verified)
    assert of_nobody == [of_users] * 2  # all take as long


def test_neither_password_nor_secret_is_in_the_database(house, tmp_path):
    house.add("alice")
    cookie = house.signed_in("alice")
    _, token = house.accounts.add_token(ADMIN, "script", Role.VIEWER, None, None)
    house.database.close()
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file())
    for secret in (PASSWORD.encode(), cookie, token.encode()):
        assert secret not in kept
    assert b"$argon2id$" in kept


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "x" * 257,
        "aaaaaaaaaaaaaaaa",
        "password12345",
        "PASSWORD-12345",
        "123456789012",
        "qwertyuiopas",
        "alicealice12",
        "abababababab",
        "a\N{COMBINING RING ABOVE} is o\N{COMBINING DIAERESIS}" * 40,  # 320 characters, and 240 once it is normalised
        "not \ud800 a character",
    ],
)
def test_a_password_that_is_guessed_first_is_refused(password):
    with pytest.raises(PasswordError):
        check_new(password, "alice")


@pytest.mark.parametrize(
    "password", [PASSWORD, "pässwörter sind lang", "🙂🙃😀😁😂🤣😃😄😅😆😉😊", " leading and trailing "]
)
def test_any_characters_may_be_in_a_password(house, password):
    house.accounts.add("alice", Role.ADMIN, password)
    assert house.accounts.sign_in("alice", password)
    with pytest.raises(SignInError):
        house.accounts.sign_in("alice", password[:-1])


def test_a_password_is_the_same_from_each_keyboard(house):
    house.accounts.add("alice", Role.ADMIN, "Ångström is long")
    assert house.accounts.sign_in("alice", "Ångström is long")


@pytest.mark.parametrize(
    "name", ["", "-x", "a b", "ä", "\N{KELVIN SIGN}evin", "kevin\N{NO-BREAK SPACE}", "x" * 65, "a\nb", "../etc"]
)
def test_a_name_that_is_not_usable_is_refused(house, name):
    with pytest.raises(RequestError, match="expected a user name"):
        house.accounts.add(name, Role.ADMIN, PASSWORD)


def test_the_first_user_is_an_admin(house):
    with pytest.raises(ConflictError, match="expected an admin as the first user"):
        house.accounts.add("bob", Role.OPERATOR, PASSWORD)


def test_the_last_admin_cannot_be_removed(house):
    house.add("alice")
    house.add("bob", Role.OPERATOR)
    house.make(sso_role="admin").accounts.enter_from_elsewhere("carol")  # cannot sign in when the provider is away
    for change in (
        lambda: house.accounts.remove("alice"),
        lambda: house.accounts.change("alice", disabled=True),
        lambda: house.accounts.change("alice", role=Role.VIEWER),
    ):
        with pytest.raises(ConflictError, match="last one"):
            change()
    house.accounts.change("bob", role=Role.ADMIN)
    house.accounts.remove("alice")
    assert [user.name for user in house.accounts.users()] == ["bob", "carol"]


def test_a_name_is_taken_once(house):
    house.add("alice")
    with pytest.raises(ConflictError, match="already"):
        house.accounts.add("ALICE", Role.ADMIN, PASSWORD)


@pytest.mark.parametrize("change", [{"disabled": True}, {"password": "another long password"}])
def test_disabling_and_a_new_password_end_all_sessions(house, change):
    house.add("alice")
    house.add("bob", Role.VIEWER)
    cookies = [house.signed_in("bob") for _ in range(2)]
    assert all(house.directory.by_cookie(cookie) for cookie in cookies)
    house.accounts.change("bob", **change)
    house.directory.refresh()
    assert not any(house.directory.by_cookie(cookie) for cookie in cookies)


def test_the_own_password_asks_for_the_current_one(house):
    house.add("alice")
    before = house.signed_in("alice")
    with pytest.raises(ForbiddenError, match="current password"):
        house.accounts.change_password("alice", "wrong", "another long password")
    house.make(sso_role="viewer").accounts.enter_from_elsewhere("sso")
    with pytest.raises(ForbiddenError, match="single sign-on has yours"):
        house.accounts.change_password("sso", "", "another long password")
    now = house.accounts.change_password("alice", PASSWORD, "another long password")
    house.directory.refresh()
    assert house.directory.by_cookie(before) is None
    assert house.directory.by_cookie(now.encode()).name == "alice"
    assert house.accounts.sign_in("alice", "another long password")


@pytest.mark.parametrize(
    ("way", "given"),
    [("sign_in", ("alice", PASSWORD)), ("change_password", ("alice", PASSWORD, "another long password"))],
)
def test_a_password_that_is_replaced_while_it_is_compared_opens_nothing(house, monkeypatch, way, given):
    house.add("alice")
    matches = house.accounts._passwords.matches

    def slow(*given):
        right = matches(*given)
        house.accounts.change("alice", password="the password of an admin")
        return right

    monkeypatch.setattr(house.accounts._passwords, "matches", slow)
    with pytest.raises(SignInError):
        getattr(house.accounts, way)(*given)
    monkeypatch.undo()
    house.directory.refresh()
    assert house.directory.sessions("alice") == []
    assert house.accounts.sign_in("alice", "the password of an admin")


def test_a_token_has_at_most_the_role_of_its_owner(house):
    house.add("alice")
    house.add("bob", Role.OPERATOR)
    bob = Principal(Role.OPERATOR, "session", "bob")
    with pytest.raises(ForbiddenError, match="up to your own, operator"):
        house.accounts.add_token(bob, "much", Role.ADMIN, None, None)
    _, value = house.accounts.add_token(bob, "script", Role.OPERATOR, None, None)
    house.directory.refresh()
    assert house.directory.by_bearer(value.encode()).role is Role.OPERATOR
    house.accounts.change("bob", role=Role.VIEWER)
    house.directory.refresh()
    assert house.directory.by_bearer(value.encode()).role is Role.VIEWER


def test_a_token_that_publishes_needs_an_operator(house):
    house.add("alice")
    with pytest.raises(ForbiddenError, match="operator"):
        house.accounts.add_token(ADMIN, "obs", Role.VIEWER, None, "street")


def test_tokens_belong_to_users(house):
    with pytest.raises(ForbiddenError, match="expected a signed-in user"):
        house.accounts.add_token(Principal(Role.ADMIN, "settings_token"), "x", Role.VIEWER, None, None)


def test_only_its_owner_and_admins_can_revoke_a_token(house):
    house.add("alice")
    house.add("bob", Role.VIEWER)
    token, value = house.accounts.add_token(ADMIN, "script", Role.VIEWER, None, None)
    with pytest.raises(ConflictError, match="already have a token named script"):
        house.accounts.add_token(ADMIN, "script", Role.VIEWER, None, None)
    with pytest.raises(NotFoundError):
        house.accounts.remove_token(token.id, "bob")
    house.accounts.remove_token(token.id, "alice")
    house.directory.refresh()
    assert house.directory.by_bearer(value.encode()) is None
    assert house.accounts.tokens(None) == []


def test_users_of_single_sign_on_are_entered_with_their_role_or_refused(house):
    with pytest.raises(SignInError, match="not in the list"):
        house.accounts.enter_from_elsewhere("dora")
    house.make(sso_role="operator")
    assert house.accounts.enter_from_elsewhere("Dora@Example.org").role is Role.OPERATOR
    house.accounts.change("dora@example.org", disabled=True)
    with pytest.raises(SignInError, match="disabled"):
        house.accounts.sign_in_from_elsewhere("dora@example.org")
    with pytest.raises(SignInError, match="an invalid name"):
        house.accounts.enter_from_elsewhere("dora smith")


def test_a_user_is_signed_in_at_no_more_than_twenty_browsers(house):
    house.add("alice")
    cookies = []
    for _ in range(22):
        house.now_s += 1
        cookies.append(house.signed_in("alice"))
    standing = [house.directory.by_cookie(cookie) is not None for cookie in cookies]
    assert standing == [False, False, *[True] * 20]
