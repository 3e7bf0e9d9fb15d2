"""A manifest with pictures and videos of a public-domain face, and models with scripted scores."""

import csv
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from stream_detect.analysis.scripted import ScriptedClassifier
from stream_detect.evaluation.run import Entrant
from stream_detect.evaluation.summary import Contestant
from stream_detect.types import Image
from tests.labelled_faces import face, marked_faces, training_data

__all__ = ["face", "marked_faces", "training_data"]


def write_video(file: Path, images: Sequence[Image], codec: str = "libx264", rate: int = 10) -> None:
    with av.open(str(file), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, rate)
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


class Folder:
    """Files and their rows in the manifest: add some, then call `write`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: list[dict[str, str]] = []

    def row(self, file: str, label: str, **columns: str) -> None:
        self.rows.append({"file": file, "label": label, **columns})

    def picture(self, file: str, image: Image, label: str, **columns: str) -> None:
        (self.root / file).parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(self.root / file), image[..., ::-1])
        self.row(file, label, **columns)

    def video(self, file: str, images: Sequence[Image], label: str, **columns: str) -> None:
        write_video(self.root / file, images)
        self.row(file, label, **columns)

    def write(self) -> Path:
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        manifest = self.root / "manifest.csv"
        with manifest.open("w", newline="", encoding="utf-8") as stream:
            table = csv.DictWriter(stream, names, restval="")
            table.writeheader()
            table.writerows(self.rows)
        return manifest


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty folder."""
    root = tmp_path / "files"
    root.mkdir()
    return Folder(root)


@pytest.fixture
def entrant() -> Callable[..., Entrant]:
    """Makes a model whose score is a function of the crop, by default the mean of its green channel."""

    def green(crop: Image) -> float:
        return float(crop[..., 1].mean()) / 255

    def make(name: str = "bright", score: Callable[[Image], float] = green, threshold: float = 0.8) -> Entrant:
        contestant = Contestant(name, name.title(), "1", "0" * 64, threshold, 0.2, "none")
        return Entrant(contestant, lambda: ScriptedClassifier(score))

    return make


@pytest.fixture(scope="session")
def photo() -> Image:
    """A picture with one face, RGB uint8 (512, 512, 3)."""
    return np.asarray(astronaut(), np.uint8)


@pytest.fixture(scope="session")
def crop(photo: Image) -> Image:
    """The face crop, RGB uint8 (224, 224, 3)."""
    return np.asarray(cv2.resize(photo[20:220, 120:320], (224, 224), interpolation=cv2.INTER_AREA), np.uint8)
