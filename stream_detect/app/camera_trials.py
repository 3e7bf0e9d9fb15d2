"""Connection tests of camera addresses, before a camera is added. Nothing is kept."""

import asyncio
import base64
import threading
from typing import Final

from stream_detect.api.schemas.cameras import ConnectionBody
from stream_detect.errors import CapacityError, SourceError
from stream_detect.media.jpeg import encode_snapshot
from stream_detect.off_loop import off_loop
from stream_detect.settings import CameraSettings, MonitoringSettings
from stream_detect.sources.address import Address
from stream_detect.sources.opening import ReaderSettings
from stream_detect.sources.reader import probe

AT_ONCE: Final = 2
RETRY_AFTER_S: Final = 10
_PICTURE_PX: Final = 320


class CameraTrials:
    """Tests cameras, few at once, each on its own thread. Used on the event loop until `close`.

    Args:
        monitoring: time-outs.
    """

    def __init__(self, monitoring: MonitoringSettings) -> None:
        self._monitoring = monitoring
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._waiting: set[asyncio.Future[ConnectionBody]] = set()
        self._closed = False

    async def run(self, settings: CameraSettings, address: Address) -> ConnectionBody:
        """Opens the address, waits for one frame and closes it.

        Raises:
            CapacityError: others are being tested, or the server is closing.
        """
        if address.is_pushed:
            return ConnectionBody(ok=True, detail="there is nothing to connect to: a publisher sends to this server")
        if self._closed or not self._places.acquire(blocking=False):
            raise CapacityError(f"{AT_ONCE} addresses are already being tested; try again in a moment", RETRY_AFTER_S)
        # The trial itself releases its place: a client that disconnects makes no room while the trial is still running.
        trial = off_loop(lambda: self._tried(settings, address), "try-camera")
        self._waiting.add(trial)
        trial.add_done_callback(self._waiting.discard)
        try:
            return await trial
        except asyncio.CancelledError:
            if self._closed:
                raise CapacityError("the server is shutting down", RETRY_AFTER_S) from None
            raise

    def close(self) -> None:
        """Stops waiting for trials; the results of those still running are dropped."""
        self._closed = True
        for trial in self._waiting:
            trial.cancel()

    def _tried(self, settings: CameraSettings, address: Address) -> ConnectionBody:
        try:
            found = probe(
                address,
                ReaderSettings(
                    transport=settings.transport,
                    loop=False,
                    open_timeout_s=self._monitoring.open_timeout_s,
                    read_timeout_s=self._monitoring.read_timeout_s,
                    max_pixels=self._monitoring.max_pixels,
                ),
            )
        except SourceError as error:
            return ConnectionBody(ok=False, detail=str(error))
        finally:
            self._places.release()
        width, height = found.wh
        picture = base64.b64encode(encode_snapshot(found.image, _PICTURE_PX)).decode()
        return ConnectionBody(
            ok=True,
            detail=f"{found.codec}, {width}x{height}" + (f" at {found.fps:.0f} fps" if found.fps else ""),
            codec=found.codec,
            width=width,
            height=height,
            fps=found.fps or None,
            picture=f"data:image/jpeg;base64,{picture}",
        )
