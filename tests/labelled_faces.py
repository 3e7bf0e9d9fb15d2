"""Labelled faces for tests: a folder of training data, and crops in which fakes are marked by stripes."""

import csv
import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from stream_detect.evaluation.dataset import Faces, Row

COLUMNS = ("file", "label", "source", "group", "split")


@pytest.fixture
def face() -> np.ndarray:
    """A tight picture of one face, RGB uint8 (224, 224, 3)."""
    return np.asarray(cv2.resize(astronaut()[20:220, 120:320], (224, 224), interpolation=cv2.INTER_AREA), np.uint8)


class TrainingData:
    """A folder of training data: change `rows` and `tars`, then call `write`."""

    def __init__(self, path: Path, face: np.ndarray) -> None:
        self.path = path
        self.rows: list[list[str]] = []
        self.tars: dict[str, dict[str, bytes]] = {}
        for split in ("train", "val"):
            for label in ("real", "fake"):
                for i in range(4):
                    self.add((face * (0.7 + 0.1 * i)).astype(np.uint8), f"{label}/{split}{i}.jpg", f"{split}{i}")

    def add(self, image: np.ndarray, name: str, group: str) -> None:
        label, split = name.split("/", maxsplit=1)[0], "train" if "train" in name else "val"
        self.rows.append([name, label, "astronaut", group, split])
        jpeg = cv2.imencode(".jpg", image[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 90))[1].tobytes()
        self.tars.setdefault(f"{split}-{label}.tar", {})[name] = jpeg

    def write(self) -> Path:
        self.path.mkdir(exist_ok=True)
        with (self.path / "faces.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([COLUMNS, *self.rows])
        for name, members in self.tars.items():
            with tarfile.open(self.path / name, "w") as tar:
                for member, content in members.items():
                    entry = tarfile.TarInfo(member)
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))
        return self.path


@pytest.fixture
def training_data(tmp_path: Path, face: np.ndarray) -> TrainingData:
    """Four faces of each label and split, not written yet."""
    return TrainingData(tmp_path / "faces", face)


@pytest.fixture
def marked_faces(face: np.ndarray) -> Faces:
    """Sixteen crops of 256x256; every second one is fake, with easily visible stripes."""
    crop = np.asarray(cv2.resize(face, (256, 256)), np.uint8)
    crops, rows = [], []
    for i in range(16):
        fake = i % 2 == 1
        picture = np.clip(crop * (0.7 + 0.03 * (i // 2)), 0, 255).astype(np.uint8)
        if fake:
            picture[::8] = 255 - picture[::8]
        crops.append(picture)
        rows.append(Row(f"{i}.jpg", "fake" if fake else "real", "dfdc", f"group{i // 2}", "train"))
    return Faces(np.stack(crops), tuple(rows), ())
