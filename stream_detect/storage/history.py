"""The history of cameras: scores by the second, later by the minute, and states; old rows are deleted.

Rows of one camera and second (or minute) are merged, in any order and by any writer (`joining`).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Row,
    Select,
    Table,
    case,
    delete,
    func,
    literal_column,
    select,
    union_all,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects import postgresql, sqlite

from stream_detect.errors import RequestError, StorageError
from stream_detect.storage.database import Database
from stream_detect.storage.records import Score, StateEntry
from stream_detect.storage.tables import MinuteRow, SecondRow, StateRow
from stream_detect.types import VerdictState

MINUTE_S = 60
_MINUTE = literal_column(str(MINUTE_S), Integer())  # no parameter: PostgreSQL must see that it is the same twice


def by_minute(seconds: FromClause) -> Select[Any]:
    """One row per camera and minute, in the columns of `seconds`, from any rows with these columns."""
    column = seconds.c
    minute = column.at_s - column.at_s % _MINUTE
    scored = func.sum(column.scored)
    return select(
        column.camera.label("camera"),
        minute.label("at_s"),
        func.min(column.low).label("low"),
        (func.sum(column.mean * column.scored) / func.nullif(scored, 0)).label("mean"),
        func.max(column.high).label("high"),
        func.max(column.state).label("state"),
        sql_cast(func.sum(column.samples), BigInteger).label("samples"),
        sql_cast(scored, BigInteger).label("scored"),
    ).group_by(column.camera, minute)


def joining_insert(table: Table, dialect: str, rows: Select[Any] | None = None) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that merges a row with an existing one.

    Args:
        table: table of scores.
        dialect: "sqlite" or "postgresql".
        rows: rows to insert, in the table's columns, each camera and time once; None for the parameters of the
            execution.
    """
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    if rows is not None:
        insert = insert.from_select([column.name for column in table.columns], rows)
    there, new = table.c, insert.excluded
    mean = (there.mean * there.scored + new.mean * new.scored) / (there.scored + new.scored)
    return insert.on_conflict_do_update(
        index_elements=["camera", "at_s"],
        set_={
            "low": case((there.low.is_(None), new.low), (new.low < there.low, new.low), else_=there.low),
            "mean": case((there.scored == 0, new.mean), (new.scored == 0, there.mean), else_=mean),
            "high": case((there.high.is_(None), new.high), (new.high > there.high, new.high), else_=there.high),
            "state": case((new.state > there.state, new.state), else_=there.state),
            "samples": there.samples + new.samples,
            "scored": there.scored + new.scored,
        },
    )


STATES = tuple(state.value for state in VerdictState)
"""Verdict states, worst last; rows store the index (`VerdictState.severity`), so the order must never change."""

DAY_S = 86_400
AT_ONCE_S = {SecondRow: 3_600, MinuteRow: 2_592_000}
"""Time span of a camera that one transaction of the roll-up processes: 3600 seconds, 43 200 minutes. Others write in
between."""

MAX_STATES = 10_000
LATEST_S = 2**53
"""Times beyond the whole seconds that a float can represent are invalid."""


class History:
    """Scores and states of all cameras."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_scores(self, scores: Sequence[Score]) -> None:
        """Writes a batch in one transaction, merged with existing scores of the same second.

        Raises:
            StorageError: a state is not in `STATES`.
        """
        rows = [_row(score) for score in sorted(scores, key=lambda score: (score.camera, score.at_s))]
        if rows:  # sorted, so that two batches never deadlock
            insert = joining_insert(_table(SecondRow), self._database.dialect)
            with self._database.writing() as session:
                session.connection().execute(insert, rows)  # not through the ORM, whose bulk insert cannot merge

    def add_states(self, entries: Sequence[StateEntry]) -> None:
        """Records states that cameras entered, in this order, in one transaction."""
        rows = [
            StateRow(camera=entry.camera, at_s=entry.at_s, state=entry.state, reason=entry.reason) for entry in entries
        ]
        with self._database.writing() as session:
            session.add_all(rows)

    def scores(self, camera: str, from_s: float, to_s: float, step_s: int) -> list[Score]:
        """A camera's scores that begin in [from_s, to_s), oldest first.

        Args:
            camera: name.
            from_s: start; with step_s 60, the whole minute that contains it counts.
            to_s: end, exclusive.
            step_s: 1 for those still stored per second; 60 for all, per minute.

        Raises:
            RequestError: step_s has another value.
        """
        if step_s not in (1, MINUTE_S):
            raise RequestError(f"expected a step of 1 or {MINUTE_S} seconds, received {step_s}")
        if to_s <= from_s:
            return []
        first, behind = math.ceil(_bounded(from_s)), math.ceil(_bounded(to_s))
        if step_s == MINUTE_S:
            first = _minute(math.floor(_bounded(from_s)))
            both = union_all(
                _rows(SecondRow, camera, first, _minute(behind + MINUTE_S - 1)), _rows(MinuteRow, camera, first, behind)
            )
            query = by_minute(both.subquery())
        else:
            query = _rows(SecondRow, camera, first, behind)
        with self._database.reading() as session:
            return [_score(row) for row in session.execute(query.order_by("at_s"))]

    def states(self, camera: str, from_s: float, to_s: float, limit: int = MAX_STATES) -> list[StateEntry]:
        """The state at from_s, and those entered until to_s, oldest first; the newest `limit` of them."""
        of_camera = select(StateRow).where(StateRow.camera == camera)
        newest = of_camera.order_by(StateRow.at_s.desc(), StateRow.id.desc())
        with self._database.reading() as session:
            inside = session.scalars(newest.where(StateRow.at_s > from_s, StateRow.at_s < to_s).limit(limit)).all()
            before = session.scalars(newest.where(StateRow.at_s <= from_s).limit(limit - len(inside) and 1)).all()
            return [StateEntry(row.camera, row.at_s, row.state, row.reason) for row in reversed([*inside, *before])]

    def roll_up(
        self, now_s: float, seconds_days: int, minutes_days: int, go_on: Callable[[], bool] = lambda: True
    ) -> None:
        """Converts old seconds to minutes, and deletes old minutes and states. Repeating it changes nothing.

        Args:
            now_s: wall clock.
            seconds_days: age at which whole minutes of seconds become minutes.
            minutes_days: age at which minutes and states are deleted, except for the state at that time.
            go_on: called between transactions (some 10 ms each); False leaves the rest for the next time.
        """
        self._fold(_minute(math.floor(now_s - seconds_days * DAY_S)), go_on)
        before = math.floor(now_s - minutes_days * DAY_S)
        for camera in self._cameras(MinuteRow):
            for part in self._parts(MinuteRow, camera, before, go_on):
                with self._database.writing() as session:
                    session.execute(delete(MinuteRow).where(*part))
        for camera in self._cameras(StateRow):
            if go_on():
                self._forget_states(camera, before)

    def _fold(self, before: int, go_on: Callable[[], bool]) -> None:
        minutes, seconds = _table(MinuteRow), _table(SecondRow)
        for camera in self._cameras(SecondRow):
            for part in self._parts(SecondRow, camera, before, go_on):
                rows = by_minute(select(seconds).where(*part).subquery())
                with self._database.writing() as session:
                    session.execute(joining_insert(minutes, self._database.dialect, rows))
                    session.execute(delete(SecondRow).where(*part))

    def _forget_states(self, camera: str, before: int) -> None:
        of_camera = StateRow.camera == camera
        with self._database.writing() as session:
            in_force = session.scalar(select(func.max(StateRow.at_s)).where(of_camera, StateRow.at_s <= before))
            session.execute(delete(StateRow).where(of_camera, StateRow.at_s < (in_force or 0.0)))

    def _cameras(self, table: type[SecondRow | MinuteRow | StateRow]) -> Iterator[str]:
        """Cameras that have rows, found by skipping through the index: DISTINCT would read all of it."""
        camera: str | None = ""
        while camera is not None:
            with self._database.reading() as session:
                camera = session.scalar(select(func.min(table.camera)).where(table.camera > camera))
            if camera is not None:
                yield camera

    def _parts(
        self, table: type[SecondRow | MinuteRow], camera: str, before: int, go_on: Callable[[], bool]
    ) -> Iterator[tuple[ColumnElement[bool], ...]]:
        """Conditions for a camera's older rows, oldest first, one per transaction.

        The caller deletes those rows; parts end at full minutes, or at `before`.
        """
        while go_on():
            with self._database.reading() as session:
                oldest = session.scalar(select(func.min(table.at_s)).where(table.camera == camera))
            if oldest is None or oldest >= before:
                return
            behind = min(_minute(oldest) + AT_ONCE_S[table], before)
            yield table.camera == camera, table.at_s < behind


def _table(row: type[SecondRow | MinuteRow]) -> Table:
    return cast("Table", row.__table__)


def _rows(row: type[SecondRow | MinuteRow], camera: str, first: int, behind: int) -> Select[Any]:
    table = _table(row)
    return select(table).where(table.c.camera == camera, table.c.at_s >= first, table.c.at_s < behind)


def _minute(at_s: int) -> int:
    return at_s - at_s % MINUTE_S


def _bounded(at_s: float) -> float:
    return min(max(at_s, 0.0), LATEST_S)


def _row(score: Score) -> dict[str, Any]:
    if score.state not in STATES:
        raise StorageError(f"expected a state of {', '.join(STATES)}, received {score.state!r}")
    return {
        "camera": score.camera,
        "at_s": score.at_s,
        "low": score.low,
        "mean": score.mean,
        "high": score.high,
        "state": STATES.index(score.state),
        "samples": score.samples,
        "scored": 0 if score.mean is None else score.samples if score.scored is None else score.scored,
    }


def _score(row: Row[Any]) -> Score:
    return Score(row.camera, row.at_s, row.low, row.mean, row.high, STATES[row.state], row.samples)
