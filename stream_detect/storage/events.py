"""Events in the database: add, change, end, list and delete them; an event and its deliveries are one transaction."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any, cast

from sqlalchemy import ColumnElement, case, delete, func, select, update
from sqlalchemy.orm import Session

from stream_detect.errors import NotFoundError
from stream_detect.storage import chain
from stream_detect.storage.database import Database
from stream_detect.storage.deliveries import put_all
from stream_detect.storage.paging import read_page
from stream_detect.storage.records import (
    Delivery,
    Event,
    EventFilter,
    EventKind,
    Evidence,
    Judge,
    Page,
)
from stream_detect.storage.tables import DeliveryRow, EventRow

CLIP_LOST = "no clip: the server was ended before it was cut"
EXPIRE_AT_ONCE = 500
"""Events per transaction, so that others can write in between."""


class Events:
    """The table of events.

    Args:
        database: the database.
        clock: wall clock, unix seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def may_expire(self) -> bool:
        """Whether old events may be deleted now; False after the clock jumped."""
        return self._database.may_delete()

    def begin(self, event: Event, deliveries: Sequence[Delivery] = ()) -> None:
        """Inserts an event and its deliveries in one transaction.

        Raises:
            ConflictError: the id exists already.
        """
        with self._database.writing() as session:
            row = _row(event, self._clock())
            session.add(row)
            put_all(session, deliveries)
            chain.append(session, [(event.id, "began", chain.content_of(row, chain.IDENTITY)), *_ended(row)])

    def update(
        self,
        event_id: str,
        *,
        peak: float | None = None,
        mean: float | None = None,
        gaps_s: Sequence[float] | None = None,
        evidence: Evidence | None = None,
    ) -> bool:
        """Updates the given values; None keeps a value (`Evidence()` means that nothing is kept any more).

        Returns:
            False if the event was deleted.
        """
        values: dict[str, Any] = {"peak": peak, "mean": mean, "gaps_s": None if gaps_s is None else list(gaps_s)}
        values = {name: value for name, value in values.items() if value is not None}
        if evidence is not None:
            values |= _evidence_columns(evidence)
        return self._change(event_id, values, (), evidence)

    def end(self, event: Event, deliveries: Sequence[Delivery] = ()) -> bool:
        """Records the end of an event and inserts its deliveries, in one transaction.

        Writes everything except identity, beginning and evidence, which `update` writes.

        Returns:
            False if the event was deleted; then there are no deliveries either.
        """
        values = {
            "ended_s": event.ended_s,
            "interrupted": event.interrupted,
            "reason": event.reason,
            "peak": event.peak,
            "mean": event.mean,
            "track": event.track,
            "gaps_s": list(event.gaps_s),
        }
        return self._change(event.id, values, deliveries)

    def _change(
        self,
        event_id: str,
        values: dict[str, Any],
        deliveries: Sequence[Delivery],
        evidence: Evidence | None = None,
    ) -> bool:
        with self._database.writing() as session:
            heard = update(EventRow).where(EventRow.id == event_id).values(updated_s=self._clock(), **values)
            row = session.scalars(heard.returning(EventRow)).first()
            if row is None:
                return False
            put_all(session, deliveries)
            if evidence is not None:
                chain.append(session, [(event_id, "evidence", _evidence_content(row, evidence))])
            if "ended_s" in values:
                chain.append(session, _ended(row))
            return True

    def get(self, event_id: str) -> Event:
        """Returns an event.

        Raises:
            NotFoundError: there is no such event.
        """
        with self._database.reading() as session:
            return _value(_found(session, event_id))

    def page(self, wanted: EventFilter, cursor: str | None = None, limit: int = 50) -> Page[Event]:
        """Returns a page of events, latest start first.

        Args:
            wanted: which events.
            cursor: `next` of the previous page; None for the first.
            limit: 1 to 500.

        Raises:
            RequestError: cursor or limit is invalid.
        """
        query = select(EventRow).where(*_conditions(wanted))
        return read_page(self._database, query, (EventRow.began_s, EventRow.id), _value, cursor=cursor, limit=limit)

    def interrupted(
        self, now_s: float, deliveries_for: Callable[[Event], Sequence[Delivery]] = lambda _event: ()
    ) -> list[Event]:
        """At a start: ends the events that an earlier process left open, at the time of their last update.

        Evidence that was waiting for its clip says that there will be none.

        Args:
            now_s: wall clock, unix seconds.
            deliveries_for: makes the deliveries of an event that ended, inserted in the same transaction.

        Returns:
            The events that it ended, oldest first.
        """
        heard = case((EventRow.updated_s > now_s, now_s), else_=EventRow.updated_s)  # the clock may have been set back
        ended = case((heard < EventRow.began_s, EventRow.began_s), else_=heard)
        closing = update(EventRow).where(EventRow.ended_s.is_(None)).values(ended_s=ended, interrupted=True)
        waited = EventRow.evidence_bytes > 0, EventRow.clip.is_(None), EventRow.evidence_problem == ""
        with self._database.writing() as session:
            session.execute(update(EventRow).where(*waited).values(evidence_problem=CLIP_LOST))
            rows = session.scalars(closing.returning(EventRow)).all()
            chain.append(session, [entry for row in rows for entry in _ended(row)])
            closed = sorted((_value(row) for row in rows), key=lambda event: (event.began_s, event.id))
            put_all(session, (delivery for event in closed for delivery in deliveries_for(event)))
        return closed

    def delete(self, event_id: str) -> Evidence | None:
        """Deletes an event and its deliveries.

        Returns:
            Evidence whose files must be deleted.

        Raises:
            NotFoundError: there is no such event.
        """
        with self._database.writing() as session:
            row = _found(session, event_id)
            _delete(session, [row.id])
            return _evidence(row)

    def expire(self, before_s: float) -> list[Evidence]:
        """Deletes events that ended before that time, in batches.

        Returns:
            Evidence whose files must be deleted.
        """
        gone: list[Evidence] = []
        old = select(EventRow).where(EventRow.began_s < before_s, EventRow.ended_s < before_s)
        old = old.order_by(EventRow.began_s, EventRow.id).limit(EXPIRE_AT_ONCE)
        while True:
            with self._database.writing() as session:
                rows = session.scalars(old).all()
                _delete(session, [row.id for row in rows])
                gone += [evidence for row in rows if (evidence := _evidence(row)) and evidence.bytes]
            if len(rows) < EXPIRE_AT_ONCE:
                return gone

    def chain_head(self) -> tuple[int, str] | None:
        """Number and hash of the newest chain entry; None if there is none."""
        return chain.Chain(self._database).newest()

    def evidence_bytes(self) -> int:
        """Total size of the evidence of all events."""
        query = select(func.coalesce(func.sum(EventRow.evidence_bytes), 0)).where(EventRow.evidence_bytes > 0)
        with self._database.reading() as session:
            return int(session.scalar(query) or 0)

    def with_evidence(self, limit: int = 100) -> list[Event]:
        """Events that have files, oldest first: from these, excess evidence is deleted."""
        query = select(EventRow).where(EventRow.evidence_bytes > 0).order_by(EventRow.began_s, EventRow.id)
        with self._database.reading() as session:
            return [_value(row) for row in session.scalars(query.limit(limit))]


def _conditions(wanted: EventFilter) -> Iterable[ColumnElement[bool]]:
    if wanted.camera is not None:
        yield EventRow.camera == wanted.camera
    if wanted.kind is not None:
        yield EventRow.kind == wanted.kind
    if wanted.from_s is not None:
        yield EventRow.began_s >= wanted.from_s
    if wanted.to_s is not None:
        yield EventRow.began_s < wanted.to_s
    if wanted.open is not None:
        yield EventRow.ended_s.is_(None) if wanted.open else EventRow.ended_s.is_not(None)


def _found(session: Session, event_id: str) -> EventRow:
    row = session.get(EventRow, event_id) if event_id.isascii() and "\0" not in event_id else None
    if row is None:
        raise NotFoundError("expected the id of an event, received an unknown id; it may have been deleted")
    return row


def _ended(row: EventRow) -> list[tuple[str, str, str]]:
    """The chain entry of an ended event; none for an ongoing one."""
    if row.ended_s is None:
        return []
    return [(row.id, "ended", chain.content_of(row, (*chain.IDENTITY, *chain.OUTCOME)))]


def _evidence_content(row: EventRow, evidence: Evidence) -> str:
    known = dict(evidence.sha256)
    names = [name for name in (row.picture, row.face, row.clip) if name is not None]
    return chain.content_of(row, chain.FILES, {"sha256": {name: known.get(name, "") for name in names}})


def _delete(session: Session, ids: Sequence[str]) -> None:
    """Deletes events; like `_change`, it locks their rows before the chain, so that none waits for the other."""
    session.execute(delete(EventRow).where(EventRow.id.in_(ids)), execution_options={"synchronize_session": False})
    session.execute(delete(DeliveryRow).where(DeliveryRow.event_id.in_(ids)))
    chain.append(session, [(event_id, "deleted", "{}") for event_id in ids])


def _evidence_columns(evidence: Evidence | None) -> dict[str, Any]:
    kept = evidence or Evidence()
    return {
        "picture": kept.picture,
        "face": kept.face,
        "clip": kept.clip,
        "evidence_bytes": kept.bytes,
        "evidence_problem": None if evidence is None else evidence.problem,
    }


def _evidence(row: EventRow) -> Evidence | None:
    if row.evidence_problem is None:
        return None
    return Evidence(row.picture, row.face, row.clip, row.evidence_bytes, row.evidence_problem)


def _row(event: Event, now_s: float) -> EventRow:
    return EventRow(
        id=event.id,
        camera=event.camera,
        kind=event.kind,
        began_s=event.began_s,
        ended_s=event.ended_s,
        updated_s=now_s,
        reason=event.reason,
        interrupted=event.interrupted,
        peak=event.peak,
        mean=event.mean,
        track=event.track,
        judge=None if event.judge is None else asdict(event.judge),
        gaps_s=list(event.gaps_s),
        **_evidence_columns(event.evidence),
    )


def _value(row: EventRow) -> Event:
    return Event(
        id=row.id,
        camera=row.camera,
        kind=cast("EventKind", row.kind),
        began_s=row.began_s,
        ended_s=row.ended_s,
        reason=row.reason,
        interrupted=row.interrupted,
        peak=row.peak,
        mean=row.mean,
        track=row.track,
        judge=None if row.judge is None else Judge(**row.judge),
        gaps_s=tuple(row.gaps_s),
        evidence=_evidence(row),
    )
