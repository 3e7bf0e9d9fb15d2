"""A trial of a camera's address: its settings enter, whether a picture came leaves. Nothing is kept of it."""

import base64
import threading
from typing import Final

from fastapi import APIRouter

from stream_detect.api.offloop import off_loop
from stream_detect.api.pictures import jpeg
from stream_detect.api.roster import Roster
from stream_detect.api.schemas import CameraChange, ConnectionBody
from stream_detect.errors import CapacityError, SourceError
from stream_detect.settings import CameraSettings, MonitoringSettings
from stream_detect.sources.address import Address
from stream_detect.sources.opening import ReaderSettings
from stream_detect.sources.probe import probe

AT_ONCE: Final = 2
RETRY_AFTER_S: Final = 10
_PICTURE_PX: Final = 320


def router(roster: Roster, monitoring: MonitoringSettings) -> APIRouter:
    """The route of trials.

    Args:
        roster: knows the addresses of cameras that are here.
        monitoring: time-outs.
    """
    routes = APIRouter(prefix="/api/cameras", tags=["cameras"])
    trials = _Trials(monitoring)

    @routes.post(
        "/test-connection",
        responses={
            404: {"description": "no such camera"},
            422: {"description": "the address is not usable"},
            503: {"description": "two trials run already"},
        },
    )
    async def test_connection(body: CameraChange) -> ConnectionBody:
        """Opens an address, waits for one picture and closes it; by `name` alone the address of a camera."""
        return await trials.run(*roster.to_try(body))

    return routes


class _Trials:
    """Runs few at once."""

    def __init__(self, monitoring: MonitoringSettings) -> None:
        self._monitoring = monitoring
        self._places = threading.BoundedSemaphore(AT_ONCE)

    async def run(self, settings: CameraSettings, address: Address) -> ConnectionBody:
        if address.is_pushed:
            return ConnectionBody(ok=True, detail="there is nothing to connect to: a publisher sends to this server")
        if not self._places.acquire(blocking=False):
            raise CapacityError(f"{AT_ONCE} addresses are being tried already; try again in a moment", RETRY_AFTER_S)
        # Given back by the trial itself: a client that goes away does not make room while it still runs.
        return await off_loop(lambda: self._tried(settings, address), "try-camera")

    def _tried(self, settings: CameraSettings, address: Address) -> ConnectionBody:
        try:
            found = probe(
                address,
                ReaderSettings(
                    transport=settings.transport,
                    loop=False,
                    open_timeout_s=self._monitoring.open_timeout_s,
                    read_timeout_s=self._monitoring.read_timeout_s,
                ),
            )
        except SourceError as error:
            return ConnectionBody(ok=False, detail=str(error))
        finally:
            self._places.release()
        width, height = found.wh
        picture = base64.b64encode(jpeg(found.image, _PICTURE_PX)).decode()
        return ConnectionBody(
            ok=True,
            detail=f"{found.codec}, {width}x{height}" + (f" at {found.fps:.0f} pictures a second" if found.fps else ""),
            codec=found.codec,
            width=width,
            height=height,
            fps=found.fps or None,
            picture=f"data:image/jpeg;base64,{picture}",
        )
