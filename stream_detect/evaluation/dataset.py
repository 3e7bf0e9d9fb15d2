"""Labelled faces: the table that lists the files of a training or a measurement, and the crops that are cut from them.

The table has the columns file and label, and optionally source, group, split, family and generator; further columns
are ignored. A group is a source video with the fakes made from it: it stays in one split, so that no model is measured
on what it was trained on.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from stream_detect.errors import DatasetError
from stream_detect.evaluation.manifest import (
    LABELS,
    ONE_IN,
    OWN,
    SPLITS,
    ManifestEntry,
    Split,
    family_of,
    read_entries,
    source,
    splits,
)

TABLE = "faces.csv"
TRAITS = ("race", "gender", "age")

_NO_FAMILY = ("", "none")


@dataclass(frozen=True, slots=True)
class Row:
    """Properties of one file, or of one crop.

    Args:
        file: path in the table's folder, or name in its tar.
        label: "real" or "fake".
        source: its collection.
        group: source video, or the file itself.
        split: "train" or "val".
        family: of a fake, the kind of manipulation ("swap", "gan", ...); "" for a real one.
        generator: of a fake, the program that made it; "" if unknown.
        licence: terms of use of the file, from the table's column licence; "" if there is none.
    """

    file: str
    label: str
    source: str
    group: str
    split: str
    family: str = ""
    generator: str = ""
    licence: str = ""

    @property
    def terms(self) -> str:
        """Its terms of use: those in the table, otherwise the known ones of its source."""
        return self.licence or source(self.source).terms


@dataclass(frozen=True, slots=True)
class Listed:
    """A row with its line.

    Args:
        line: line in the table; the header is 1.
        row: the row.
    """

    line: int
    row: Row

    def __str__(self) -> str:
        return f"row {self.line} ({self.row.file})"


@dataclass(frozen=True, slots=True)
class FaceTable:
    """A table of files.

    Args:
        file: the CSV file; the listed files are in its folder or below.
        listed: all rows, checked.
    """

    file: Path
    listed: tuple[Listed, ...]

    @property
    def folder(self) -> Path:
        """Folder to which the files are relative."""
        return self.file.parent

    @property
    def packed(self) -> bool:
        """Whether the files are tight pictures of one face each, in tars: `train-real.tar`, ..."""
        return any(self.tar(split, label).exists() for split in SPLITS for label in LABELS)

    def tar(self, split: str, label: str) -> Path:
        """Path of the tar with packed files."""
        return self.folder / tar_name(split, label)

    def of(self, split: Split) -> tuple[Listed, ...]:
        """The rows of a split."""
        return tuple(each for each in self.listed if each.row.split == split)


def tar_name(split: str, label: str) -> str:
    """Name of the tar with the packed files of a split and a label."""
    return f"{split}-{label}.tar"


class Crops(Protocol):
    """Crops of faces, RGB uint8 (n, h, w, 3): an array, or several read as one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, h, w, 3)."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, at: Any, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Faces:
    """The crops of one split.

    Args:
        crops: RGB uint8 (n, h, w, 3), memory-mapped.
        rows: one per crop; those of one video are equal.
        not_found: files without a face, which are left out.
        tables: the CSV files that list them, for messages.
    """

    crops: Crops
    rows: tuple[Row, ...]
    not_found: tuple[str, ...]
    tables: tuple[Path, ...] = ()

    @property
    def fake(self) -> NDArray[np.bool_]:
        """Whether each crop is fake, (n,)."""
        return np.array([row.label == "fake" for row in self.rows])

    @property
    def sources(self) -> NDArray[np.str_]:
        """Each crop's source, (n,)."""
        return np.array([row.source for row in self.rows])

    @property
    def groups(self) -> NDArray[np.str_]:
        """Each crop's group, (n,)."""
        return np.array([row.group for row in self.rows])

    @property
    def families(self) -> NDArray[np.str_]:
        """Each crop's family, (n,); "" for real ones."""
        return np.array([row.family for row in self.rows])


def joined(parts: Sequence[Faces]) -> Faces:
    """Joins the faces of several tables, in order. Groups with one name are one group, in whichever table they are.

    Args:
        parts: at least one, of one split and one size.
    """
    if len(parts) == 1:
        return parts[0]
    return Faces(
        JoinedCrops([part.crops for part in parts]),
        tuple(row for part in parts for row in part.rows),
        tuple(name for part in parts for name in part.not_found),
        tuple(table for part in parts for table in part.tables),
    )


class JoinedCrops:
    """Arrays of crops read as one, without copying them into memory. A memory map is pickled as the name of its file.

    Args:
        parts: arrays, RGB uint8 (n, h, w, 3), of one size.
    """

    def __init__(self, parts: Sequence[Crops]) -> None:
        self._parts = tuple(parts)
        self._begins = np.cumsum([0, *(len(part) for part in parts)])
        self.shape = (int(self._begins[-1]), *parts[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __reduce__(self) -> tuple[Any, ...]:
        return _mapped_again, ([_where(part) for part in self._parts],)

    @overload
    def __getitem__(self, at: int) -> NDArray[np.uint8]: ...
    @overload
    def __getitem__(self, at: slice) -> NDArray[np.uint8]: ...
    def __getitem__(self, at: int | slice) -> NDArray[np.uint8]:
        """One crop, (h, w, 3), or a copy of some, (n, h, w, 3)."""
        if isinstance(at, slice):
            chosen = [self[index] for index in range(*at.indices(len(self)))]
            return np.stack(chosen) if chosen else np.empty((0, *self.shape[1:]), np.uint8)
        index = at + len(self) if at < 0 else at
        if not 0 <= index < len(self):
            raise IndexError(at)
        part = int(np.searchsorted(self._begins, index, side="right")) - 1
        return np.asarray(self._parts[part][index - int(self._begins[part])], np.uint8)


def _where(part: Crops) -> Crops | tuple[str, int]:
    """File and length of a memory map of the first crops of a .npy file; other arrays are returned unchanged."""
    if isinstance(part, np.memmap) and part.filename is not None:
        whole = part.base if isinstance(part.base, np.memmap) else part
        # Another part of the file would have the same name.
        if part.flags.c_contiguous and part.ctypes.data == whole.ctypes.data:
            return str(part.filename), len(part)
    return part


def _mapped_again(parts: Sequence[Crops | tuple[str, int]]) -> JoinedCrops:
    return JoinedCrops(
        [np.load(part[0], mmap_mode="r")[: part[1]] if isinstance(part, tuple) else part for part in parts]
    )


def read_table(data: Path) -> FaceTable:
    """Reads and checks a table.

    Args:
        data: a folder with faces.csv, or such a table.

    Raises:
        DatasetError: it is missing or malformed, a group is in both splits, a file in two rows, or a split has only one
            label.
    """
    file = table_file(data)
    entries = read_entries(file)
    listed = zip(entries, splits(entries, file), strict=True)
    table = FaceTable(file, tuple(Listed(entry.line, row_of(entry, split)) for entry, split in listed))
    if table.packed and any(not entry.columns.get("split") for entry in entries):
        raise DatasetError(
            f"expected train or val in the column split of every row of {file}: its tars are named by it"
        )
    _check(table)
    return table


def read_traits(data: Path, columns: Sequence[str] = TRAITS) -> dict[str, dict[str, str]]:
    """Traits of people in the table, by group, if there are any.

    Args:
        data: a folder with faces.csv, or such a table.
        columns: columns of the table; missing ones are ignored.

    Raises:
        DatasetError: it cannot be read.
    """
    entries = read_entries(table_file(data))
    known = {entry.group: {name: entry.columns.get(name, "") for name in columns} for entry in entries}
    return {group: traits for group, traits in known.items() if any(traits.values())}


def table_file(data: Path) -> Path:
    """The table of a folder with faces.csv; a table itself is returned unchanged."""
    return data / TABLE if data.is_dir() else data


def row_of(entry: ManifestEntry, split: str) -> Row:
    """Makes a row from a manifest's entry; without a family, it gets that of a known source."""
    collection = entry.columns.get("source") or OWN
    row = Row(entry.file, entry.label, collection, entry.group, split, licence=entry.columns.get("licence", ""))
    if not entry.fake:
        return row
    family = entry.columns.get("family", "")
    return replace(
        row,
        family=family_of(collection) if family.lower() in _NO_FAMILY else family,
        generator=entry.columns.get("generator", ""),
    )


def _check(table: FaceTable) -> None:
    lines: dict[tuple[str, ...], int] = {}
    for each in table.listed:
        row = each.row
        # A tar has its own names.
        place = (row.file, row.split, row.label) if table.packed else (row.file,)
        if lines.setdefault(place, each.line) != each.line:
            raise DatasetError(f"expected each file of {table.file} once; {each} stands in row {lines[place]} too")
    for split in SPLITS:
        counts = Counter(each.row.label for each in table.of(split))
        if len(counts) < len(LABELS):
            raise DatasetError(
                f"expected real and fake files in split {split} of {table.file}, received {counts['real']:,} real and "
                f"{counts['fake']:,} fake ones; add files, or say in the column split which are for train and which "
                f"for val (without it, one group in {ONE_IN} goes to val)"
            )


def check_groups(tables: Sequence[FaceTable]) -> None:
    """Checks that each group is in one split, across all tables.

    Raises:
        DatasetError: a group is in both splits: a model would be measured on its training data.
    """
    seen: dict[str, tuple[str, FaceTable]] = {}
    for table in tables:
        for each in table.listed:
            split, first = seen.setdefault(each.row.group, (each.row.split, table))
            if split != each.row.split:
                raise DatasetError(
                    f"expected each group in one split; {each.row.group} is in split {split} of {first.file} and in "
                    f"split {each.row.split} of {table.file}, {each}: give it one split in both"
                )
