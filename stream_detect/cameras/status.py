"""The status of a camera: its state, its counts and its newest result."""

from dataclasses import dataclass, replace
from typing import Protocol, Self

from stream_detect.analysis.challenge_control import ChallengeControl
from stream_detect.analysis.worker import AnalysisWorker
from stream_detect.cameras.intake import Intake
from stream_detect.types import Result, StateChange


@dataclass(frozen=True, slots=True)
class CameraCounts:
    """Since the camera was started; each only grows.

    Args:
        pictures: frames decoded.
        analysed: results.
        dropped_samples: sampled frames replaced before they were analysed.
        decode_errors: packets that could not be decoded, and frames that came out damaged.
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
        fps: frames per second over the last ten seconds.
        wh: size of the frame as players show it, in pixels; None before the first.
        codec: as FFmpeg or SDP names it ("h264"); empty before the first frame.
        viewers: who watch now.
        retry_at_s: when the next attempt is made, unix seconds; None when none is due.
        result: the newest; None before the first, and once it says nothing about now (state not live).
        result_age_s: seconds since that result came; None without one.
        node: of the cluster that has it; empty where it runs in the server's process, and while none has it.
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
    node: str = ""


class ConnectionCounts(Protocol):
    """What a connection counts."""

    @property
    def decode_errors(self) -> int:
        """Packets and frames that were of no use."""
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
        intake: of its frames.
        challenge: of the person before it.
    """

    worker: AnalysisWorker
    intake: Intake
    challenge: ChallengeControl


@dataclass(frozen=True, slots=True)
class Totals:
    """Replaced as a whole, so that whoever reads it without a lock never sees a count fall.

    Args:
        watch: the present one.
        connection: the present one.
        past: what earlier ones counted.
    """

    watch: Watch | None = None
    connection: ConnectionCounts | None = None
    past: CameraCounts = CameraCounts()

    @property
    def counts(self) -> CameraCounts:
        """The sums; `analysed` and `reconnects` are the past's."""
        past, watch, connection = self.past, self.watch, self.connection
        return replace(
            past,
            pictures=past.pictures + (watch.intake.pictures if watch else 0),
            dropped_samples=past.dropped_samples + (watch.worker.dropped_samples if watch else 0),
            decode_errors=past.decode_errors + (connection.decode_errors if connection else 0),
            received_bytes=past.received_bytes + (connection.received_bytes if connection else 0),
        )

    def disconnected(self) -> Self:
        """Without the connection."""
        sums, past = self.counts, self.past
        settled = replace(past, decode_errors=sums.decode_errors, received_bytes=sums.received_bytes)
        return replace(self, connection=None, past=settled)

    def stopped(self) -> Self:
        """Without connection and watch."""
        return replace(self, watch=None, connection=None, past=self.counts)
