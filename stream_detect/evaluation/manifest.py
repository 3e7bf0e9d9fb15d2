"""The manifest of an evaluation or a training: a CSV of labelled files, and the collections that its rows may name."""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from stream_detect.errors import DatasetError

LABELS = ("real", "fake")
Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = ("train", "val")
ONE_IN = 10
"""Without the column split, one in this many groups is in split val."""

_GROUP = "group"
_NEEDED = ("file", "label")


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One row of a manifest.

    Args:
        line: line in the CSV; the header is 1.
        file: path as written, relative to the root.
        label: "real" or "fake".
        columns: values of the other columns, by name.
        table: number of its manifest, if there are several.
    """

    line: int
    file: str
    label: str
    columns: Mapping[str, str]
    table: int = 0

    @property
    def fake(self) -> bool:
        """Whether it is labelled fake."""
        return self.label == "fake"

    @property
    def group(self) -> str:
        """Its group, the unit of bootstrap and split: the column `group`, otherwise the file itself."""
        return self.columns.get(_GROUP) or self.file


def read_manifest(
    manifest: Path, only: Mapping[str, str], by: str | None, split: Split | None = None
) -> tuple[ManifestEntry, ...]:
    """Reads the rows and checks them before anything is judged.

    Args:
        manifest: CSV with the columns file, label and any others.
        only: required values of columns; empty for all rows.
        by: a required column; None for none.
        split: the split of a training's table whose rows are used, as `splits` tells; None for all rows.

    Raises:
        DatasetError: it cannot be read, lacks a column, has an invalid row, no rows, or only one label.
    """
    entries = read_entries(manifest, (*only, *([by] if by else ())))
    if split is not None:
        of = splits(entries, manifest)
        entries = tuple(entry for entry, its in zip(entries, of, strict=True) if its == split)
    chosen = tuple(entry for entry in entries if all(entry.columns.get(name) == only[name] for name in only))
    _check(manifest, chosen, only if split is None else {"split": split, **only})
    return chosen


def splits(entries: Sequence[ManifestEntry], manifest: Path) -> tuple[Split, ...]:
    """The split of each row of a training's table; a row without one has that of its group.

    Args:
        entries: all rows.
        manifest: their table, for messages.

    Raises:
        DatasetError: a row names another split than train or val, or a group is in both.
    """
    known: dict[str, Split] = {}
    for entry in entries:
        named = entry.columns.get("split")
        if not named:
            continue
        split = next((each for each in SPLITS if each == named), None)
        if split is None:
            raise DatasetError(
                f"expected split train or val in row {entry.line} of {manifest} ({entry.file}), not {named!r}"
            )
        if known.setdefault(entry.group, split) != split:
            raise DatasetError(
                f"expected each group of {manifest} in one split; {entry.group} is in both: row {entry.line} "
                f"({entry.file})"
            )
    return tuple(known.get(entry.group) or _drawn(entry.group) for entry in entries)


def _drawn(group: str) -> Split:
    """The split of a group without one: constant, regardless of the rest of the table."""
    # Not the first byte, which determines the half of val (scored.py).
    number = int.from_bytes(hashlib.sha256(group.encode()).digest()[1:9])
    return "val" if number % ONE_IN == 0 else "train"


def read_entries(manifest: Path, columns: Sequence[str] = ()) -> tuple[ManifestEntry, ...]:
    """Reads all rows, each checked separately; there may be none.

    Args:
        manifest: CSV with the columns file, label and any others.
        columns: further required columns.

    Raises:
        DatasetError: it cannot be read, lacks a column, or has an invalid row.
    """
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as stream:
            table = csv.DictReader(stream, restval="")
            names = tuple(table.fieldnames or ())
            missing = [name for name in (*_NEEDED, *columns) if name not in names]
            if missing:
                raise DatasetError(
                    f"expected the column {missing[0]} in {manifest}, received {', '.join(names) or 'an empty file'}"
                )
            return tuple(_entry(manifest, table.line_num, row) for row in table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            f"expected a manifest (CSV in UTF-8) at {manifest}, but it cannot be read: {error}"
        ) from error


def _entry(manifest: Path, line: int, row: dict[str | None, str]) -> ManifestEntry:
    where = f"row {line} of {manifest}"
    if None in row:
        raise DatasetError(f"expected as many values as columns in {where}, received more")
    columns = {str(name): value.strip() for name, value in row.items()}
    file, label = (columns.pop(name) for name in _NEEDED)
    path = PurePosixPath(file)
    if not file or path.is_absolute() or ".." in path.parts:
        raise DatasetError(f"expected a file below the root, relative to it, in {where}, received {file!r}")
    if label.lower() not in LABELS:
        raise DatasetError(f"expected the label real or fake in {where} ({file}), received {label!r}")
    return ManifestEntry(line, file, label.lower(), columns)


def _check(manifest: Path, entries: tuple[ManifestEntry, ...], only: Mapping[str, str]) -> None:
    of = f"{manifest} with " + ", ".join(f"{k}={v}" for k, v in only.items()) if only else str(manifest)
    if not entries:
        raise DatasetError(f"expected rows in {of}, received none")
    labels = {entry.label for entry in entries}
    if len(labels) == 1:
        raise DatasetError(
            f"expected real and fake files in {of}, received {labels.pop()} ones only (the first is in row "
            f"{entries[0].line}): no figure can be measured on one kind"
        )


def real_clips(manifest: Path) -> tuple[Path, ...]:
    """Paths of the files that a table labels real; rows with other labels are ignored.

    Args:
        manifest: CSV with the columns file and label.

    Raises:
        DatasetError: it cannot be read, lists none, or one is missing.
    """
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            f"expected a table of clips (CSV in UTF-8) at {manifest}, but it cannot be read: {error}"
        ) from error
    found = tuple(manifest.parent / row["file"] for row in rows if row.get("file") and row.get("label") == "real")
    if not found:
        raise DatasetError(f"expected rows with a file and the label real in {manifest}, received none")
    for clip in found:
        if not clip.is_file():
            raise DatasetError(f"expected a video at {clip}, which {manifest} lists; correct its row")
    return found


@dataclass(frozen=True, slots=True)
class Source:
    """A known collection of faces.

    Args:
        title: its usual name.
        what: its content; empty if unknown.
        terms: its terms of use.
        family: family of its fakes, if its table has no column family.
    """

    title: str
    what: str
    terms: str
    family: str = ""

    def __str__(self) -> str:
        return f"{self.title} ({self.what})" if self.what else self.title


OWN = "own"
"""Source of files whose table names none."""

_KNOWN = {
    OWN: Source("own files", "", "as their owners allow"),
    "dfdc": Source(
        "DFDC",
        "DeepFake Detection Challenge 2019-2020, mostly face swaps in videos",
        "research terms of the challenge",
        "dfdc",
    ),
    "fairface": Source("FairFace", "photos balanced by race and gender", "CC BY 4.0"),
    "ffhq": Source("FFHQ", "sharp portraits", "CC BY-NC-SA 4.0"),
    "sdfd_sd21": Source("SDFD", "portraits made by Stable Diffusion 2.1", "its authors' own terms", "diffusion"),
}


def source(name: str) -> Source:
    """Properties of a collection; little for an unknown one."""
    return _KNOWN.get(name, Source(name, "", "not known here"))


def family_of(source_name: str) -> str:
    """The family of a collection's fakes if its table names none: a known one, otherwise the collection's name."""
    return source(source_name).family or source_name
