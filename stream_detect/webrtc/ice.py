"""ICE servers: our settings enter, aiortc's configuration leaves."""

from collections.abc import Sequence

from aiortc import RTCConfiguration, RTCIceServer

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
