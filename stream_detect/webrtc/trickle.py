"""Reads the ICE candidates that a peer sends after its offer: "trickle ICE" (RFC 8840).

They are needed by a peer that offers before it has gathered candidates and can only be reached through the server's
relay: a TURN server admits only addresses to which something has been sent.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address

from aiortc import RTCIceCandidate
from aiortc.sdp import candidate_from_sdp

from stream_detect.errors import OfferError
from stream_detect.webrtc.offer import MAX_CANDIDATES

_ATTRIBUTE = re.compile(r"a=(ice-ufrag|ice-pwd|mid|candidate):\s*(\S.*)")
_PARSE_FAILURES = (AssertionError, IndexError, ValueError)


@dataclass(frozen=True, slots=True)
class IceFragment:
    """ICE content of a fragment of a session description.

    Args:
        credentials: username fragment and password of each ICE session that it names.
        candidates: usable candidates (UDP, with an IP address), each with the mid of its section.
    """

    credentials: frozenset[tuple[str, str]]
    candidates: tuple[RTCIceCandidate, ...]


def ice_credentials(description: str) -> frozenset[tuple[str, str]]:
    """Username fragments and passwords in a session description, or in a fragment of one."""
    found = [match.groups() for line in description.splitlines() if (match := _ATTRIBUTE.fullmatch(line.strip()))]
    names = [value for name, value in found if name == "ice-ufrag"]
    passwords = [value for name, value in found if name == "ice-pwd"]
    return frozenset(zip(names, passwords, strict=False))


def read_fragment(text: str) -> IceFragment:
    """Checks a fragment.

    Args:
        text: content of type application/trickle-ice-sdpfrag.

    Raises:
        OfferError: it is malformed, or contains no ICE session.
    """
    credentials = ice_credentials(text)
    if not credentials:
        raise OfferError("expected a=ice-ufrag and a=ice-pwd of the offer in the fragment, received none")
    mid, lines = "", []
    for line in text.splitlines():
        match = _ATTRIBUTE.fullmatch(line.strip())
        if match is not None and match[1] == "mid":
            mid = match[2].strip()
        elif match is not None and match[1] == "candidate":
            lines.append((mid, match[2]))
    if len(lines) > MAX_CANDIDATES:
        raise OfferError(f"expected {MAX_CANDIDATES} candidates at most, received {len(lines)}")
    return IceFragment(credentials, tuple(one for mid, line in lines if (one := _candidate(mid, line)) is not None))


def _candidate(mid: str, line: str) -> RTCIceCandidate | None:
    """A usable candidate; None for any other, which must be ignored silently (RFC 9725, 4.3.2).

    Ignored are TCP and RTCP candidates, and those with a name instead of an address (mDNS): no peer can make the server
    resolve names.
    """
    try:
        candidate = candidate_from_sdp(line)
    except _PARSE_FAILURES as error:
        raise OfferError(f"expected a candidate (RFC 8839), received {line[:60]!r}") from error
    if not mid:
        raise OfferError("expected a=mid before the candidates of a section")
    if candidate.component != 1 or candidate.protocol.lower() != "udp" or not _is_address(candidate.ip):
        return None
    if not 0 < candidate.port < 65536:
        raise OfferError(f"expected the port of a candidate, received {candidate.port}")
    candidate.sdpMid = mid
    return candidate


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
