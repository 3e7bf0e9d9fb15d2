"""Where a page ended, as a word that means nothing to whoever holds it."""

import base64
import re

from stream_detect.errors import RequestError

MAX_LENGTH = 200
_FORM = re.compile(r"([-+.0-9e]{1,32}) ([0-9A-Za-z_-]{1,64})", re.ASCII)


def to_cursor(at_s: float, key: str) -> str:
    """A cursor behind the entry of this time and id."""
    return base64.urlsafe_b64encode(f"{at_s!r} {key}".encode()).decode().rstrip("=")


def from_cursor(cursor: str) -> tuple[float, str]:
    """Time and id of the entry that the page ended with.

    Raises:
        RequestError: it is none of ours.
    """
    if len(cursor) <= MAX_LENGTH:
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            form = _FORM.fullmatch(base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii"))
            if form is not None:
                return float(form[1]), form[2]
        except ValueError:  # of base64, ASCII or the number
            pass
    raise RequestError("expected a cursor as `next` of an earlier page gave it, received another word")
