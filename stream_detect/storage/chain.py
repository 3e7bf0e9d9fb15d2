"""The hash chain of events and checks: each entry is hashed together with the one before, which reveals changes.

The row of an event changes while it is open, so its entries are the moments after which a part of it is final: its
start, its end, its evidence, its deletion. A check is written once: its entries are its end and its deletion. Whoever
can write to the database can also write a whole new chain: keep the newest hash elsewhere (`stream-detect
verify-evidence --head HASH`).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from stream_detect.storage.database import Database
from stream_detect.storage.tables import ChainRow, CheckRow, EventRow, Table

FIRST = "0" * 64
"""Previous hash in the first entry."""

_ONE_AT_A_TIME = 0x53_44_43_48  # "SDCH": PostgreSQL's advisory lock for appending
_AT_ONCE = 1000

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
    """SHA-256 of an entry, 64 hexadecimal digits."""
    parts = json.dumps([number, event_id, what, content, previous], separators=(",", ":"))
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

    def rows(self) -> dict[str, tuple[str, str, str]]:
        """For each existing event: identity, outcome and file names, as canonical JSON."""
        return {
            row.id: (
                content_of(row, IDENTITY),
                content_of(row, (*IDENTITY, *OUTCOME)),
                content_of(row, FILES),
            )
            for row in self._session.scalars(select(EventRow).execution_options(yield_per=_AT_ONCE))
        }

    def checks(self) -> dict[str, str]:
        """For each existing check: the correct content of its entry."""
        query = select(CheckRow).execution_options(yield_per=_AT_ONCE)
        return {row.id: digest_of(row) for row in self._session.scalars(query)}


def _newest(session: Session) -> tuple[int, str] | None:
    found = session.execute(select(ChainRow.number, ChainRow.hash).order_by(ChainRow.number.desc()).limit(1))
    row = found.one_or_none()
    return None if row is None else (row.number, row.hash)
