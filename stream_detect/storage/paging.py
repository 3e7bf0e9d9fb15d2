"""Pages of a table, the newest entries first: their cursors, and the query that reads one page."""

import base64
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from stream_detect.errors import RequestError
from stream_detect.storage.database import Database
from stream_detect.storage.records import Item, Page

MAX_LIMIT: Final = 500
"""Maximum number of entries per page."""

_MAX_CURSOR_CHARS = 200
_FORM = re.compile(r"([-+.0-9e]{1,32}) ([0-9A-Za-z_-]{1,64})", re.ASCII)

Row = TypeVar("Row")


def read_page(  # noqa: PLR0913 - a page has so many parts
    database: Database,
    query: Select[tuple[Row]],
    order: tuple[InstrumentedAttribute[float], InstrumentedAttribute[str]],
    value: Callable[[Row], Item],
    *,
    cursor: str | None,
    limit: int,
) -> Page[Item]:
    """Returns the newest entries of a query, or those after a cursor.

    Args:
        database: the database.
        query: selects all entries, unordered.
        order: columns of their time and id.
        value: converts a row.
        cursor: `next` of the previous page; None for the first.
        limit: 1 to 500.

    Raises:
        RequestError: cursor or limit is invalid.
    """
    check_limit(limit)
    if cursor is not None:
        query = query.where(tuple_(*order) < from_cursor(cursor))
    query = query.order_by(*(column.desc() for column in order)).limit(limit + 1)
    at, key = (column.key for column in order)
    with database.reading() as session:
        rows: list[Any] = list(session.scalars(query))
        items = tuple(value(row) for row in rows[:limit])
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(items, None if last is None else to_cursor(getattr(last, at), getattr(last, key)))


def check_limit(limit: int) -> None:
    """Checks the length of a page.

    Raises:
        RequestError: it is not between 1 and `MAX_LIMIT`.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise RequestError(f"expected a limit of 1 to {MAX_LIMIT}, received {limit}")


def to_cursor(at_s: float, key: str) -> str:
    """A cursor after the entry with this time and id."""
    return base64.urlsafe_b64encode(f"{at_s!r} {key}".encode()).decode().rstrip("=")


def from_cursor(cursor: str) -> tuple[float, str]:
    """Time and id of the last entry of a page.

    Raises:
        RequestError: the cursor is invalid.
    """
    if len(cursor) <= _MAX_CURSOR_CHARS:
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            form = _FORM.fullmatch(base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii"))
            if form is not None:
                return float(form[1]), form[2]
        except ValueError:  # from base64, ASCII or the number
            pass
    raise RequestError("expected the `next` of an earlier page as cursor, received something else")
