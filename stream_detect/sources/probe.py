"""Tries a source out: an address enters, one picture and what is known of the stream leave."""

from contextlib import ExitStack
from dataclasses import dataclass
from threading import Event, Timer
from typing import cast

from stream_detect.errors import SourceStalledError
from stream_detect.sources.address import Address
from stream_detect.sources.reader import Reader, ReaderSettings
from stream_detect.types import Image

LONGEST_S = 10.0


@dataclass(frozen=True, slots=True)
class Probed:
    """What a source sent.

    Args:
        codec: as FFmpeg names it ("h264").
        wh: size of the upright picture in pixels.
        fps: pictures a second, as the stream states it; 0 when it does not.
        image: RGB uint8 (h, w, 3), its first whole picture.
    """

    codec: str
    wh: tuple[int, int]
    fps: float
    image: Image


def probe(address: Address, settings: ReaderSettings) -> Probed:
    """Opens a source, waits for one picture and closes it, within `LONGEST_S`.

    Raises:
        AddressError, SourceRefusedError, SourceUnreachableError, SourceStalledError, SourceEndedError: no picture came.
    """
    stopping = Event()
    with ExitStack() as stack:
        timer = Timer(max(0.0, LONGEST_S - settings.read_timeout_s), stopping.set)  # a read may have just begun
        timer.start()
        stack.callback(timer.cancel)
        reader = stack.enter_context(Reader(address, settings, stopping))
        for picture in reader.pictures():
            image = cast("Image", picture.frame.to_ndarray(format="rgb24"))
            return Probed(reader.codec, (image.shape[1], image.shape[0]), reader.fps, image)
    raise SourceStalledError(f"it answered, but no picture came within {LONGEST_S:g} s")
