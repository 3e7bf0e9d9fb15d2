"""What is known of a camera at a moment: its state in words, and its counts."""

from dataclasses import dataclass, replace
from typing import Protocol, Self

from stream_detect.analysis.worker import AnalysisWorker
from stream_detect.cameras.intake import Intake
from stream_detect.types import Result, StateChange


@dataclass(frozen=True, slots=True)
class CameraCounts:
    """Since the camera was started; each only grows.

    Args:
        pictures: decoded.
        analysed: results.
        dropped_samples: sampled pictures replaced before they were analysed.
        decode_errors: packets that could not be decoded, and pictures that came out corrupted.
        reconnects: attempts after the first.
        received_bytes: of packets.
    """

    pictures: int = 0
    analysed: int = 0
    dropped_samples: int = 0
    decode_errors: int = 0
    reconnects: int = 0
    received_bytes: int = 0


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """A camera at a moment.

    Args:
        name: of the camera.
        change: its state, and since when.
        counts: so far.
        fps: pictures a second over the last ten seconds.
        wh: size of the upright picture in pixels; None before the first.
        codec: as FFmpeg or SDP names it ("h264"); empty before the first picture.
        viewers: who watch now.
        retry_at_s: when the next attempt is made, unix seconds; None when none is due.
        result: the newest; None before the first, and once it says nothing about now (state not live).
        result_age_s: seconds since that result came; None without one.
    """

    name: str
    change: StateChange
    counts: CameraCounts
    fps: float
    wh: tuple[int, int] | None
    codec: str
    viewers: int
    retry_at_s: float | None
    result: Result | None
    result_age_s: float | None


class ConnectionCounts(Protocol):
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
class Watch:
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

    run: Watch | None = None
    connection: ConnectionCounts | None = None
    past: CameraCounts = CameraCounts()

    @property
    def counts(self) -> CameraCounts:
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
