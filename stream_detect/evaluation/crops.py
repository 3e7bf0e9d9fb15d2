"""Cuts the faces out of the files of a table, as serving does, and caches the crops on disk.

Detection takes minutes, so the crops are cached in a folder as memory-mapped arrays.
"""

import hashlib
import io
import json
import os
import tarfile
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from stat import S_ISREG
from typing import BinaryIO, TypeVar

import cv2
import numpy as np

from stream_detect.analysis.crop import cut
from stream_detect.analysis.detector import BlazeFace
from stream_detect.analysis.quality import short_side_px
from stream_detect.errors import AnalysisError, DatasetError, MediaError
from stream_detect.evaluation.dataset import Faces, FaceTable, Listed, Row, check_groups, joined, read_table
from stream_detect.evaluation.manifest import LABELS, Split
from stream_detect.evaluation.media import spread
from stream_detect.media.files import PART
from stream_detect.settings import FaceSettings
from stream_detect.types import CropPolicy, Detector, Face, Image

FRAMES_A_VIDEO = 8
"""Maximum number of crops per video. Its frames are similar: a few, far apart, show most of it, and with more, long
videos would outweigh all pictures."""

TIGHT_MIN_SCORE = 0.3
"""Below the server's .6: a tight picture is known to contain a face, only its position is not."""
_TIGHT_SHARE = 0.5
"""Share of the shorter side that a face takes in a tight picture. Measured: .60 and more on 441."""

_GREY = (128, 128, 128)
_MAX_SIDE_PX = 1024
"""Larger pictures are reduced before a grey border with nine times their area is added; the detector uses 192 pixels.
"""
_MAX_FACES = 8
_AHEAD = 64
"""Files in progress at once, bounded so that a slow disk for the crops does not fill the memory: 100 MB if all are
videos cut to 256 x 256."""

_ABANDONED_S = 3600.0
"""A file of crops that has not grown for this long belongs to a command that was killed."""

_Key = TypeVar("_Key")


class Cutter:
    """Cuts the faces of many files on several threads.

    Args:
        policy: crop policy of the model.
        tight: the files are known to show only one face; otherwise the largest face of each is used.
        threads: number of threads, each with its own detectors; detection and decoding release Python's global lock.
    """

    def __init__(self, policy: CropPolicy, *, tight: bool, threads: int = 2) -> None:
        self._policy = policy
        self._threads = threads
        faces = FaceSettings()
        again = BlazeFace("full", TIGHT_MIN_SCORE, _MAX_FACES)
        whole = None if tight else BlazeFace(faces.detector, faces.min_score, faces.max_faces)
        self._finders: SimpleQueue[_Finder] = SimpleQueue()
        for _ in range(threads):
            self._finders.put(_Finder(again.sibling(), whole and whole.sibling(), faces.begin_score))

    def cut_each(self, files: Iterable[tuple[_Key, Path | BinaryIO]]) -> Iterator[tuple[_Key, tuple[Image, ...]]]:
        """Yields the face of each picture, or of some frames of each video, in order; empty if none was found.

        Raises:
            DatasetError: a file cannot be decoded; the message contains its key.
        """
        waiting: deque[tuple[_Key, Future[tuple[Image, ...]]]] = deque()
        pool = ThreadPoolExecutor(self._threads, "cutter")
        try:
            for key, file in files:
                waiting.append((key, pool.submit(self._cut, key, file)))
                if len(waiting) == _AHEAD:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _cut(self, key: _Key, file: Path | BinaryIO) -> tuple[Image, ...]:
        finder = self._finders.get()
        try:
            crops = [self._crop(image, finder) for image in spread(file, FRAMES_A_VIDEO)]
        except MediaError as error:
            raise DatasetError(
                f"expected a picture or a video, but {key} cannot be decoded: {error}; fix the file, or remove its row"
            ) from error
        finally:
            self._finders.put(finder)
        return tuple(crop for crop in crops if crop is not None)

    def _crop(self, image: Image, finder: "_Finder") -> Image | None:
        face = finder.face(image)
        try:
            return None if face is None else cut(image, face, self._policy)
        except AnalysisError:  # its key points coincide: not a face to train on
            return None


class _Finder:
    """Finds the main face of a picture; one per thread.

    Args:
        again: detector for tight pictures, with a low threshold.
        whole: detector for pictures with surroundings; None if all are tight.
        certain: score from which a face in surroundings is accepted.
    """

    def __init__(self, again: Detector, whole: Detector | None, certain: float) -> None:
        self._again = again
        self._whole = whole
        self._certain = certain

    def face(self, image: Image) -> Face | None:
        if self._whole is None:
            return middle_face(image, self._again)
        faces = [face for face in self._whole.detect(image) if face.score >= self._certain]
        if faces:
            return max(faces, key=short_side_px)
        face = middle_face(image, self._again)
        return face if face and short_side_px(face) >= _TIGHT_SHARE * min(image.shape[:2]) else None


def middle_face(image: Image, detector: Detector) -> Face | None:
    """The face nearest the middle of a tight picture, in pixels of the picture; None if there is none.

    Args:
        image: RGB uint8 (h, w, 3).
        detector: a detector with a low threshold.
    """
    small = _shrunk(image)
    h, w = small.shape[:2]
    padded = cv2.copyMakeBorder(small, h, h, w, w, cv2.BORDER_CONSTANT, value=_GREY)
    faces = detector.detect(np.asarray(padded, np.uint8))
    if not faces:
        return None
    nearest = min(faces, key=lambda face: _from_middle(face, (3 * w, 3 * h)))
    left, top, right, bottom = nearest.xyxy
    across, down = image.shape[1] / w, image.shape[0] / h
    xyxy = ((left - w) * across, (top - h) * down, (right - w) * across, (bottom - h) * down)
    points = (nearest.keypoints - np.array((w, h), np.float32)) * np.array((across, down), np.float32)
    return Face(xyxy, points, nearest.score)


def _shrunk(image: Image) -> Image:
    h, w = image.shape[:2]
    scale = _MAX_SIDE_PX / max(h, w)
    if scale >= 1:
        return image
    wh = (max(round(w * scale), 1), max(round(h * scale), 1))
    return np.asarray(cv2.resize(image, wh, interpolation=cv2.INTER_AREA), np.uint8)


def _from_middle(face: Face, wh: tuple[int, int]) -> float:
    left, top, right, bottom = face.xyxy
    return abs((left + right - wh[0]) / 2) + abs((top + bottom - wh[1]) / 2)


_VERSION = 1
"""Increased when faces are found or cut differently, so that old caches are not used."""

OnProgress = Callable[[int, int], None]
"""Called with the number of files done and the total."""


def load_faces(
    data: Path, split: Split, policy: CropPolicy, cache: Path, on_progress: OnProgress | None = None
) -> Faces:
    """Loads the crops of a split, from the cache or newly cut.

    Args:
        data: a folder with faces.csv, or such a table; next to it the tars, or in its folder the files.
        split: "train" or "val".
        policy: crop policy of the model.
        cache: folder for crops; 200 kB per face at 256 x 256.
        on_progress: called with the number of files done and their total.

    Raises:
        DatasetError: the table, a tar or a file is missing or damaged, or there is not enough space for the crops.
    """
    table = read_table(data)
    kept = cache / cache_key(table, policy)
    array = kept / f"{split}.npy"
    index = array.with_suffix(".json")
    if not (index.is_file() and array.is_file()):
        try:
            kept.mkdir(parents=True, exist_ok=True)
            _cut_all(table, split, policy, array, on_progress)
        except OSError as error:
            raise DatasetError(
                f"cannot write the face crops to {kept}: {error.strerror}; free some space, or name another folder "
                "with --cache"
            ) from error
    found = json.loads(index.read_text(encoding="utf-8"))
    crops = np.load(array, mmap_mode="r")[: len(found["rows"])]
    # The cache stores the file of each crop; the properties of the file come from the table.
    known = {(each.row.file, each.row.label): each.row for each in table.of(split)}
    rows = tuple(known[row["file"], row["label"]] for row in found["rows"])
    return Faces(crops, rows, tuple(found["not_found"]), (table.file,))


def load_joined(
    data: Sequence[Path], split: Split, policy: CropPolicy, cache: Path, on_progress: OnProgress | None = None
) -> Faces:
    """Loads the crops of a split of several tables, each like `load_faces`.

    Raises:
        DatasetError: one cannot be read, or a group is in split train of one and in split val of another.
    """
    if len(data) > 1:
        check_groups([read_table(each) for each in data])
    return joined([load_faces(each, split, policy, cache, on_progress) for each in data])


def cache_key(table: FaceTable, policy: CropPolicy) -> str:
    """Key of all that the crops depend on: the table, sizes of the tars, or sizes and times of the files; the policy.

    Raises:
        DatasetError: a file is missing.
    """
    digest = hashlib.sha256(table.file.read_bytes())
    if table.packed:
        sizes = {tar.name: tar.stat().st_size for tar in sorted(table.folder.glob("*.tar"))}
        digest.update(json.dumps([_VERSION, sizes, asdict(policy)]).encode())
    else:
        states = [_state(table, each) for each in table.listed]
        digest.update(json.dumps([_VERSION, FRAMES_A_VIDEO, states, asdict(policy)]).encode())
    return digest.hexdigest()[:16]


def _state(table: FaceTable, each: Listed) -> tuple[int, int]:
    """Size in bytes and modification time."""
    path = table.folder / each.row.file
    try:
        state = path.stat()
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"expected a picture or a video at {path}, named in row {each.line} of {table.file}: "
            f"{getattr(error, 'strerror', None) or error}; files are relative to the table's folder"
        ) from error
    if not S_ISREG(state.st_mode):
        raise DatasetError(
            f"expected a picture or a video in row {each.line} of {table.file}, but {path} is not a file"
        )
    return state.st_size, state.st_mtime_ns


def _cut_all(table: FaceTable, split: Split, policy: CropPolicy, array: Path, on_progress: OnProgress | None) -> None:
    """Cuts every face into an array on disk, and writes the index last: without it, the cache is invalid."""
    listed = table.of(split)
    kept: list[Row] = []
    not_found: list[str] = []
    files = _packed(table, listed) if table.packed else ((each, table.folder / each.row.file) for each in listed)
    with _scratch(array.parent) as scratch:
        with scratch.open("wb") as stream:
            _write_header(stream, 0, policy)
            for done, (each, crops) in enumerate(Cutter(policy, tight=table.packed).cut_each(files), 1):
                if not crops:
                    not_found.append(each.row.file)
                for crop in crops:
                    stream.write(crop.tobytes())
                    kept.append(each.row)
                if on_progress:
                    on_progress(done, len(listed))
            stream.seek(0)
            _write_header(stream, len(kept), policy)
        scratch.replace(array)
        index = {"rows": [asdict(row) for row in kept], "not_found": not_found}
        scratch.write_text(json.dumps(index), encoding="utf-8")
        scratch.replace(array.with_suffix(".json"))


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A file of this command alone, removed at the end: two trainings may cut the same faces at the same time."""
    for left in folder.glob(f"*{PART}"):
        with suppress(OSError):  # another command was quicker
            if time.time() - left.stat().st_mtime > _ABANDONED_S:
                left.unlink()
    handle, name = tempfile.mkstemp(PART, dir=folder)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _write_header(stream: BinaryIO, n: int, policy: CropPolicy) -> None:
    """Writes the header of a .npy file for that many crops; NumPy pads it to the same length for any number."""
    w, h = policy.wh
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": (n, h, w, 3)})


def _packed(table: FaceTable, listed: Sequence[Listed]) -> Iterator[tuple[Listed, BinaryIO]]:
    """Yields each row with its picture, in the order of the tars."""
    for label in LABELS:
        wanted = {each.row.file: each for each in listed if each.row.label == label}
        if not wanted:
            continue
        file = table.tar(next(iter(wanted.values())).row.split, label)
        try:
            with tarfile.open(file) as tar:
                for member in tar:
                    stream = tar.extractfile(member) if member.name in wanted else None
                    if stream is not None:
                        yield wanted.pop(member.name), io.BytesIO(stream.read())
        except (OSError, tarfile.TarError) as error:
            raise DatasetError(f"expected a tar of face pictures at {file}, but it cannot be read: {error}") from error
        if wanted:
            first = next(iter(wanted.values()))
            raise DatasetError(f"expected {len(wanted)} more pictures of {table.file} in {file}, {first} first")
