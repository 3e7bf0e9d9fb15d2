"""The output files of an evaluation: the CSV of scores, which grows row by row, and files that are replaced whole."""

import csv
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from stream_detect.errors import DatasetError
from stream_detect.evaluation.judge import Outcome

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
        """Closes the file."""
        if self._stream is None or self._file is None:
            return
        self._stream.close()
        if kind is None:
            part_of(self._file).replace(self._file)


def write_whole(file: Path, text: str) -> None:
    """Writes a file atomically.

    Raises:
        DatasetError: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part_of(file).write_text(text, encoding="utf-8")
        part_of(file).replace(file)
    except OSError as error:
        raise _unwritable(file, error) from error


def part_of(file: Path) -> Path:
    """Path of a file that is being written."""
    return file.with_name(f"{file.name}.part")


def _exact(fake_probability: float | None) -> str:
    return "" if fake_probability is None else f"{fake_probability:.6f}"


def _unwritable(file: Path, error: OSError) -> DatasetError:
    return DatasetError(f"cannot write {file}: {error.strerror}; make room or name another place")
