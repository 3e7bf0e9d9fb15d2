"""Totals: what a camera's present connection and run count enters, the sums since the camera was made leave."""

from dataclasses import dataclass, replace
from typing import Protocol, Self

from stream_detect.analysis.worker import AnalysisWorker
from stream_detect.monitoring.intake import Intake
from stream_detect.monitoring.status import Counts


class Received(Protocol):
    """What a connection counts."""

    @property
    def decode_errors(self) -> int:
        """Packets and pictures that were of no use."""
        ...

    @property
    def received_bytes(self) -> int:
        """Of packets."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """What lasts from a camera's start to its stop.

    Args:
        worker: of its analysis.
        intake: of its pictures.
    """

    worker: AnalysisWorker
    intake: Intake


@dataclass(frozen=True, slots=True)
class Totals:
    """Replaced as a whole, so that whoever reads it without a lock never sees a count fall.

    Args:
        run: the present one.
        connection: the present one.
        past: what earlier ones counted.
    """

    run: Run | None = None
    connection: Received | None = None
    past: Counts = Counts()  # noqa: RUF009 - frozen

    @property
    def counts(self) -> Counts:
        """The sums; `analysed` and `reconnects` are the past's."""
        past, run, connection = self.past, self.run, self.connection
        return replace(
            past,
            pictures=past.pictures + (run.intake.pictures if run else 0),
            dropped_samples=past.dropped_samples + (run.worker.dropped_samples if run else 0),
            decode_errors=past.decode_errors + (connection.decode_errors if connection else 0),
            received_bytes=past.received_bytes + (connection.received_bytes if connection else 0),
        )

    def disconnected(self) -> Self:
        """Without the connection."""
        sums, past = self.counts, self.past
        settled = replace(past, decode_errors=sums.decode_errors, received_bytes=sums.received_bytes)
        return replace(self, connection=None, past=settled)

    def stopped(self) -> Self:
        """Without connection and run."""
        return replace(self, run=None, connection=None, past=self.counts)
