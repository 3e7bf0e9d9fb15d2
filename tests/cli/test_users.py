"""`stream-detect users`: management of users on the command line."""

import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from stream_detect.access.accounts import Accounts
from stream_detect.cli import main
from stream_detect.settings import AccessSettings, StorageSettings
from stream_detect.storage.audit import AuditTable
from stream_detect.storage.database import Database
from stream_detect.storage.users import Browser, StoredUsers
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
PASSWORD = "four random words here\n"


@dataclass(frozen=True)
class Done:
    """What a command wrote, and its exit status."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def users(tmp_path, monkeypatch, capsys):
    """Runs the command on the test's database, in this process: starting processes would take most of the time."""
    for name in [name for name in os.environ if name.startswith("STREAM_DETECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STREAM_DETECT_SETTINGS", os.devnull)
    monkeypatch.setenv("STREAM_DETECT_STORAGE__FOLDER", str(tmp_path / "data"))

    def run(*arguments: str, given: str = PASSWORD) -> Done:
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["users", *arguments])
        written = capsys.readouterr()
        return Done(int(ended.value.code or 0), written.out, written.err)

    return run


def test_a_process_reads_the_password_from_its_standard_input(users, tmp_path):
    code = "from stream_detect.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "users", "add", "alice", "--password-stdin"],
        cwd=ROOT,
        input=PASSWORD,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "alice may sign in as admin.\n", "")
    with Database.open(StorageSettings(folder=tmp_path / "data"), alone=False) as database:
        Accounts(StoredUsers(database), AccessSettings()).sign_in(
            "alice", PASSWORD.strip(), Browser("::1", "a browser")
        )
    assert users("sessions", "alice").stdout.endswith("a browser\n")


def test_users_are_added_listed_changed_and_removed(users, tmp_path):
    assert users("list").stdout == "There are no users.\n"
    assert users("add", "Alice", "--password-stdin").stdout == "alice may sign in as admin.\n"
    assert users("add", "bob", "--role", "operator", "--password-stdin").returncode == 0
    assert users("passwd", "bob", "--password-stdin", given="another long password\n").returncode == 0
    assert users("role", "bob", "viewer").stdout == "bob is viewer.\n"
    assert users("disable", "bob").returncode == 0
    lines = users("list").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["alice", "admin"], ["bob", "viewer"]]
    assert lines[1].endswith("disabled")
    assert users("enable", "bob").returncode == 0
    assert users("remove", "bob").stdout == "bob is removed.\n"
    assert len(users("list").stdout.splitlines()) == 1
    with Database.open(StorageSettings(folder=tmp_path / "data"), alone=False) as database:
        changes = [entry.detail for entry in AuditTable(database).entries() if entry.action == "user.change"]
    assert changes == ["new password", "role viewer", "disabled", "enabled"]


def test_sign_ins_are_listed_and_ended(users, tmp_path):
    users("add", "alice", "--password-stdin")
    assert users("sessions", "alice").stdout == "alice is not signed in.\n"
    with Database.open(StorageSettings(folder=tmp_path / "data"), alone=False) as database:
        accounts = Accounts(StoredUsers(database), AccessSettings())
        for agent in ("Firefox/140.0", "curl/8.5.0"):
            accounts.sign_in("alice", PASSWORD.strip(), Browser("2001:db8::1", agent))
    lines = users("sessions", "Alice").stdout.splitlines()
    assert sorted(line.split()[-2:] for line in lines) == [
        ["2001:db8::1", "Firefox/140.0"],
        ["2001:db8::1", "curl/8.5.0"],
    ]
    signed_out = users("sign-out", "alice", "--session", lines[0].split()[0])
    assert signed_out.stdout == "alice is signed out in that browser.\n"
    assert users("sessions", "alice").stdout.splitlines() == lines[1:]
    assert users("sign-out", "alice").stdout == "alice is signed out everywhere.\n"
    assert users("sessions", "alice").stdout == "alice is not signed in.\n"


@pytest.mark.parametrize("command", [("passwd", "alice"), ("disable", "alice"), ("sessions", "alice")])
def test_a_change_of_a_user_needs_the_database_of_a_server(users, tmp_path, command):
    done = users(*command)
    assert (done.returncode, (tmp_path / "data").exists()) == (2, False)
    assert "expected the database of a server, found none" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "given", "expected"),
    [
        (("remove", "alice"), "", "the last one cannot be removed"),
        (("disable", "alice"), "", "the last one cannot be removed"),
        (("role", "alice", "viewer"), "", "the last one cannot be removed"),
        (("remove", "nobody"), "", "expected the name of a user"),
        (("sessions", "nobody"), "", "expected the name of a user"),
        (("sign-out", "nobody"), "", "expected the name of a user"),
        (("sign-out", "alice", "--session", "0" * 32), "", "expected the id of a session"),
        (("add", "alice", "--password-stdin"), PASSWORD, "there is already a user named alice"),
        (("add", "a b", "--password-stdin"), PASSWORD, "expected a user name"),
        (("passwd", "\udcff", "--password-stdin"), PASSWORD, "expected a user name"),  # a byte that is not UTF-8
        (("add", "carol", "--password-stdin"), "short\n", "expected a password of 12 to 256 characters, received 5"),
        (("add", "carol", "--password-stdin"), "", "received 0"),
        (("add", "carol"), PASSWORD, "expected a terminal"),
    ],
)
def test_what_cannot_be_is_one_line_with_the_cure(users, arguments, given, expected):
    assert users("add", "alice", "--password-stdin").returncode == 0
    done = users(*arguments, given=given)
    assert done.returncode == 2
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1
    assert PASSWORD.strip() not in done.stdout + done.stderr
