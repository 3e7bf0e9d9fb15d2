"""Addresses of sources: which are permitted, what is passed to FFmpeg, and what may be shown and logged.

The password of an `Address` is in its `secret_url` and `location` only.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from stream_detect.errors import AddressError

NETWORK = ("rtsp", "rtsps", "rtmp", "http", "https")
LOCAL = ("file", "v4l2")
PUSHED = "whip"
LONGEST = 2000

HIDDEN = "***"
HARMLESS = frozenset({"channel", "subtype", "stream", "profile", "camera", "resolution", "fps", "transport", "unicast"})
"""Query parameters by which camera addresses differ; the values of all others are hidden."""
_PLAIN = re.compile(r"(?=.{0,16}$)(?:[A-Za-z]*[-_. ]?\d{0,4}(?:\.[a-z]{2,4})?|\d{2,4}x\d{2,4})")
"""Their values that are shown: a word, a short number or both, and sizes ("main", "101", "stream1", "0.sdp",
"1920x1080"). Anything else may be a key."""
_NAME = re.compile(r"[A-Za-z_.-]{1,24}")
"""Name of a query parameter; anything else, such as a token without a name, is hidden too."""

_CREDENTIALS = re.compile(r"(?<=://)([^\s'\"<>@:/]*)(:?)([^\s'\"<>]*)@")
_SECRETS = re.compile(r"(?i)((?:pas|pwd|psw|pw|token|key|auth|secret|sig|cred|sess)[a-z]{0,20}=)[^&\s'\"<>]+")
_QUERY = re.compile(r"(://[^\s'\"<>?]*\?)([^\s'\"<>]+)")
_NAMED = re.compile(r"(?i)(?<=/)(password|passwd|pass|pwd|pw|token|key|secret|auth|login)/[^/?#;\s'\"<>]+")
"""Path segments that follow one of these words."""
_SEGMENT = re.compile(r"(?<=/)[\w-]{12,}(?=[/?#;.\s'\"<>]|$)")
_HEX = re.compile(r"[0-9a-f-]{24,}|[0-9A-F-]{24,}")
_GROUPS = re.compile(r"(?=.*\d)[A-Za-z0-9]{4}(?:-[A-Za-z0-9]{4}){2,}")
_DIGITS = re.compile(r"\d+")
_WORDS = re.compile(r"[a-z]*\d{0,4}(?:[A-Z][a-z]{2,}|[A-Z]{2,}(?![A-Za-z]))*\d{0,4}[a-z]{0,3}|\d{3,4}p\d{0,2}")


@dataclass(frozen=True, slots=True)
class Address:
    """A permitted address.

    Args:
        scheme: "rtsp", "rtsps", "rtmp", "http", "https", "file", "v4l2" or "whip".
        shown: without password and without secrets of the query, for people and logs.
        secret_url: as given. Not for logs, errors or responses.
    """

    scheme: str
    shown: str
    secret_url: str = field(repr=False)

    @property
    def is_live(self) -> bool:
        """Whether the end of the source is a failure; a file may end."""
        return self.scheme != "file"

    @property
    def is_pushed(self) -> bool:
        """Whether a publisher sends the frames, so that there is nothing to open."""
        return self.scheme == PUSHED

    @property
    def location(self) -> str:
        """What FFmpeg opens: a path for local sources. As secret as `secret_url`."""
        return self.secret_url.partition(":")[2] if self.scheme in LOCAL else self.secret_url

    def __str__(self) -> str:
        return self.shown


def parse_address(url: str, *, from_settings_file: bool) -> Address:
    """Parses and checks an address.

    Args:
        url: rtsp(s), rtmp or http(s) with a host; "whip:"; "file:/path" or "v4l2:/dev/video0".
        from_settings_file: if False, files and devices are not permitted.

    Raises:
        AddressError: not permitted, or malformed; the message contains no secret.
    """
    scheme, colon, rest = url.strip().partition(":")
    scheme = scheme.lower()  # FFmpeg only knows lower case
    url = scheme + colon + rest
    if len(url) > LONGEST or not url.isprintable() or (" " in url and scheme not in LOCAL):
        raise AddressError(
            f"expected an address of at most {LONGEST} printable characters without spaces (write them as %20)"
        )
    if scheme == PUSHED:
        return _pushed(url)
    if scheme in LOCAL:
        return _local(url, scheme, permitted=from_settings_file)
    if scheme not in NETWORK:
        permitted = ", ".join(f"{name}://" for name in NETWORK)
        raise AddressError(f"expected an address that begins with {permitted} or is {PUSHED}:")
    return Address(scheme, _shown(url), url)


def redacted(text: str) -> str:
    """Hides the passwords and tokens of the addresses in a text; hides too much rather than too little."""
    text = _CREDENTIALS.sub(lambda match: f"{match[1]}:{HIDDEN}@" if match[2] and match[3] else f"{HIDDEN}@", text)
    text = _QUERY.sub(lambda match: match[1] + _shown_query(match[2]), text)
    return _without_tokens(text)


def _pushed(url: str) -> Address:
    if url.partition(":")[2]:
        raise AddressError(f"expected {PUSHED}: alone: publishers send to /whip/ and the camera's name")
    return Address(PUSHED, f"{PUSHED}:", f"{PUSHED}:")


def _local(url: str, scheme: str, *, permitted: bool) -> Address:
    if not permitted:
        raise AddressError(f"{scheme}: such addresses are accepted only in the settings file")
    path = url.partition(":")[2].removeprefix("//")
    if not path.startswith("/") or (scheme == "v4l2" and not path.startswith("/dev/")):
        example = "v4l2:/dev/video0" if scheme == "v4l2" else "file:/path/to/clip.mp4"
        raise AddressError(f"expected an absolute path, such as {example}")
    return Address(scheme, f"{scheme}:{path}", f"{scheme}:{path}")


def _shown(url: str) -> str:
    """A network address without secrets.

    Raises:
        AddressError: it has no host, an invalid port, or a password that is not escaped.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # its message contains the password if a "/" or "@" was not escaped
        host = port = None
    no_port = port is None and bool(host) and re.search(r":[^\]]*$", parts.netloc.rpartition("@")[2])
    if not host or no_port or _cut_by_password(parts):
        raise AddressError(
            "expected scheme://user:password@host:port/path; in a password, and an @ in a path, "
            "write : as %3A, / as %2F, ? as %3F, # as %23, @ as %40"
        )
    name = f"{parts.username}:{HIDDEN}@" if parts.password else (f"{HIDDEN}@" if "@" in parts.netloc else "")
    where = parts.netloc.rpartition("@")[2]
    query = _shown_query(parts.query)
    return _without_tokens(f"{parts.scheme}://{name}{where}{redacted(parts.path)}{'?' * bool(query)}{query}")


def _shown_query(query: str) -> str:
    """A query with harmless values kept and all others hidden."""
    shown = []
    for name, value in parse_qsl(query, keep_blank_values=True):
        harmless = name.lower() in HARMLESS and _PLAIN.fullmatch(value)
        shown.append((name if _NAME.fullmatch(name) else HIDDEN, value if harmless else HIDDEN))
    return urlencode(shown, safe="*")


def _without_tokens(text: str) -> str:
    without_named = _NAMED.sub(rf"\1/{HIDDEN}", _SECRETS.sub(rf"\1{HIDDEN}", text))
    return _SEGMENT.sub(lambda match: HIDDEN if _is_key(match[0]) else match[0], without_named)


def _is_key(segment: str) -> bool:
    """Whether a path segment looks like a random key: recorders and video services admit anyone who knows one.

    Such are long hexadecimal numbers, groups of four, twelve characters that change between letters and digits three
    times, and sixteen of all kinds. Names of cameras' streams are words and numbers: "h264Preview_01_main", "ch00_0".
    """
    if _HEX.fullmatch(segment) or _GROUPS.fullmatch(segment):
        return True
    parts = re.split("[-_]", segment)
    if any(len(part) >= 12 and _changes(part) >= 3 for part in parts):
        return True
    kinds = (str.isdigit, str.islower, str.isupper)
    if len(segment) < 16 or not all(any(map(kind, segment)) for kind in kinds):
        return False
    return not all(map(_WORDS.fullmatch, parts))


def _changes(part: str) -> int:
    """How often letters and digits take turns."""
    numbers = [match.span() for match in _DIGITS.finditer(part)]
    return sum((first > 0) + (end < len(part)) for first, end in numbers)


def _cut_by_password(parts: SplitResult) -> bool:
    """Whether the parsed host is part of a user name or password: an @ and the real host follow.

    In `rtsp://admin:8899?secret@camera/1` the ? ends the host part, and 8899 looks like a port.
    """
    rest = unicodedata.normalize("NFKC", f"{parts.path}?{parts.query}#{parts.fragment}")  # a full-width @ counts
    named = ":" in parts.netloc or "@" in parts.netloc
    return "@" in rest and (named or not parts.path)
