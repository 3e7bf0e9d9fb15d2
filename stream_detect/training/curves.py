"""The course of a training on disk: points enter; curves.csv, and what TensorBoard reads, leave."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tensorboardX import SummaryWriter

CURVES_FILE = "curves.csv"
BOARD_FOLDER = "tensorboard"

Point = tuple[float, float, float]
"""Step, loss since the point before, validation AUC or NaN."""


class Curves:
    """A run's curves, a context manager.

    Args:
        folder: of the run.
        begun: points that are written already, of the checkpoint that the run goes on from.
    """

    def __init__(self, folder: Path, begun: Sequence[Point]) -> None:
        self._file = folder / CURVES_FILE
        # What a broken-off run wrote beyond its checkpoint is struck from TensorBoard's curves.
        after = int(begun[-1][0]) + 1 if begun else 0
        self._board = SummaryWriter(str(folder / BOARD_FOLDER), purge_step=after)

    def write(self, curve: Sequence[Point]) -> None:
        """Takes the newest point of the curve; the CSV file is replaced as a whole.

        Raises:
            OSError: it cannot be written.
        """
        step, loss, reached = curve[-1]
        scratch = self._file.with_name(f".{self._file.name}")
        with scratch.open("w", newline="", encoding="utf-8") as stream:
            table = csv.writer(stream)
            table.writerow(("step", "loss", "val_auc"))
            for at, mean, auc in curve:
                table.writerow((int(at), f"{mean:.5f}", "" if math.isnan(auc) else f"{auc:.5f}"))
        scratch.replace(self._file)
        self._board.add_scalar("loss", loss, int(step))
        if not math.isnan(reached):
            self._board.add_scalar("validation AUC", reached, int(step))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._board.close()
