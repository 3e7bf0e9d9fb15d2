"""Asks an RTSP camera for its description, to learn where it redirects to and which logins it accepts.

FFmpeg reports neither. It also forgets the password at a redirection, and does not resolve a relative one.
"""

import re
import socket
import time
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit, urlunsplit

MAX_REDIRECTS = 3
MAX_HEADER_BYTES = 16 << 10
PORT = 554

_HEADER = re.compile(r"(?im)^(location|www-authenticate):[ \t]*(.+?)\s*$")
_ALGORITHM = re.compile(r'(?i)algorithm="?([\w-]+)')


@dataclass(frozen=True, slots=True)
class Description:
    """What a camera says to a client that does not log in.

    Args:
        url: final address, with the credentials; as secret as the one that was asked for.
        unsupported: login that it requires and that FFmpeg does not support, such as "SHA-256"; empty if there is none.
    """

    url: str
    unsupported: str = ""


def describe(url: str, timeout_s: float) -> Description:
    """Requests the description of a stream without logging in, and follows redirections.

    Credentials are kept for the same host only. Any failure ends the search: FFmpeg's own reason then applies.

    Args:
        url: rtsp address, with its credentials, which are not sent.
        timeout_s: time limit.
    """
    end_s = time.monotonic() + timeout_s
    for _ in range(MAX_REDIRECTS):
        try:
            status, headers = _asked(url, end_s)
            target = next((value for name, value in headers if name == "location"), "")
            moved = _redirected(url, target) if 300 <= status < 400 and target else None
        except (OSError, ValueError):
            return Description(url)
        if status == 401:
            return Description(url, _unsupported([value for name, value in headers if name == "www-authenticate"]))
        if moved is None:
            return Description(url)
        url = moved
    return Description(url)


def _asked(url: str, end_s: float) -> tuple[int, list[tuple[str, str]]]:
    """Status and headers of the answer to a DESCRIBE."""
    parts = urlsplit(url)
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    with socket.create_connection(
        (parts.hostname or "", parts.port or PORT), max(end_s - time.monotonic(), 0.1)
    ) as one:
        one.sendall(f"DESCRIBE {bare} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer and len(answer) < MAX_HEADER_BYTES:
            one.settimeout(max(end_s - time.monotonic(), 0.01))
            piece = one.recv(4096)
            if not piece:
                break
            answer += piece
    text = answer.partition(b"\r\n\r\n")[0].decode("latin-1")
    found = re.match(r"RTSP/\d\.\d (\d{3})", text)
    return int(found[1]) if found else 0, [(name.lower(), value) for name, value in _HEADER.findall(text)]


def _redirected(url: str, target: str) -> str | None:
    """The address that a redirection leads to; None if it is no RTSP address."""
    before = urlsplit(url)
    # urljoin resolves relative addresses of the schemes that it knows only.
    parts = urlsplit(urljoin(urlunsplit(before._replace(scheme="http")), target.strip()))
    scheme = before.scheme if "://" not in target else parts.scheme
    if scheme != "rtsp" or not parts.hostname:
        return None
    where = parts.netloc.rpartition("@")[2]
    credentials = before.netloc.rpartition("@")[0] if parts.hostname == before.hostname else ""
    return urlunsplit(parts._replace(scheme=scheme, netloc=f"{credentials}@{where}" if credentials else where))


def _unsupported(challenges: list[str]) -> str:
    """The login that all challenges require and FFmpeg does not support; empty if one is supported.

    FFmpeg uses the newest challenge of the best kind: Digest with SHA-256 after one with MD5 hides that.
    """
    digests = [_ALGORITHM.search(one) for one in challenges if one.lower().startswith("digest")]
    names = [found[1] if found else "MD5" for found in digests]
    if names and names[-1].upper() not in {"MD5", "MD5-SESS"}:
        return f"Digest with {names[-1]}"
    kinds = {one.split()[0] for one in challenges if one.split()}
    if kinds and not any(kind.lower() in {"basic", "digest"} for kind in kinds):
        return " or ".join(sorted(kinds))
    return ""
