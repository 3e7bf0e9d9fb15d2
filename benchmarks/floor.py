"""The floor, a process that decodes the same streams and runs the bare models once for each sample, and nothing else.

Its arguments are RTSP addresses and the number of pictures a sample. It writes to standard output the line "ready" when
every stream has given a picture, then for each line read from standard input a line of JSON: pictures decoded and
samples taken so far, one pair a stream.

Each stream has one thread which opens it as the server does (`open_source`: same options, one decode thread), decodes
every picture, and for each sample calls the detector and the classifier once: the server's own, compiled with its own
settings, on inputs made once, of the very sizes that the networks take. There is no conversion of pictures, no
cropping, no tracking, no window, nothing else.
"""

import argparse
import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import av
import cv2
import numpy as np

from stream_detect.analysis.blazeface import GRAPHS
from stream_detect.analysis.detector import BlazeFace
from stream_detect.models.openvino import OpenVinoModel
from stream_detect.models.registry import Registry
from stream_detect.settings import Settings
from stream_detect.sources.address import parse_address
from stream_detect.sources.opening import ReaderSettings, open_source
from stream_detect.types import Image


@dataclass(slots=True)
class Stream:
    """What was done of one stream; counted by its thread, read by another."""

    address: str
    pictures: int = 0
    samples: int = 0
    first: threading.Event = field(default_factory=threading.Event)


class Models:
    """The server's models as its settings have them by default, compiled once for all streams."""

    def __init__(self) -> None:
        settings = Settings()
        faces = settings.faces
        self._detector = BlazeFace(faces.detector, faces.min_score, faces.max_faces)
        self._side_px = GRAPHS[faces.detector].input_px
        bundle = Registry.of(settings.model.folder).load(settings.model.name)
        self._model = OpenVinoModel(bundle, settings.model.threads, settings.model.precision)
        self._crop_px = bundle.card.input.width_px

    def sample_of(self, picture: Image) -> Callable[[], None]:
        """Calls each model once, on a picture scaled to their sizes; for one thread."""
        detector, classifier = self._detector.sibling(), self._model.classifier()
        small = _scaled(picture, self._side_px)
        crops = _scaled(picture, self._crop_px)[np.newaxis]

        def sample() -> None:
            detector.detect(small)
            classifier.predict(crops)

        return sample


def _scaled(picture: Image, side_px: int) -> Image:
    return np.asarray(cv2.resize(picture, (side_px, side_px), interpolation=cv2.INTER_AREA), np.uint8)


def follow(stream: Stream, models: Models, every: int) -> None:
    """Decode a stream to its end, on a thread of its own."""
    opened = open_source(parse_address(stream.address, from_settings_file=False), ReaderSettings())
    frames = opened.container.decode(opened.stream)
    first = next(frames)
    sample = models.sample_of(np.asarray(first.to_ndarray(format="rgb24"), np.uint8))
    stream.first.set()
    for _ in frames:
        stream.pictures += 1
        if stream.pictures % every == 0:
            sample()
            stream.samples += 1


def main() -> None:
    """Follow all streams until standard input is closed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("addresses", nargs="+")
    parser.add_argument("--every", type=int, required=True, metavar="N", help="each Nth picture is a sample")
    arguments = parser.parse_args()
    av.logging.set_level(None)
    cv2.setNumThreads(1)
    streams = [Stream(address) for address in arguments.addresses]
    models = Models()
    for stream in streams:
        threading.Thread(target=follow, args=(stream, models, arguments.every), daemon=True).start()
    for stream in streams:
        stream.first.wait(30)
    print("ready", flush=True)
    for _question in sys.stdin:
        print(json.dumps([[stream.pictures, stream.samples] for stream in streams]), flush=True)


if __name__ == "__main__":
    main()
