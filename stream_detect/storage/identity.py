"""Ids of what is remembered."""

import secrets


def new_id(at_s: float) -> str:
    """A new id, 32 hexadecimal digits that sort by time: UUID version 7 (RFC 9562, section 5.7)."""
    time_ms = int(at_s * 1000) & (1 << 48) - 1
    return f"{time_ms << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62):032x}"
