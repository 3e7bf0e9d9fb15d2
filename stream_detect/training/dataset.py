"""The training data: a folder of labelled face pictures enters, crops cut as in serving leave.

The folder holds `faces.csv` (file, label, source, group, split; further columns are left alone) and, for each split and
label, a tar of pictures, e.g. `train-real.tar`, whose members are the table's files. A group is a source video with
the fakes made from it: it stays in one split, so that no model is measured on what it learnt from.

The faces are found again by our own detector, so that training and serving crop alike. That takes minutes, so the
crops are kept in a cache folder as memory-mapped arrays.
"""

import csv
import hashlib
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stream_detect.errors import DatasetError
from stream_detect.training.refind import Cutter
from stream_detect.types import CropPolicy

Split = Literal["train", "val"]
TABLE = "faces.csv"
LABELS = ("real", "fake")
TRAITS = ("race", "gender", "age")

_VERSION = 1
"""Raised when faces are found or cut otherwise than before, so that old caches are not taken for new."""


@dataclass(frozen=True, slots=True)
class Row:
    """One picture of the table.

    Args:
        file: name inside its tar.
        label: "real" or "fake".
        source: collection it comes from.
        group: source video, or the picture itself.
        split: "train" or "val".
    """

    file: str
    label: str
    source: str
    group: str
    split: str

    def __str__(self) -> str:
        return self.file


@dataclass(frozen=True, slots=True)
class Faces:
    """The crops of one split.

    Args:
        crops: RGB uint8 (n, h, w, 3), memory-mapped.
        rows: one a crop.
        not_found: files in which no face was found; they are left out.
    """

    crops: NDArray[np.uint8]
    rows: tuple[Row, ...]
    not_found: tuple[str, ...]

    @property
    def fake(self) -> NDArray[np.bool_]:
        """Whether each crop is a fake, (n,)."""
        return np.array([row.label == "fake" for row in self.rows])

    @property
    def sources(self) -> NDArray[np.str_]:
        """Each crop's source, (n,)."""
        return np.array([row.source for row in self.rows])

    @property
    def groups(self) -> NDArray[np.str_]:
        """Each crop's group, (n,)."""
        return np.array([row.group for row in self.rows])


def read_rows(folder: Path) -> tuple[Row, ...]:
    """The table, checked.

    Raises:
        DatasetError: it is missing or malformed, a split has one class only, or a group is in both splits.
    """
    file = folder / TABLE
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            table = csv.DictReader(stream)
            wanted = Row.__dataclass_fields__.keys()
            missing = wanted - set(table.fieldnames or ())
            if missing:
                raise DatasetError(f"expected the columns {', '.join(wanted)} in {file}; {sorted(missing)} are missing")
            rows = tuple(Row(*(entry[name] for name in wanted)) for entry in table)
    except OSError as error:
        raise DatasetError(f"expected the table of faces at {file}, cannot read it: {error.strerror}") from error
    _check(rows, file)
    return rows


def read_traits(folder: Path, columns: Sequence[str] = TRAITS) -> dict[str, dict[str, str]]:
    """What the table says of the people, by group, where it says anything.

    Args:
        folder: with faces.csv.
        columns: of the table; those that it has not are passed over.

    Raises:
        DatasetError: it cannot be read.
    """
    file = folder / TABLE
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            known = {row["group"]: {name: row.get(name) or "" for name in columns} for row in csv.DictReader(stream)}
    except OSError as error:
        raise DatasetError(f"expected the table of faces at {file}, cannot read it: {error.strerror}") from error
    return {group: traits for group, traits in known.items() if any(traits.values())}


def load_faces(
    folder: Path, split: Split, policy: CropPolicy, cache: Path, on_progress: Callable[[int, int], None] | None = None
) -> Faces:
    """The crops of a split, from the cache or cut anew.

    Args:
        folder: with faces.csv and the tars.
        split: "train" or "val".
        policy: how the model wants its faces cut.
        cache: folder for the cut crops; 200 kB a face at 256 x 256.
        on_progress: takes pictures done and pictures in all.

    Raises:
        DatasetError: a tar or a picture is missing or broken, or the table is.
    """
    rows = [row for row in read_rows(folder) if row.split == split]
    kept = cache / cache_key(folder, policy)
    array = kept / f"{split}.npy"
    index = array.with_suffix(".json")
    if not index.is_file():
        kept.mkdir(parents=True, exist_ok=True)
        _cut_all(folder, rows, policy, array, on_progress)
    found = json.loads(index.read_text(encoding="utf-8"))
    crops = np.load(array, mmap_mode="r")[: len(found["rows"])]
    return Faces(crops, tuple(Row(**row) for row in found["rows"]), tuple(found["not_found"]))


def cache_key(folder: Path, policy: CropPolicy) -> str:
    """Names what the crops depend on: the table, the sizes of the tars, the crop policy."""
    digest = hashlib.sha256((folder / TABLE).read_bytes())
    sizes = {tar.name: tar.stat().st_size for tar in sorted(folder.glob("*.tar"))}
    digest.update(json.dumps([_VERSION, sizes, asdict(policy)]).encode())
    return digest.hexdigest()[:16]


def _check(rows: tuple[Row, ...], file: Path) -> None:
    splits: dict[str, str] = {}
    labels: dict[str, set[str]] = {"train": set(), "val": set()}
    for row in rows:
        if row.label not in LABELS or row.split not in labels:
            raise DatasetError(
                f"expected label real or fake and split train or val for {row.file} in {file}; "
                f"received {row.label!r}, {row.split!r}"
            )
        labels[row.split].add(row.label)
        if splits.setdefault(row.group, row.split) != row.split:
            raise DatasetError(f"expected each group of {file} in one split; {row.group} is in both: {row.file}")
    for split, present in labels.items():
        if present != set(LABELS):
            raise DatasetError(f"expected real and fake faces in split {split} of {file}; received {sorted(present)}")


def _cut_all(
    folder: Path, rows: list[Row], policy: CropPolicy, array: Path, on_progress: Callable[[int, int], None] | None
) -> None:
    """Cuts every face into a memory map, and writes the index last: without it, the cache does not count."""
    w, h = policy.wh
    # Space for all: what is left over for faces not found stays a hole in the file.
    scratch = array.with_suffix(".part")
    crops = np.lib.format.open_memmap(scratch, "w+", np.uint8, (len(rows), h, w, 3))
    kept: list[Row] = []
    not_found: list[str] = []
    cutter = Cutter(policy)
    for done, (row, crop) in enumerate(cutter.cut_each(_pictures(folder, rows)), 1):
        if crop is None:
            not_found.append(row.file)
        else:
            crops[len(kept)] = crop
            kept.append(row)
        if on_progress and (done % 64 == 0 or done == len(rows)):
            on_progress(done, len(rows))
    crops.flush()
    scratch.replace(array)
    index = array.with_suffix(".json")
    index.write_text(json.dumps({"rows": [asdict(row) for row in kept], "not_found": not_found}), encoding="utf-8")


def _pictures(folder: Path, rows: list[Row]) -> Iterator[tuple[Row, bytes]]:
    """Each row with its encoded picture, in the order of the tars."""
    for label in LABELS:
        wanted = {row.file: row for row in rows if row.label == label}
        if not wanted:
            continue
        file = folder / f"{next(iter(wanted.values())).split}-{label}.tar"
        try:
            with tarfile.open(file) as tar:
                for member in tar:
                    stream = tar.extractfile(member) if member.name in wanted else None
                    if stream is not None:
                        yield wanted.pop(member.name), stream.read()
        except (OSError, tarfile.TarError) as error:
            raise DatasetError(f"expected a tar of face pictures at {file}, cannot read it: {error}") from error
        if wanted:
            raise DatasetError(f"expected {len(wanted)} more pictures in {file}, {next(iter(wanted))} first")
