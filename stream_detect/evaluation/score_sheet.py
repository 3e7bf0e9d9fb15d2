"""The output files of an evaluation: the CSV of scores, which grows row by row, and the reports."""

import csv
import errno
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Self, TextIO

from stream_detect.errors import DatasetError, StorageError
from stream_detect.evaluation.judge import Outcome
from stream_detect.media.files import put_whole, translated

COLUMNS = ("file", "label", "model", "fake_probability", "faces", "reason")


class ScoreSheet:
    """The CSV of scores. It is written to FILE.part, which replaces FILE at the end.

    An interrupted run keeps its rows in FILE.part, and an earlier FILE is unchanged.

    Args:
        file: output file; None writes nothing.
        models: names, in the order of the judgements.
    """

    def __init__(self, file: Path | None, models: Sequence[str]) -> None:
        self._file = file
        self._models = tuple(models)
        self._stream: TextIO | None = None

    def __enter__(self) -> Self:
        """Creates the file.

        Raises:
            DatasetError: it cannot be written.
        """
        if self._file is not None:
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._stream = part_of(self._file).open("w", newline="", encoding="utf-8")
                csv.writer(self._stream).writerow(COLUMNS)
            except OSError as error:
                raise _unwritable(self._file, error) from error
        return self

    def add(self, outcome: Outcome) -> None:
        """Writes a row for each model; fake_probability is empty if there is none.

        Raises:
            DatasetError: it cannot be written.
        """
        if self._stream is None or self._file is None:
            return
        rows = [
            (
                outcome.entry.file,
                outcome.entry.label,
                model,
                _exact(judged.fake_probability),
                judged.faces,
                judged.reason,
            )
            for model, judged in zip(self._models, outcome.judgements, strict=True)
        ]
        try:
            csv.writer(self._stream).writerows(rows)
            self._stream.flush()
        except OSError as error:
            raise _unwritable(self._file, error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file; without an error, it replaces FILE.

        Raises:
            DatasetError: it cannot be written.
        """
        if self._stream is None or self._file is None:
            return
        try:
            self._stream.close()
            if kind is None:
                part_of(self._file).replace(self._file)
        except OSError as failure:
            raise _unwritable(self._file, failure) from failure


def check_report(file: Path) -> None:
    """Checks that a report can be written, before the hours that an evaluation takes.

    Raises:
        DatasetError: it cannot.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with TemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        raise _unwritable(file, error) from error


def write_report(file: Path, text: str) -> None:
    """Writes a report atomically (`media.files.put_whole`). Its folder is created if missing.

    Args:
        file: the report; everybody whom the umask permits may read it, because its user shares it.
        text: its content.

    Raises:
        DatasetError: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        put_whole(file, lambda part: _write(part, text), private=False)
    except OSError as error:
        raise _unwritable(file, error) from error
    except StorageError as error:
        raise DatasetError(f"cannot write {file}: {error}") from error


def _write(part: Path, text: str) -> None:
    part.write_text(text, encoding="utf-8")


def part_of(file: Path) -> Path:
    """Path of a file that is being written."""
    return file.with_name(f"{file.name}.part")


def _exact(fake_probability: float | None) -> str:
    return "" if fake_probability is None else f"{fake_probability:.6f}"


def _unwritable(file: Path, error: OSError) -> DatasetError:
    return DatasetError(f"cannot write {file}: {translated(error, file.parent)}")
