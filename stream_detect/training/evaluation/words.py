"""Figures as people read them: numbers enter, short text leaves. What is not known is a dash."""

from stream_detect.training.evaluation.figures import Estimate

NOT_KNOWN = "-"


def number(known: float | None) -> str:
    """Three digits."""
    return NOT_KNOWN if known is None else f"{known:.3f}"


def value(estimated: Estimate | None) -> str:
    """A figure without its interval."""
    return number(estimated.value if estimated else None)


def percent(estimated: Estimate | None) -> str:
    """A share without its interval, in per cent."""
    return NOT_KNOWN if estimated is None else f"{estimated.value:.1%}"


def points(change: float | None, digits: int | None = None) -> str:
    """A change with its sign: of a number with so many digits, or in points of a hundred."""
    if change is None:
        return NOT_KNOWN
    return f"{100 * change:+.1f} pp" if digits is None else f"{change:+.{digits}f}"
