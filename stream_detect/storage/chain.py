"""The hash chain of events and checks: each entry is hashed together with the one before, which reveals changes.

The row of an event changes while it is open, so its entries are the moments after which a part of it is final: its
start, its end, its evidence, its deletion. A check is written once: its entries are its end and its deletion. Whoever
can write to the database can also write a whole new chain: keep the newest hash elsewhere (`stream-detect
verify-evidence --head HASH`).
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Select, insert, select, text
from sqlalchemy.orm import Session

from stream_detect.storage.database import Database
from stream_detect.storage.tables import ChainRow, CheckRow, EventRow, Table

FIRST = "0" * 64
"""Previous hash in the first entry."""

_ONE_AT_A_TIME = 0x53_44_43_48  # "SDCH": PostgreSQL's advisory lock for appending
_AT_ONCE = 1000

_UNREADABLE = (TypeError, ValueError)
"""What reading or encoding a value raises that SQLite keeps in a column of another type."""

_Row = TypeVar("_Row", EventRow, CheckRow)
_Content = TypeVar("_Content")

IDENTITY = ("id", "camera", "kind", "began_s", "judge")
OUTCOME = ("ended_s", "interrupted", "reason", "peak", "mean", "track", "gaps_s")
FILES = ("picture", "face", "clip")
CHECK = (
    "id",
    "camera",
    "who",
    "began_s",
    "ended_s",
    "source_label",
    "virtual_camera",
    "state",
    "reason",
    "fake_probability",
    "judge",
    "challenges",
    "challenges_ended",
)


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """One entry of the chain.

    Args:
        number: consecutive, from 1.
        event_id: id of the event or the check.
        what: "began", "ended", "evidence" or "deleted"; "before" for an event that is older than the chain; "check" for
            a check that has ended.
        content: JSON of the new values; for a check only their SHA-256, so that nothing of it outlives it.
        previous: hash of the previous entry, 64 hexadecimal digits.
        hash: SHA-256 over all other fields.
    """

    number: int
    event_id: str
    what: str
    content: str
    previous: str
    hash: str

    @property
    def expected_hash(self) -> str:
        """The correct value of `hash`."""
        return entry_hash(self.number, self.event_id, self.what, self.content, self.previous)


def entry_hash(number: int, event_id: str, what: str, content: str, previous: str) -> str:
    """SHA-256 of an entry, 64 hexadecimal digits.

    SQLite stores any type in any column. What JSON cannot hold is hashed in Python's notation, and so never matches.
    """
    parts = json.dumps([number, event_id, what, content, previous], separators=(",", ":"), default=repr)
    return hashlib.sha256(parts.encode()).hexdigest()


def content_of(row: Table, columns: Sequence[str], more: Mapping[str, Any] | None = None) -> str:
    """Canonical JSON of some columns of an event or a check."""
    values = {name: _plain(name, getattr(row, name)) for name in columns} | dict(more or {})
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def digest_of(row: CheckRow) -> str:
    """JSON with the SHA-256 of a check record."""
    return json.dumps({"sha256": hashlib.sha256(content_of(row, CHECK).encode()).hexdigest()}, separators=(",", ":"))


def _plain(name: str, value: Any) -> Any:
    """A column's value in canonical form: SQLite returns whole numbers as integers, except in rows just read."""
    if isinstance(value, list):
        return [_plain(name, one) for one in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and name != "track" else value


def append(session: Session, entries: Sequence[tuple[str, str, str]]) -> None:
    """Appends entries in the transaction that writes their subject.

    Args:
        session: session of that transaction.
        entries: id of the event or check, what, and content.
    """
    if not entries:
        return
    session.flush()
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ONE_AT_A_TIME})
    number, previous = _newest(session) or (0, FIRST)
    rows = []
    for event_id, what, content in entries:
        number += 1
        row = {"number": number, "event_id": event_id, "what": what, "content": content, "previous": previous}
        previous = row["hash"] = entry_hash(number, event_id, what, content, previous)
        rows.append(row)
    session.execute(insert(ChainRow), rows)


@dataclass(frozen=True, slots=True)
class EventContent:
    """What the row of an event states.

    Args:
        identity: canonical JSON of what is final when it begins.
        outcome: canonical JSON of what is final when it has ended.
        files: canonical JSON of the names of its files.
        is_open: whether it is stated to go on.
        shows_files: whether the files that it names are shown, and deleted with it.
    """

    identity: str
    outcome: str
    files: str
    is_open: bool
    shows_files: bool


class Chain:
    """Reads the chain for verification.

    Args:
        database: the database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def snapshot(self) -> Iterator["ChainSnapshot"]:
        """A consistent snapshot of the chain, the events and the checks, whatever a server writes meanwhile."""
        with self._database.reading() as session:
            if session.get_bind().dialect.name == "postgresql":
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield ChainSnapshot(session)

    def events_after(self, number: int) -> set[str]:
        """Ids of the events that have entries after this number."""
        with self._database.reading() as session:
            return set(session.scalars(select(ChainRow.event_id).where(ChainRow.number > number)))

    def newest(self) -> tuple[int, str] | None:
        """Number and hash of the newest entry; None if there is none."""
        with self._database.reading() as session:
            return _newest(session)


class ChainSnapshot:
    """A consistent snapshot of the chain, the events and the checks.

    Args:
        session: session of the transaction.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def entries(self) -> Iterator[ChainEntry]:
        """Yields all entries in order, reading them in batches."""
        query = select(ChainRow).order_by(ChainRow.number).execution_options(yield_per=_AT_ONCE)
        for row in self._session.scalars(query):
            yield ChainEntry(row.number, row.event_id, row.what, row.content, row.previous, row.hash)

    def events(self) -> "dict[str, EventContent | None]":
        """The content of each existing event; None if it holds values that no event can have."""
        return self._contents(EventRow, _event_content)

    def checks(self) -> dict[str, str | None]:
        """For each existing check the correct content of its entry; None if it holds values that no check can have."""
        return self._contents(CheckRow, digest_of)

    def _contents(self, table: type[_Row], content: Callable[[_Row], _Content]) -> dict[str, _Content | None]:
        query = select(table).execution_options(yield_per=_AT_ONCE)
        try:
            return {row.id: content(row) for row in self._session.scalars(query)}
        except _UNREADABLE:
            keys = self._session.scalars(select(table.id)).all()
        return {key: self._content(query.where(table.id == key), content) for key in keys}

    def _content(self, query: Select[tuple[_Row]], content: Callable[[_Row], _Content]) -> _Content | None:
        try:
            return content(self._session.scalars(query).one())
        except _UNREADABLE:
            return None


def _event_content(row: EventRow) -> EventContent:
    return EventContent(
        identity=content_of(row, IDENTITY),
        outcome=content_of(row, (*IDENTITY, *OUTCOME)),
        files=content_of(row, FILES),
        is_open=row.ended_s is None and not row.interrupted,
        shows_files=row.evidence_problem is not None and row.evidence_bytes > 0,
    )


def _newest(session: Session) -> tuple[int, str] | None:
    found = session.execute(select(ChainRow.number, ChainRow.hash).order_by(ChainRow.number.desc()).limit(1))
    row = found.one_or_none()
    return None if row is None else (row.number, row.hash)
