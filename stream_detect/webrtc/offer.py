"""Checks the SDP offer of a client, and converts it to one that aiortc can answer.

aiortc raises late and with any exception (AssertionError, KeyError, StopIteration; some only in a task that nobody
awaits), so everything that it assumes is checked here first.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Literal

from aiortc.codecs import CODECS
from aiortc.rtcpeerconnection import find_common_codecs
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.sdp import MediaDescription, SessionDescription, candidate_from_sdp

from stream_detect.errors import CodecError, NoVideoError, OfferError
from stream_detect.webrtc.declined import NOTHING, Declined, Sections, is_stopped, is_unknown, take_out

MAX_CANDIDATES = 64
"""Maximum number of ICE candidates in a section."""

KEPT_CANDIDATES = 16
"""Number of candidates of a section that are used, by priority: each is checked by UDP from each of our addresses."""

MAX_SECTIONS = 8
"""Maximum number of media sections: a check needs two; a browser with a microphone and a shared screen offers four."""

MAX_FORMATS = 128
"""Maximum number of formats (a=rtpmap) of a section, as many as RTP has payload types: aiortc compares each with every
parameter, so the thousands that fit into an offer would hold the event loop for a second."""

FINGERPRINTS = {"sha-256", "sha-384", "sha-512"}

_PARSE_FAILURES = (AssertionError, AttributeError, IndexError, KeyError, StopIteration, TypeError, ValueError)
"""What aiortc's parser raises on malformed text."""

_STATIC_FORMATS = {"0": "PCMU/8000", "8": "PCMA/8000", "9": "G722/8000"}
"""Payload types that need no a=rtpmap (RFC 3551, table 4)."""

_DIRECTION = re.compile(r"a=(sendrecv|sendonly|recvonly|inactive)\s*$")
_TRANSPORT = ("a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=setup:")


BASELINE = "42e01f"
"""The H.264 profile that aiortc negotiates: constrained baseline, which all decoders support."""


class Codec(StrEnum):
    """Codecs that the server sends and receives."""

    H264 = "video/H264"
    VP8 = "video/VP8"


@dataclass(frozen=True, slots=True)
class H264Format:
    """An H.264 format of an offer, presented to aiortc as constrained baseline in non-interleaved mode.

    Args:
        payload_type: its number in the offer.
        profile_level_id: as offered, "" for none.
        packetization_mode: as offered, "" for none.
    """

    payload_type: str
    profile_level_id: str
    packetization_mode: str


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that can be answered.

    Args:
        sdp: in the form for aiortc: with the candidates that are used, and without the end of their list.
        codec: codec of the answer to its first video.
        h264: the format whose profile aiortc does not know; None if it knows one of the offer.
        declined: what is not in `sdp`, since aiortc cannot answer it.
    """

    sdp: str
    codec: Codec
    h264: H264Format | None = None
    declined: Declined = NOTHING

    def answered_as_offered(self, answer: str) -> str:
        """The answer of aiortc, with the declined sections, and the H.264 profile of the offer (RFC 6184, 8.2.2)."""
        return self.declined.answered(answer if self.h264 is None else _with_format(answer, self.h264))


Direction = Literal["sendrecv", "recvonly", "sendonly"]
"""Direction of the peer's video: in a check it sends and receives, a viewer receives, a publisher sends."""


def read_offer(text: str, *, h264: bool, direction: Direction = "sendrecv") -> Offer:
    """Checks an offer.

    Args:
        text: the session description.
        h264: whether H.264 is enabled; if offered, it is preferred to VP8.
        direction: required direction of its first video; a publisher's may also be sendrecv, which GStreamer's
            webrtcbin offers by default, and is answered recvonly.

    Raises:
        OfferError: the offer is malformed.
        NoVideoError: it contains no video of that direction.
        CodecError: it contains no supported codec.
    """
    text = _readable(text)
    if not text.startswith("v="):
        raise OfferError(f"expected a session description that begins with v=0, received {text[:20]!r}")
    kept, declined = _without_declined(Sections.of(text), h264=h264)
    text = str(kept)
    description = _parsed(text)
    video = next((media for media in description.media if media.kind == "video"), None)
    if video is not None or not declined.sections:
        _check_sections(description)
    if video is None:
        raise NoVideoError(f"expected an offer with a {direction} video track, received one without video")
    if video.direction not in ({direction, "sendrecv"} if direction == "sendonly" else {direction}):
        raise NoVideoError(
            f"expected the first video to be {direction}, received {video.direction}: "
            f"offer it with direction {direction}"
        )
    text = _with_usable_candidates(text)
    try:
        return Offer(text, _codec(video.rtp.codecs, h264=h264), declined=declined)
    except CodecError:
        other = _other_h264(text, sends=direction != "sendonly") if h264 else None
        if other is None:
            raise
        text = _with_format(text, H264Format(other.payload_type, BASELINE, "1"))
        return Offer(text, Codec.H264, other, declined)


def _without_declined(offer: Sections, *, h264: bool) -> tuple[Sections, Declined]:
    """The offer without what cannot be answered beside the video: stopped sections, other kinds, unknown codecs."""
    declined = {place for place, lines in enumerate(offer.media) if is_stopped(lines) or is_unknown(lines)}
    kept = take_out(offer, declined)
    places = [place for place in range(len(offer.media)) if place not in declined]
    first, usable, unusable = True, False, set()
    for place, media in zip(places, _parsed(str(kept[0])).media, strict=False):
        if media.kind not in CODECS:
            continue
        common = bool(find_common_codecs(CODECS[media.kind], media.rtp.codecs))
        if media.kind == "video":
            common |= first and h264 and any(codec.name.lower() == "h264" for codec in media.rtp.codecs)
            first, usable = False, usable or common
        if not common:
            unusable.add(place)
    if not usable:  # then the reason is the codec of the video
        unusable = {place for place in unusable if not offer.media[place][0].startswith("m=video")}
    return take_out(offer, declined | unusable) if unusable else kept


def _parsed(text: str) -> SessionDescription:
    try:
        return SessionDescription.parse(text)
    except _PARSE_FAILURES as error:
        raise OfferError(
            f"expected a session description (RFC 8866), received one that cannot be parsed: {error!r}"
        ) from error


def _codec(offered: list[RTCRtpCodecParameters], *, h264: bool) -> Codec:
    common = {codec.mimeType.lower() for codec in find_common_codecs(CODECS["video"], offered)}
    if h264 and Codec.H264.lower() in common:
        return Codec.H264
    if Codec.VP8.lower() in common:
        return Codec.VP8
    expected = "H.264 (packetization-mode=1) or VP8" if h264 else "VP8"
    names = ", ".join(sorted({codec.name for codec in offered})) or "none"
    raise CodecError(f"expected {expected} among the codecs of the video, received {names}")


def _check_sections(description: SessionDescription) -> None:
    sections = description.media
    mids = [media.rtp.muxId for media in sections]
    _check_count(len(sections))
    if len(set(mids)) != len(mids) or not all(mids):
        raise OfferError(f"expected a different mid for every media section, received {mids}")
    if sum(media.kind == "application" for media in sections) > 1:
        raise OfferError("expected one data channel section at most, received several")
    for group in description.group:
        if group.semantic == "BUNDLE" and not set(group.items) <= set(mids):
            raise OfferError(f"expected a BUNDLE group of {mids}, received {group.items}")
    for media in sections:
        _check_section(media)


def _check_count(sections: int) -> None:
    if not 1 <= sections <= MAX_SECTIONS:
        raise OfferError(f"expected 1 to {MAX_SECTIONS} media sections, received {sections}")


def _check_section(media: MediaDescription) -> None:
    name = f"the {media.kind} section {media.rtp.muxId}"
    if media.kind not in {"audio", "video", "application"}:
        raise OfferError(f"expected audio, video and application sections, received {media.kind}")
    if media.ice is None or not media.ice.usernameFragment or not media.ice.password:
        raise OfferError(f"expected a=ice-ufrag and a=ice-pwd in {name}")
    if media.dtls is None or not any(f.algorithm.lower() in FINGERPRINTS for f in media.dtls.fingerprints):
        raise OfferError(f"expected a=setup and an a=fingerprint of {', '.join(sorted(FINGERPRINTS))} in {name}")
    if len(media.ice_candidates) > MAX_CANDIDATES:
        raise OfferError(
            f"expected {MAX_CANDIDATES} candidates at most in {name}, received {len(media.ice_candidates)}"
        )
    if media.kind == "application":
        _check_data(media, name)
        return
    if not media.rtcp_mux:
        raise OfferError(f"expected a=rtcp-mux in {name}")
    if media.direction is None:
        raise OfferError(f"expected a direction (a=sendrecv) in {name}")


def _check_data(media: MediaDescription, name: str) -> None:
    if media.profile == "DTLS/SCTP":  # older browsers
        if not str(media.fmt[0]).isdigit():
            raise OfferError(f"expected a port number in {name}, received {media.fmt[0]}")
    elif media.sctp_port is None:
        raise OfferError(f"expected a=sctp-port in {name}")


_CANDIDATE = re.compile(r"a=candidate:\S+ (\d+) (\S+) (\d+) (\S+) ", re.IGNORECASE)


def _with_usable_candidates(text: str) -> str:
    """The offer with the best UDP candidates of each section, without the end of their list.

    After the end of a list without usable candidates, aioice gathers none of its own; after the end of any other list,
    it gives up when those fail, even if the peer's checks arrive a moment later from another address.
    """
    sections: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.startswith("m="):
            sections.append([])
        if not line.startswith("a=end-of-candidates"):
            sections[-1].append(line)
    return _joined(line for section in sections for line in _with_best_candidates(section))


def _with_best_candidates(section: list[str]) -> list[str]:
    priorities = {}
    for number, line in enumerate(section):
        if found := _CANDIDATE.match(line):
            usable = found[1] == "1" and found[2].lower() == "udp"
            priorities[number] = int(found[3]) if usable else -1
    best = sorted((number for number, value in priorities.items() if value >= 0), key=lambda n: -priorities[n])
    kept = set(best[:KEPT_CANDIDATES])
    return [line for number, line in enumerate(section) if number not in priorities or number in kept]


def _other_h264(text: str, *, sends: bool) -> H264Format | None:
    """The first H.264 format of the first video, in any profile: FFmpeg decodes all, and all decode ours.

    Args:
        text: the offer.
        sends: whether we send too: our packets need packetization-mode 1.
    """
    lines = _video_lines(text)
    found = (re.match(r"a=rtpmap:(\d+) h264/90000\s*$", line, re.IGNORECASE) for line in lines)
    parameters = {match[1]: _parameters(lines, match[1]) for match in found if match}
    for mode in ("1",) if sends else ("1", "0", ""):
        for payload_type, values in parameters.items():
            if values.get("packetization-mode", "") == mode:
                return H264Format(payload_type, values.get("profile-level-id", ""), mode)
    return None


def _parameters(video_lines: Iterable[str], payload_type: str) -> dict[str, str]:
    for line in video_lines:
        if line.startswith(f"a=fmtp:{payload_type} "):
            pairs = (pair.partition("=") for pair in line.partition(" ")[2].split(";"))
            return {name.strip().lower(): value.strip() for name, _, value in pairs}
    return {}


def _with_format(text: str, wanted: H264Format) -> str:
    """A session description whose first video has that profile and mode for the payload type."""
    values = _parameters(_video_lines(text), wanted.payload_type)
    for name, value in (
        ("profile-level-id", wanted.profile_level_id),
        ("packetization-mode", wanted.packetization_mode),
    ):
        values.pop(name, None)
        if value:
            values[name] = value
    written = ";".join(f"{name}={value}" if value else name for name, value in values.items() if name)
    lines, in_video = [], 0
    for line in text.splitlines():
        in_video += line.startswith("m=") and (in_video > 0 or line.startswith("m=video"))
        if in_video == 1 and line.startswith(f"a=fmtp:{wanted.payload_type} "):
            continue
        lines.append(line)
        if in_video == 1 and line.startswith(f"a=rtpmap:{wanted.payload_type} ") and written:
            lines.append(f"a=fmtp:{wanted.payload_type} {written}")
    return _joined(lines)


def _video_lines(text: str) -> list[str]:
    """The lines of the first video section."""
    _, video, after = text.replace("\r\n", "\n").partition("\nm=video")
    return (video + after.partition("\nm=")[0]).split("\n")


def _joined(lines: Iterable[str]) -> str:
    return "\r\n".join(lines) + "\r\n"


def _readable(text: str) -> str:
    """The offer in a form that aiortc's parser accepts, and takes little time for; lines end with CR LF.

    Unused parts are removed: candidates with host names or malformed ones, parameters of formats that the offer does
    not define, and stream attributes without a value. A bundled section without its own transport (a=bundle-only, RFC
    9143) gets that of the first one; a section without a direction gets that of the session, or sendrecv (RFC 8866,
    6.7).

    Raises:
        OfferError: it has too many sections or formats.
    """
    parts = Sections.of(text.lstrip("\ufeff \t\r\n"))
    session, sections = parts.session, parts.media
    if sections:
        _check_count(len(sections))
    transport = _transport(session) or next(filter(None, map(_transport, sections)), [])
    direction = next((line for line in session if _DIRECTION.match(line)), "a=sendrecv")
    written = [_read_lines(session)]
    for section in sections:
        lines = _read_lines(section)
        if "a=bundle-only" in lines and not _transport([*session, *lines]):
            lines += transport
        if lines[0].startswith(("m=audio", "m=video")):
            lines += [] if any(map(_DIRECTION.match, lines)) else [direction]
            lines += _static_formats(lines)
        written.append([_shorter(line) for line in lines])
    return "".join(f"{line}\r\n" for lines in written for line in lines)


def _transport(lines: Iterable[str]) -> list[str]:
    """Attributes of ICE and DTLS; empty unless both exist."""
    found = [line for line in lines if line.startswith(_TRANSPORT)]
    return found if any(line.startswith("a=ice-ufrag:") for line in found) else []


def _read_lines(section: Sequence[str]) -> list[str]:
    """The lines of a section that are used."""
    formats = [line.removeprefix("a=rtpmap:").partition(" ")[0] for line in section if line.startswith("a=rtpmap:")]
    if len(formats) > MAX_FORMATS:
        raise OfferError(f"expected {MAX_FORMATS} formats at most in a section, received {len(formats)}")
    defined = frozenset(formats)
    return [line for line in section if _is_read(line, defined)]


def _is_read(line: str, formats: Collection[str]) -> bool:
    name, _, value = line.partition(":")
    if name == "a=candidate":
        return _is_usable(value)
    if name == "a=fmtp":
        return value.split()[0] in formats if value.split() else False
    if name == "a=ssrc":
        return re.match(r"\d+ [^:]+:", value) is not None
    if name == "a=ssrc-group":
        return re.fullmatch(r"\S+( \d+)+\s*", value) is not None
    return True


def _is_usable(candidate: str) -> bool:
    """Whether it is a candidate with an IP address and a port.

    A browser hides its addresses behind names that end with .local. Resolving them takes seconds and is useless: such a
    peer sends the first check, which reveals its address.
    """
    try:
        found = candidate_from_sdp(candidate)
        ip_address(found.ip)
    except (AssertionError, ValueError, IndexError):
        return False
    return 0 < found.port < 65536


def _static_formats(section: list[str]) -> list[str]:
    defined = {line.removeprefix("a=rtpmap:").split(" ")[0] for line in section if line.startswith("a=rtpmap:")}
    formats = section[0].split()[3:] if section[0].startswith("m=audio") else []
    return [f"a=rtpmap:{n} {_STATIC_FORMATS[n]}" for n in formats if n in _STATIC_FORMATS and n not in defined]


def _shorter(line: str) -> str:
    """A header extension without the attributes that may follow its URI (RFC 8285, 8)."""
    return " ".join(line.split()[:2]) if line.startswith("a=extmap:") else line
