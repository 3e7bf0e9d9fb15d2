"""The status of a camera: its state, its counts and its newest result."""

from dataclasses import dataclass, replace
from typing import Protocol, Self

from stream_detect.analysis.challenge_control import ChallengeControl
from stream_detect.analysis.worker import AnalysisWorker
from stream_detect.cameras.intake import Intake
from stream_detect.types import Result, StateChange


@dataclass(frozen=True, slots=True)
class CameraCounts:
    """Counters since the camera was started; they never decrease.

    Args:
        pictures: decoded frames.
        analysed: results.
        dropped_samples: sampled frames replaced before they were analysed.
        decode_errors: packets that could not be decoded, and damaged frames.
        reconnects: attempts after the first.
        received_bytes: size of all packets.
    """

    pictures: int = 0
    analysed: int = 0
    dropped_samples: int = 0
    decode_errors: int = 0
    reconnects: int = 0
    received_bytes: int = 0


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """Status of a camera at one moment.

    Args:
        name: name of the camera.
        change: its state, and when it was entered.
        counts: counters so far.
        fps: frames per second over the last ten seconds.
        wh: size of the frame as players show it, in pixels; None before the first.
        codec: name in FFmpeg or SDP ("h264"); empty before the first frame.
        viewers: current number of viewers.
        retry_at_s: time of the next attempt, unix seconds; None if none is due.
        result: the newest result; None before the first, and while the camera is not live.
        result_age_s: seconds since the frame of that result arrived; None if there is none.
        node: node of the cluster that runs it; empty in the server's process, and while no node has it.
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
    """Counters of a connection."""

    @property
    def decode_errors(self) -> int:
        """Number of unusable packets and frames."""
        ...

    @property
    def received_bytes(self) -> int:
        """Size of all packets."""
        ...


@dataclass(frozen=True, slots=True)
class Watch:
    """State of a camera between start and stop.

    Args:
        worker: worker of its analysis.
        intake: intake of its frames.
        challenge: challenge of the person in front of it.
    """

    worker: AnalysisWorker
    intake: Intake
    challenge: ChallengeControl


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of counters. Replaced as a whole, so that a reader without the lock never sees a count decrease.

    Args:
        watch: the current one.
        connection: the current one.
        past: counts of earlier ones.
    """

    watch: Watch | None = None
    connection: ConnectionCounts | None = None
    past: CameraCounts = CameraCounts()

    @property
    def counts(self) -> CameraCounts:
        """The sums; `analysed` and `reconnects` are those of the past."""
        past, watch, connection = self.past, self.watch, self.connection
        return replace(
            past,
            pictures=past.pictures + (watch.intake.pictures if watch else 0),
            dropped_samples=past.dropped_samples + (watch.worker.dropped_samples if watch else 0),
            decode_errors=past.decode_errors + (connection.decode_errors if connection else 0),
            received_bytes=past.received_bytes + (connection.received_bytes if connection else 0),
        )

    def disconnected(self) -> Self:
        """The totals without the connection."""
        sums, past = self.counts, self.past
        settled = replace(past, decode_errors=sums.decode_errors, received_bytes=sums.received_bytes)
        return replace(self, connection=None, past=settled)

    def stopped(self) -> Self:
        """The totals without connection and watch."""
        return replace(self, watch=None, connection=None, past=self.counts)
