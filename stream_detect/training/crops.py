"""Cut faces: a table of files enters, the crops of a split leave, found and cut as in serving.

Finding them takes minutes, so the crops are kept in a cache folder as memory-mapped arrays.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

import numpy as np

from stream_detect.errors import DatasetError
from stream_detect.training.dataset import Faces, Listed, Row, Split, Table, read_table
from stream_detect.training.evaluation.manifest import LABELS
from stream_detect.training.refind import FRAMES_A_VIDEO, Cutter
from stream_detect.types import CropPolicy

_VERSION = 1
"""Raised when faces are found or cut otherwise than before, so that old caches are not taken for new."""

OnProgress = Callable[[int, int], None]
"""Takes files done and files in all."""


def load_faces(
    data: Path, split: Split, policy: CropPolicy, cache: Path, on_progress: OnProgress | None = None
) -> Faces:
    """The crops of a split, from the cache or cut anew.

    Args:
        data: a folder with faces.csv, or such a table; beside it the tars, or below its folder the files.
        split: "train" or "val".
        policy: how the model wants its faces cut.
        cache: folder for the cut crops; 200 kB a face at 256 x 256.
        on_progress: is told how far it is.

    Raises:
        DatasetError: a tar or a file is missing or broken, or the table is, or there is no room for the crops.
    """
    table = read_table(data)
    kept = cache / cache_key(table, policy)
    array = kept / f"{split}.npy"
    index = array.with_suffix(".json")
    if not index.is_file():
        try:
            kept.mkdir(parents=True, exist_ok=True)
            _cut_all(table, split, policy, array, on_progress)
        except OSError as error:
            raise DatasetError(
                f"expected room for the cut faces in {kept}, cannot write them: {error.strerror}; make room, or name "
                "another folder by --cache"
            ) from error
    found = json.loads(index.read_text(encoding="utf-8"))
    crops = np.load(array, mmap_mode="r")[: len(found["rows"])]
    return Faces(crops, tuple(Row(**row) for row in found["rows"]), tuple(found["not_found"]))


def cache_key(table: Table, policy: CropPolicy) -> str:
    """Names what the crops depend on: the table, the sizes of the tars, or of the files with their times; the policy.

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


def _state(table: Table, each: Listed) -> tuple[int, int]:
    """Size in bytes and time of the last change."""
    path = table.folder / each.row.file
    try:
        state = path.stat()
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"expected a picture or a video at {path}, named in row {each.line} of {table.file}: "
            f"{getattr(error, 'strerror', None) or error}; files are relative to the table's folder"
        ) from error
    if not S_ISREG(state.st_mode):
        raise DatasetError(f"expected a picture or a video in row {each.line} of {table.file}, {path} is no file")
    return state.st_size, state.st_mtime_ns


def _cut_all(table: Table, split: Split, policy: CropPolicy, array: Path, on_progress: OnProgress | None) -> None:
    """Cuts every face into an array on disk, and writes the index last: without it, the cache does not count."""
    listed = table.of(split)
    kept: list[Row] = []
    not_found: list[str] = []
    files = _packed(table, listed) if table.packed else ((each, table.folder / each.row.file) for each in listed)
    scratch = array.with_suffix(".part")
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
    index = array.with_suffix(".json")
    scratch.write_text(json.dumps({"rows": [asdict(row) for row in kept], "not_found": not_found}), encoding="utf-8")
    scratch.replace(index)


def _write_header(stream: BinaryIO, n: int, policy: CropPolicy) -> None:
    """Of a .npy file of so many crops; NumPy leaves room in it, so that it is as long for any number."""
    w, h = policy.wh
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": (n, h, w, 3)})


def _packed(table: Table, listed: Sequence[Listed]) -> Iterator[tuple[Listed, BinaryIO]]:
    """Each row with its picture, in the order of the tars."""
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
            raise DatasetError(f"expected a tar of face pictures at {file}, cannot read it: {error}") from error
        if wanted:
            first = next(iter(wanted.values()))
            raise DatasetError(f"expected {len(wanted)} more pictures of {table.file} in {file}, {first} first")
