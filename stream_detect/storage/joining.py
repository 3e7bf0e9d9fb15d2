"""How rows of scores become one row, as statements: several in a SELECT, one more in an INSERT.

Least of the low, greatest of the high, mean weighted by the samples that had a score, worst state, sum of the samples.
"""

from typing import Any

from sqlalchemy import BigInteger, FromClause, Integer, Select, Table, case, func, cast as sql_cast, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite

MINUTE_S = 60
_MINUTE = literal_column(str(MINUTE_S), Integer())  # not a parameter: PostgreSQL must see that it is the same twice


def by_minute(seconds: FromClause) -> Select[Any]:
    """One row a camera and minute, in the columns of `seconds`, of any rows with these columns."""
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
    """An INSERT that joins a row with the one that is there.

    Args:
        table: of scores.
        dialect: "sqlite" or "postgresql".
        rows: what to insert, in the table's columns, each camera and time once; None: the parameters of the execution.
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
