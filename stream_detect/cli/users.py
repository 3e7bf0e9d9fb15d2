"""The commands `stream-detect users ...`: manage users in the database, whether a server runs or not."""

import datetime as dt
import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from stream_detect.access.accounts import Accounts
from stream_detect.access.audit import note
from stream_detect.access.directory import Directory
from stream_detect.access.principal import user_name
from stream_detect.errors import PasswordError
from stream_detect.settings.file import load_settings
from stream_detect.storage.audit import AuditTable
from stream_detect.storage.database import Database
from stream_detect.storage.users import StoredUsers
from stream_detect.types import Role

app = typer.Typer(
    help="Add, list, change and remove users who sign in. A running server applies a change within a second.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Name of the user: a-z, 0-9 and . _ @ + -.", callback=user_name),
]
File = Annotated[
    Path | None,
    typer.Option("--settings", metavar="FILE", help="Settings file. Default: stream-detect.yaml in this folder."),
]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input; do not ask.")
]


@app.command()
def add(
    name: Name,
    settings: File = None,
    *,
    role: Annotated[Role | None, typer.Option(help="Default: admin for the first user, viewer for the others.")] = None,
    password_stdin: FromStdin = False,
) -> None:
    """Add a user and ask for the password. Once there is a user, everybody has to sign in."""
    with _accounts(settings, "user.add", name) as accounts:
        wanted = role or (Role.VIEWER if accounts.users() else Role.ADMIN)
        added = accounts.add(name, wanted, _password(password_stdin))
    typer.echo(f"{added.name} may sign in as {added.role.value}.")


@app.command(name="list")
def listed(settings: File = None) -> None:
    """List all users."""
    with _accounts(settings) as accounts:
        users = accounts.users()
    if not users:
        typer.echo("There are no users.")
    for user in users:
        notes = "disabled" if user.disabled else "" if user.password_hash else "by single sign-on"
        seen = "never" if user.last_sign_in_s is None else _date(user.last_sign_in_s)
        typer.echo(f"{user.name:<24} {user.role.value:<9} last sign-in {seen:<17} {notes}".rstrip())


@app.command()
def passwd(name: Name, settings: File = None, *, password_stdin: FromStdin = False) -> None:
    """Set a user's password, for example a forgotten one, and end all sessions of the user."""
    with _accounts(settings, "user.change", name, "new password") as accounts:
        accounts.change(name.lower(), password=_password(password_stdin))
    typer.echo(f"{name.lower()} has a new password; all sessions have ended.")


@app.command()
def role(name: Name, role: Annotated[Role, typer.Argument(metavar="ROLE")], settings: File = None) -> None:
    """Give a user another role: viewer, operator or admin."""
    with _accounts(settings, "user.change", name, f"role {role.value}") as accounts:
        accounts.change(name.lower(), role=role)
    typer.echo(f"{name.lower()} is {role.value}.")


@app.command()
def disable(name: Name, settings: File = None) -> None:
    """Disable a user; the user's sessions, tokens and streams end."""
    with _accounts(settings, "user.change", name, "disabled") as accounts:
        accounts.change(name.lower(), disabled=True)
    typer.echo(f"{name.lower()} is disabled.")


@app.command()
def enable(name: Name, settings: File = None) -> None:
    """Enable a disabled user."""
    with _accounts(settings, "user.change", name, "enabled") as accounts:
        accounts.change(name.lower(), disabled=False)
    typer.echo(f"{name.lower()} may sign in.")


@app.command()
def sessions(name: Name, settings: File = None) -> None:
    """List a user's sessions: id, time of the sign-in and of the last request, address, browser."""
    given = load_settings(settings, os.environ)
    with Database.open(given.storage, alone=False, create=False) as database:
        stored = StoredUsers(database)
        found = Directory(stored, given.server, given.access).sessions(stored.user(name.lower()).name)
    if not found:
        typer.echo(f"{name.lower()} is not signed in.")
    for one in found:
        times = f"since {_date(one.began_s)}, seen {_date(one.seen_s)}"
        typer.echo(f"{one.id}  {times}  {one.browser.address:<15}  {one.browser.user_agent}".rstrip())


@app.command()
def sign_out(
    name: Name,
    settings: File = None,
    *,
    session: Annotated[
        str | None, typer.Option(metavar="ID", help="End only this session; `sessions` lists the ids.")
    ] = None,
) -> None:
    """Sign a user out everywhere, or in one browser. Sessions and their streams end; tokens remain valid."""
    with _accounts(settings, "session.end_all" if session is None else "session.end", name) as accounts:
        if session is None:
            accounts.sign_out_everywhere(name.lower())
        else:
            accounts.end_session(session, name.lower())
    typer.echo(f"{name.lower()} is signed out {'everywhere' if session is None else 'in that browser'}.")


@app.command()
def remove(name: Name, settings: File = None) -> None:
    """Remove a user with all sessions and tokens."""
    with _accounts(settings, "user.remove", name) as accounts:
        accounts.remove(name.lower())
    typer.echo(f"{name.lower()} is removed.")


@contextmanager
def _accounts(file: Path | None, action: str = "", name: str = "", detail: str = "") -> Iterator[Accounts]:
    """The accounts of a server; an action on the user of that name is recorded in the audit log, with its detail.

    Only to list and to add users creates the database: anything else means that of a server, in another folder.
    """
    settings = load_settings(file, os.environ)
    with Database.open(settings.storage, alone=False, create=action in {"", "user.add"}) as database:
        yield Accounts(StoredUsers(database), settings.access)
        if action:
            note(AuditTable(database), action, name.lower(), detail)


def _password(from_stdin: bool) -> str:  # noqa: FBT001 - as the option is
    """The password, from standard input or from two prompts.

    Raises:
        PasswordError: there is no terminal, or it was repeated wrongly.
    """
    if from_stdin:
        try:
            return sys.stdin.readline().rstrip("\r\n")
        except UnicodeDecodeError:
            raise PasswordError("expected a password of whole Unicode characters, such as UTF-8 text") from None
    if not sys.stdin.isatty():
        raise PasswordError("expected a terminal to ask for the password; without one, use --password-stdin")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise PasswordError("expected the same password twice, received two different ones")
    return password


def _date(at_s: float) -> str:
    return dt.datetime.fromtimestamp(at_s, dt.UTC).strftime("%Y-%m-%d %H:%MZ")
