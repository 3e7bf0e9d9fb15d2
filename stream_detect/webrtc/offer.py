"""Offer: the SDP text of a client enters, a checked offer with the codec to answer in leaves.

aiortc raises late and of any kind (assertions, KeyError, StopIteration; some only in a task that nobody awaits), so
everything that it takes for granted is checked here first.
"""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Literal

from aiortc.codecs import CODECS
from aiortc.rtcpeerconnection import find_common_codecs
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.sdp import MediaDescription, SessionDescription

from stream_detect.errors import CodecError, NoVideoError, OfferError

MAX_CANDIDATES = 64
"""ICE candidates a section: each is probed by UDP from each of our addresses, so an offer must not name hundreds."""

MAX_SECTIONS = 8
"""Media sections: a check needs two; a browser with a microphone and a shared screen offers four."""

FINGERPRINTS = {"sha-256", "sha-384", "sha-512"}

_PARSE_FAILURES = (AssertionError, AttributeError, IndexError, KeyError, StopIteration, TypeError, ValueError)
"""What aiortc's parser was seen to raise on broken text."""


class Codec(StrEnum):
    """What the picture goes back in."""

    H264 = "video/H264"
    VP8 = "video/VP8"


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that can be answered.

    Args:
        sdp: as it came, without mDNS candidates.
        codec: what its first video is answered in.
    """

    sdp: str
    codec: Codec


Direction = Literal["sendrecv", "recvonly", "sendonly"]
"""What the peer does with its video: a check sends and receives it, a viewer receives, a publisher sends."""


def read_offer(text: str, *, h264: bool, direction: Direction = "sendrecv") -> Offer:
    """Checks an offer.

    Args:
        text: the session description.
        h264: whether H.264 may be answered at all; it is preferred to VP8 where offered.
        direction: what its first video must be.

    Raises:
        OfferError: it is malformed.
        NoVideoError: it has no video of that direction.
        CodecError: it has no codec that we have.
    """
    text = _without_mdns(text)
    if not text.startswith("v="):
        raise OfferError(f"expected a session description that begins with v=0, received {text[:20]!r}")
    try:
        description = SessionDescription.parse(text)
    except _PARSE_FAILURES as error:
        raise OfferError(
            f"expected a session description (RFC 8866), received one that cannot be read: {error!r}"
        ) from error
    _check_sections(description)
    video = next((media for media in description.media if media.kind == "video"), None)
    if video is None:
        raise NoVideoError(f"expected an offer with a {direction} video track, received one without video")
    if video.direction != direction:
        raise NoVideoError(
            f"expected the first video to be {direction}, received {video.direction}: "
            f"offer it with direction {direction}"
        )
    for media in description.media:
        if media.kind == "audio" and not find_common_codecs(CODECS["audio"], media.rtp.codecs):
            raise CodecError("expected Opus, G.722 or G.711 among the codecs of the audio, or an offer without audio")
    return Offer(text, _codec(video.rtp.codecs, h264=h264))


def _codec(offered: list[RTCRtpCodecParameters], *, h264: bool) -> Codec:
    common = {codec.mimeType.lower() for codec in find_common_codecs(CODECS["video"], offered)}
    if h264 and Codec.H264.lower() in common:
        return Codec.H264
    if Codec.VP8.lower() in common:
        return Codec.VP8
    expected = "H.264 (baseline, packetization-mode=1) or VP8" if h264 else "VP8"
    names = ", ".join(sorted({codec.name for codec in offered})) or "none"
    raise CodecError(f"expected {expected} among the codecs of the video, received {names}")


def _check_sections(description: SessionDescription) -> None:
    sections = description.media
    mids = [media.rtp.muxId for media in sections]
    if not 1 <= len(sections) <= MAX_SECTIONS:
        raise OfferError(f"expected 1 to {MAX_SECTIONS} media sections, received {len(sections)}")
    if len(set(mids)) != len(mids) or not all(mids):
        raise OfferError(f"expected every media section to have a mid of its own, received {mids}")
    if sum(media.kind == "application" for media in sections) > 1:
        raise OfferError("expected one data channel section at most, received several")
    for group in description.group:
        if group.semantic == "BUNDLE" and not set(group.items) <= set(mids):
            raise OfferError(f"expected a BUNDLE group of {mids}, received {group.items}")
    for media in sections:
        _check_section(media)


def _check_section(media: MediaDescription) -> None:
    name = f"the {media.kind} section {media.rtp.muxId}"
    if media.kind not in {"audio", "video", "application"}:
        raise OfferError(f"expected audio, video and application sections, received {media.kind}")
    if media.ice is None or not media.ice.usernameFragment or not media.ice.password:
        raise OfferError(f"expected a=ice-ufrag and a=ice-pwd in {name}")
    if media.dtls is None or not any(f.algorithm.lower() in FINGERPRINTS for f in media.dtls.fingerprints):
        raise OfferError(f"expected an a=fingerprint of {', '.join(sorted(FINGERPRINTS))} in {name}")
    if len(media.ice_candidates) > MAX_CANDIDATES:
        raise OfferError(
            f"expected {MAX_CANDIDATES} candidates at most in {name}, received {len(media.ice_candidates)}"
        )
    for candidate in media.ice_candidates:
        if not _is_address(candidate.ip):
            raise OfferError(f"expected the IP address of a candidate in {name}, received {candidate.ip[:40]!r}")
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


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _without_mdns(text: str) -> str:
    """The offer less its .local candidates.

    A browser that was not allowed a camera (screen sharing) hides its addresses behind mDNS names. Looking them up
    takes seconds and multicast, and gains nothing: such a peer sends the first probe, which tells us where it is.
    """
    kept = [line for line in text.splitlines() if not (line.startswith("a=candidate:") and ".local " in line)]
    return "\r\n".join(kept) + "\r\n"
