"""Settings of WebRTC peers, and of the video that is sent to them."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from stream_detect.settings.section import Secret, Section

_ICE_URL = re.compile(
    r"(?P<scheme>stun|turns?):(?P<host>\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(:(?P<port>\d{1,5}))?"
    r"(\?transport=(?P<transport>udp|tcp))?"
)
_PORTS = re.compile(r"(\d{1,5})-(\d{1,5})")


@dataclass(frozen=True, slots=True)
class IceAddress:
    """Address of a STUN or TURN server (RFC 7064, RFC 7065).

    Args:
        kind: "stun" or "turn".
        host: name or IP address, without brackets.
        port: 3478 by default, 5349 for TLS.
        transport: transport to a TURN server; STUN uses UDP.
        tls: whether TLS is used.
    """

    kind: Literal["stun", "turn"]
    host: str
    port: int
    transport: Literal["udp", "tcp"]
    tls: bool


def ice_address(url: str) -> IceAddress:
    """Parses the URL of a STUN or TURN server.

    Raises:
        ValueError: this server cannot use it.
    """
    found = _ICE_URL.fullmatch(url)
    scheme = found["scheme"] if found else ""
    tls = scheme == "turns"
    transport = (found["transport"] if found else None) or ("tcp" if tls else "udp")
    if found is None or (scheme == "stun" and found["transport"]) or (tls and transport == "udp"):
        raise ValueError(
            "expected stun:HOST[:PORT], turn:HOST[:PORT][?transport=udp or tcp] or turns:HOST[:PORT], "
            f"received {url[:80]!r}"
        )
    port = int(found["port"] or (5349 if tls else 3478))
    if not 0 < port < 65536:
        raise ValueError(f"expected a port from 1 to 65535 in {url!r}")
    return IceAddress(
        "stun" if scheme == "stun" else "turn",
        found["host"].strip("[]"),
        port,
        "tcp" if transport == "tcp" else "udp",
        tls,
    )


class IceServer(Section):
    """A STUN or TURN server, as in RTCIceServer."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: Secret | None = None

    @field_validator("urls")
    @classmethod
    def _usable(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            ice_address(url)  # its ValueError says what was expected
        return urls

    @property
    def relays(self) -> bool:
        """Whether it is a TURN server, which requires a username and a credential."""
        return any(ice_address(url).kind == "turn" for url in self.urls)


class WebRtcSettings(Section):
    """WebRTC peers: sessions, addresses, ports and limits."""

    max_sessions: Annotated[int, Field(ge=1, le=256)] = Field(
        default=4, description="live checks at once; four run at 30 fps on two cores (docs/performance.md)"
    )
    ice_servers: tuple[IceServer, ...] = Field(
        default=(), description="STUN and TURN servers, each with urls, username and credential; needed across NATs"
    )
    turn_secret: Secret | None = Field(
        default=None,
        description="secret shared with the TURN servers that have no credential here: coturn's static-auth-secret",
    )
    turn_credential_s: Annotated[float, Field(ge=600, le=604_800)] = Field(
        default=86_400.0,
        description="lifetime of a credential derived from turn_secret; a page may stay open for a day",
    )
    udp_ports: str | None = Field(
        default=None,
        description="UDP ports of media, such as 50000-50199, to open in a firewall or publish from a container; "
        "any free port if not set",
    )
    public_addresses: tuple[str, ...] = Field(
        default=(), description="addresses at which others reach this server, sent to peers instead of private ones"
    )
    interfaces: tuple[str, ...] = Field(
        default=(), description="network interfaces that media use, such as eth0; if empty: all but loopback"
    )
    connect_timeout_s: Annotated[float, Field(gt=0)] = Field(
        default=10.0,
        description="a peer that is not connected by then is closed; browsers take one second, two through a relay",
    )
    max_pixels: Annotated[int, Field(ge=320 * 240)] = Field(
        default=9_437_184,
        description="largest frame of a peer, width times height; a larger one ends the session before it is decoded. "
        "The default is the bound of H.264 level 5.1, enough for 4096x2304",
    )
    vanish_timeout_s: Annotated[float, Field(gt=0)] = Field(
        default=8.0, description="a peer that sends no frame and no ping for this long is gone"
    )
    min_uplink_bps: Annotated[int, Field(ge=50_000)] = Field(
        default=1_500_000,
        description="minimum bit rate requested from a peer; below it, 640x480 is too compressed to be judged",
    )

    @property
    def ports(self) -> range | None:
        """The ports of `udp_ports`; None for any."""
        if self.udp_ports is None:
            return None
        first, last = map(int, self.udp_ports.split("-"))
        return range(first, last + 1)

    @field_validator("udp_ports")
    @classmethod
    def _range(cls, ports: str | None) -> str | None:
        found = None if ports is None else _PORTS.fullmatch(ports.replace(" ", ""))
        if ports is not None and (found is None or not 1024 <= int(found[1]) <= int(found[2]) <= 65535):
            raise ValueError(
                f"expected the first and last port, from 1024 to 65535, such as 50000-50199, received {ports!r}"
            )
        return None if found is None else found[0]

    @field_validator("public_addresses")
    @classmethod
    def _addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ip_address(address)) for address in addresses)  # its ValueError says what was expected

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        for server in self.ice_servers:
            given = server.username is not None, server.credential is not None
            if server.relays and not all(given) and (any(given) or self.turn_secret is None):
                raise ValueError(
                    f"expected username and credential of {server.urls[0]}, or webrtc.turn_secret to derive them from"
                )
        if self.turn_secret is not None and not any(
            server.relays and server.username is None for server in self.ice_servers
        ):
            raise ValueError("expected a TURN server without username in webrtc.ice_servers, for webrtc.turn_secret")
        return self


class VideoSettings(Section):
    """The video that is sent to peers of live checks and to viewers."""

    h264: bool = Field(
        default=True,
        description="answer in H.264, encoded here, if the peer accepts it; otherwise VP8, encoded by aiortc",
    )
    min_bitrate_bps: Annotated[int, Field(ge=50_000)] = Field(
        default=200_000, description="minimum of the H.264 encoder, however narrow the peer's link is"
    )
    start_bitrate_bps: Annotated[int, Field(ge=50_000)] = Field(
        default=1_500_000, description="bit rate until the peer's first estimate of its link arrives"
    )
    max_bitrate_bps: Annotated[int, Field(ge=50_000)] = Field(
        default=4_000_000, description="maximum, however wide the link is; small frames get less"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.min_bitrate_bps <= self.start_bitrate_bps <= self.max_bitrate_bps:
            raise ValueError("expected min_bitrate_bps <= start_bitrate_bps <= max_bitrate_bps")
        return self
