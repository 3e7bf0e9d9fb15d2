"""What is known of a camera at a moment: its state in words, and its counts."""

from dataclasses import dataclass
from enum import StrEnum

from stream_detect.types import Result


class CameraState(StrEnum):
    """What the supervisor is doing.

    connecting ──first picture──> live ──no picture for stall_s──> stalled ─┐
        │  └──failure──> backing_off <──failure, clean end──┘ <─────────────┘
        │                    └──pause over──> connecting
        └──wrong credentials──> refused ──long pause──> connecting          any ──stop──> stopped

    A connection whose packets never become a picture has stalled too; a pushed camera's stall ends with its next
    picture; a file that is not to begin again ends as stopped.
    """

    CONNECTING = "connecting"
    LIVE = "live"
    STALLED = "stalled"
    BACKING_OFF = "backing_off"
    REFUSED = "refused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class StateChange:
    """A camera entered a state.

    Args:
        camera: its name.
        state: the one it is in from now on.
        reason: one short sentence a person can read, without secrets ("the camera refused the password").
        at_s: wall clock, unix seconds.
    """

    camera: str
    state: CameraState
    reason: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Counts:
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
    counts: Counts
    fps: float
    wh: tuple[int, int] | None
    codec: str
    viewers: int
    retry_at_s: float | None
    result: Result | None
    result_age_s: float | None
