"""Rewrites the text of an offer so that aiortc's parser accepts what the standards allow.

It removes what is not used here: candidates that are host names or malformed, parameters of formats that the offer does
not define, and attributes of streams without a value.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address

from aiortc.sdp import candidate_from_sdp

STATIC_FORMATS = {"0": "PCMU/8000", "8": "PCMA/8000", "9": "G722/8000"}
"""Payload types that need no a=rtpmap (RFC 3551, table 4)."""

_DIRECTION = re.compile(r"a=(sendrecv|sendonly|recvonly|inactive)\s*$")
_TRANSPORT = ("a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=setup:")


def readable(text: str) -> str:
    """The offer as aiortc's parser reads it; lines end with CR and LF.

    A bundled section without a transport of its own (a=bundle-only, RFC 9143) gets that of the first one; a section
    without a direction gets the session's, or sendrecv (RFC 8866, 6.7).
    """
    session, *sections = _sections(text.lstrip("\ufeff \t\r\n").splitlines())
    transport = _transport(session) or next(filter(None, map(_transport, sections)), [])
    direction = next((line for line in session if _DIRECTION.match(line)), "a=sendrecv")
    written = [[line for line in session if _is_read(line, session)]]
    for section in sections:
        lines = [line for line in section if _is_read(line, section)]
        if "a=bundle-only" in lines and not _transport([*session, *lines]):
            lines += transport
        if lines[0].startswith(("m=audio", "m=video")):
            lines += [] if any(map(_DIRECTION.match, lines)) else [direction]
            lines += _static_formats(lines)
        written.append([_shorter(line) for line in lines])
    return "".join(f"{line}\r\n" for lines in written for line in lines)


def _sections(lines: Iterable[str]) -> list[list[str]]:
    """The session's lines, then those of each media section, without empty ones."""
    sections: list[list[str]] = [[]]
    for line in filter(str.strip, lines):
        if line.startswith("m="):
            sections.append([])
        sections[-1].append(line)
    return sections


def _transport(lines: Iterable[str]) -> list[str]:
    """Attributes of ICE and DTLS; empty unless both are there."""
    found = [line for line in lines if line.startswith(_TRANSPORT)]
    return found if any(line.startswith("a=ice-ufrag:") for line in found) else []


def _is_read(line: str, section: Iterable[str]) -> bool:
    name, _, value = line.partition(":")
    if name == "a=candidate":
        return _is_usable(value)
    if name == "a=fmtp":
        return any(other.startswith(f"a=rtpmap:{value.split()[0]} ") for other in section) if value.split() else False
    if name == "a=ssrc":
        return re.match(r"\d+ [^:]+:", value) is not None
    if name == "a=ssrc-group":
        return re.fullmatch(r"\S+( \d+)+\s*", value) is not None
    return True


def _is_usable(candidate: str) -> bool:
    """Whether it is a candidate with an IP address.

    A browser hides its addresses behind names that end with .local. Looking names up takes seconds and gains nothing:
    such a peer sends the first check, from which its address is learned.
    """
    try:
        ip_address(candidate_from_sdp(candidate).ip)
    except (AssertionError, ValueError, IndexError):
        return False
    return True


def _static_formats(section: list[str]) -> list[str]:
    defined = {line.removeprefix("a=rtpmap:").split(" ")[0] for line in section if line.startswith("a=rtpmap:")}
    formats = section[0].split()[3:] if section[0].startswith("m=audio") else []
    return [f"a=rtpmap:{n} {STATIC_FORMATS[n]}" for n in formats if n in STATIC_FORMATS and n not in defined]


def _shorter(line: str) -> str:
    """A header extension without the attributes that may follow its URI (RFC 8285, 8)."""
    return " ".join(line.split()[:2]) if line.startswith("a=extmap:") else line
