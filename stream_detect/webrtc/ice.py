"""ICE: our settings enter, aiortc's configuration leaves; and the end of a connection whose ICE is under way."""

from collections.abc import Sequence
from typing import Any

from aiortc import RTCConfiguration, RTCIceServer, RTCIceTransport, RTCPeerConnection

from stream_detect.settings import IceServer


def configuration(servers: Sequence[IceServer]) -> RTCConfiguration:
    """Configuration of a peer connection.

    Without servers the list is empty, never None: None means a public STUN server to aiortc, and nothing of a check
    leaves for a third party unless the settings say so.
    """
    return RTCConfiguration(
        iceServers=[
            RTCIceServer(
                urls=list(server.urls),
                username=server.username,
                credential=None if server.credential is None else server.credential.get_secret_value(),
            )
            for server in servers
        ]
    )


async def close(connection: RTCPeerConnection) -> None:
    """Closes a connection and leaves no task of it behind.

    Closed at the moment when its checks succeed, aioice (0.13) still starts the task that asks the peer for its
    consent; with no pair left to ask about, that task would loop for ever. So the end of the checks is waited for (it
    comes at once), and the task is cancelled. Nothing public tells of either.
    """
    transports: set[Any] = _transports(connection)
    await connection.close()
    for transport in transports:
        checked = transport._RTCIceTransport__start  # noqa: SLF001
        if checked is not None:
            await checked.wait()
        consent = transport._connection._query_consent_task  # noqa: SLF001
        if consent is not None:
            consent.cancel()


def _transports(connection: RTCPeerConnection) -> set[RTCIceTransport]:
    ends = [transceiver.receiver.transport for transceiver in connection.getTransceivers()]
    if connection.sctp is not None:
        ends.append(connection.sctp.transport)
    return {end.transport for end in ends}
