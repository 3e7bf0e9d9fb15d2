"""The audit log in the database: a hash chain of entries, like that of events.

Old entries are deleted from the beginning. An entry about the deletion has the number and hash of the last deleted
entry, so that the start of the remaining chain can be verified.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal, cast

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.orm import Session

from stream_detect.storage.chain import FIRST
from stream_detect.storage.database import Database
from stream_detect.storage.paging import check_limit
from stream_detect.storage.tables import AuditRow

Outcome = Literal["ok", "refused", "failed"]

EXPIRED: Final = "audit.expire"
_LENGTHS: Final = {"who": 64, "by": 16, "address": 64, "action": 32, "target": 128, "detail": 1000}
_ONE_AT_A_TIME: Final = 0x53_44_41_55  # "SDAU": PostgreSQL's advisory lock for appending
_AT_ONCE: Final = 1000
_AHEAD_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An action, or an attempt at one.

    Args:
        at_s: time in unix seconds.
        action: such as "camera.delete".
        result: outcome.
        who: name of the user; empty if unknown.
        by: how the user was recognised: `Principal.by`, "signal", "settings" or "sso".
        address: of the client.
        target: name or id of the object.
        detail: description; never contains a secret.
    """

    at_s: float
    action: str
    result: Outcome = "ok"
    who: str = ""
    by: str = ""
    address: str = ""
    target: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class WrittenEntry(AuditEntry):
    """An entry with its position in the hash chain.

    Args:
        number: consecutive, from 1.
        previous: hash of the previous entry, 64 hexadecimal digits.
        hash: SHA-256 over all other fields.
    """

    number: int = 0
    previous: str = FIRST
    hash: str = ""

    @property
    def expected_hash(self) -> str:
        """The correct value of `hash`."""
        values = asdict(self)
        del values["hash"]
        # SQLite stores any type in any column; what JSON cannot hold never matches.
        parts = json.dumps(values, sort_keys=True, separators=(",", ":"), default=repr)
        return hashlib.sha256(parts.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Selects entries.

    Args:
        who: only those of this user.
        action: only this action, or all with this prefix if it ends with a dot.
        result: only those with this result.
    """

    who: str | None = None
    action: str | None = None
    result: Outcome | None = None


class AuditTable:
    """The table of the audit log.

    Args:
        database: the database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, entries: Sequence[AuditEntry]) -> None:
        """Appends entries in one transaction."""
        with self._database.writing() as session:
            _append(session, entries)

    def page(self, wanted: AuditFilter, before: int | None = None, limit: int = 100) -> list[WrittenEntry]:
        """Returns a page of entries, newest first.

        Args:
            wanted: which entries.
            before: number of the last entry of the previous page; None for the first page.
            limit: 1 to 500.

        Raises:
            RequestError: the limit is invalid.
        """
        check_limit(limit)
        query = select(AuditRow)
        if wanted.who is not None:
            query = query.where(AuditRow.who == wanted.who)
        if wanted.action is not None and wanted.action.endswith("."):
            query = query.where(AuditRow.action.startswith(wanted.action, autoescape=True))
        elif wanted.action is not None:
            query = query.where(AuditRow.action == wanted.action)
        if wanted.result is not None:
            query = query.where(AuditRow.result == wanted.result)
        if before is not None:
            query = query.where(AuditRow.number < before)
        with self._database.reading() as session:
            return [_value(row) for row in session.scalars(query.order_by(AuditRow.number.desc()).limit(limit))]

    def expire(self, before_s: float, now_s: float) -> int:
        """Deletes the oldest entries, up to the first one that is not older than `before_s`, and records the deletion.

        Does nothing after the clock jumped, see `Database.may_delete`.

        Returns:
            Number of deleted entries.
        """
        if not self._database.may_delete():
            return 0
        with self._database.writing() as session:
            newest_old = session.scalar(select(func.max(AuditRow.number)).where(AuditRow.at_s < before_s)) or 0
            # One with a time to come, before one that is old, is as old: the clock was ahead when it was written.
            is_old = (AuditRow.at_s > now_s + _AHEAD_S) & (AuditRow.number < newest_old)
            kept = select(func.min(AuditRow.number)).where(AuditRow.at_s >= before_s, ~is_old)
            oldest_kept = session.scalar(kept)
            gone = select(AuditRow.number, AuditRow.hash).order_by(AuditRow.number.desc()).limit(1)
            if oldest_kept is not None:
                gone = gone.where(AuditRow.number < oldest_kept)
            last = session.execute(gone).one_or_none()
            if last is None:
                return 0
            detail = json.dumps({"number": last.number, "hash": last.hash}, separators=(",", ":"))
            _append(session, [AuditEntry(now_s, EXPIRED, detail=detail)])
            found = select(AuditRow.number).where(AuditRow.number <= last.number)
            count = int(session.scalar(select(func.count()).select_from(found.subquery())) or 0)
            session.execute(delete(AuditRow).where(AuditRow.number <= last.number))
            return count

    def entries(self) -> Iterator[WrittenEntry]:
        """Yields all entries in order, as they are when the first is read, whatever a server adds or deletes."""
        query = select(AuditRow).order_by(AuditRow.number).execution_options(yield_per=_AT_ONCE)
        with self._database.reading() as session:
            if session.get_bind().dialect.name == "postgresql":
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            for row in session.scalars(query):
                yield _value(row)


def _append(session: Session, entries: Sequence[AuditEntry]) -> None:
    if not entries:
        return
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ONE_AT_A_TIME})
    newest = session.execute(select(AuditRow.number, AuditRow.hash).order_by(AuditRow.number.desc()).limit(1))
    last = newest.one_or_none()
    number, previous = (0, FIRST) if last is None else (last.number, last.hash)
    rows = []
    for entry in entries:
        number += 1
        written = WrittenEntry(**_storable(entry), number=number, previous=previous)
        written = replace(written, hash=written.expected_hash)
        previous = written.hash
        rows.append(asdict(written))
    session.execute(insert(AuditRow), rows)


def _storable(entry: AuditEntry) -> dict[str, Any]:
    """Truncated to the lengths of the columns, and without characters that databases reject."""
    values = asdict(entry) | {"at_s": float(entry.at_s)}
    for name, length in _LENGTHS.items():
        words = str(values[name])[:length]
        values[name] = words.encode("ascii", "backslashreplace").decode().replace("\0", "\\0")[:length]
    return values


def _value(row: AuditRow) -> WrittenEntry:
    return WrittenEntry(
        at_s=float(row.at_s) if isinstance(row.at_s, int) else row.at_s,
        action=row.action,
        result=cast("Outcome", row.result),
        who=row.who,
        by=row.by,
        address=row.address,
        target=row.target,
        detail=row.detail,
        number=row.number,
        previous=row.previous,
        hash=row.hash,
    )
