"""The bounds stated in docs/security.md are those of the code."""

from pathlib import Path

import pytest

from stream_detect.access import audit, limits, passwords
from stream_detect.api import oidc
from stream_detect.api.middleware import audit as audit_middleware
from stream_detect.api.middleware import turns
from stream_detect.app import camera_list, connections, listeners, routes
from stream_detect.jobs import sandbox
from stream_detect.sources import opening
from stream_detect.storage import database, retention_clock, users
from stream_detect.webrtc import offer, video_receiver, whip
from stream_detect.webrtc.aiortc_private import connection, rtcp

SECURITY = (Path(__file__).parents[1] / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = {
    cells[0]: cells[1]
    for line in SECURITY.splitlines()
    if line.startswith("| ") and len(cells := [cell.strip() for cell in line.strip("| ").split(" | ")]) >= 2
}


@pytest.mark.parametrize(
    ("row", "stated"),
    [
        ("header of a request, TLS handshake", f"{connections.HEAD_S:g} s"),
        ("header of a request, TLS handshake", f"{connections.HANDSHAKE_S:g} s"),
        ("body of a request", f"{connections.BODY_BYTES // 1000} kB in {connections.BODY_EVERY_S:g} s"),
        ("answer that the client does not read", f"{connections.UNREAD_S:g} s"),
        ("connections", f"{connections.MAX_CONNECTIONS}, "),
        (
            "requests that are processed at once",
            f"{turns.AT_ONCE} of one client address (IPv6: the /64 network), for {turns.TURN_S:g} s each",
        ),
        ("streams of events", f"{listeners.MAX_LISTENERS} of cameras, {listeners.MAX_LISTENERS} of analyses"),
        (
            "changes of cameras that wait for each other",
            f"{camera_list.MAX_CHANGES}, for {camera_list.CHANGE_WITHIN_S:g} s",
        ),
        ("wrong tokens", f"{limits.GUESSES} at once"),
        (
            "wrong passwords of an address",
            f"{limits.OF_ADDRESS} at once, then one in {limits.OF_ADDRESS_EVERY_S:g} s",
        ),
        ("wrong passwords for a user", f"{limits.OF_USER} at once, then one in {limits.OF_USER_EVERY_S:g} s"),
        ("passwords that are hashed at the same time", f"{passwords.AT_ONCE}, others wait for {passwords.WAIT_S:g} s"),
        ("sign-ins that wait for the OpenID Connect provider", f"{oidc.AT_ONCE}"),
        ("users", f"{users.MAX_USERS:,}"),
        ("browsers that a user is signed in at", f"{users.MAX_SESSIONS_OF_USER}"),
        ("API tokens of a user", f"{users.MAX_TOKENS_OF_USER}"),
        ("entries of the audit log that wait for the database", f"{audit.MAX_WAITING:,}"),
        (
            "entries of one action in the audit log by all who are not signed in",
            f"{audit_middleware.STRANGERS} at once, then one in {audit_middleware.STRANGERS_EVERY_S:g} s",
        ),
        ("changes that wait for the database", f"for {database.BUSY_S:g} s"),
        ("deletion by age after a jump of the clock by 12 h", f"{retention_clock.HOLD_S / 3600:g} h"),
        ("body where a route says nothing else", f"{routes.MAX_BODY_BYTES >> 10} KiB"),
        ("streams of a camera's container or description", f"{opening.MAX_STREAMS}"),
        ("media sections of an offer", f"{offer.MAX_SECTIONS}"),
        ("formats of a section", f"{offer.MAX_FORMATS}"),
        ("candidates of a section", f"{offer.MAX_CANDIDATES}; the best {offer.KEPT_CANDIDATES}"),
        (
            "candidates after the offer (`PATCH`)",
            f"{offer.MAX_CANDIDATES} a request; the first {offer.KEPT_CANDIDATES}",
        ),
        ("publishers of one camera that are connecting", f"{whip.MAX_CONNECTING}"),
        ("checks (UDP) to addresses that have not been heard from", f"{connection.MAX_UNANSWERED_CHECKS} packets"),
        ("addresses that checks have come from", f"{connection.MAX_REMOTE_CANDIDATES}"),
        ("datagrams that wait", f"{connection.MAX_UNREAD_BYTES >> 20} MiB"),
        ("RTP streams (SSRC)", f"{connection.MAX_SSRCS}"),
        ("packets sent again for one peer (NACK)", f"{rtcp.RETRANSMITTED_HZ:g} at once, then as many a second"),
        (
            "encoded frames that wait",
            f"{video_receiver.MAX_ENCODED_BYTES >> 20} MiB, {video_receiver.MAX_ENCODED_FRAMES} frames",
        ),
        ("decoded frames that wait", f"{video_receiver.MAX_DECODED_FRAMES}, "),
        (
            "data: unfinished messages",
            f"{connection.MAX_DATA_PIECES:,} pieces, {connection.MAX_DATA_STREAMS} streams",
        ),
        ("memory while a container is opened", f"{sandbox.OPENING_BYTES >> 20} MiB"),
        ("open files", f"{sandbox.OPEN_FILES} "),
    ],
)
def test_a_bound_is_stated_as_it_is(row, stated):
    assert stated in ROWS[row]
