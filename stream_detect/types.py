"""The values that rooms exchange, and the two protocols that models implement: `Detector` and `Classifier`.

Images are RGB uint8 (h, w, 3). Boxes are xyxy in pixels of the frame that they were found in. `time_s` is stream time,
from the frames' presentation timestamps; `arrived_s` is the monotonic wall clock and serves latency only. Every score
is a `fake_probability` in [0, 1], 1 = fake.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from stream_detect.challenge_record import ChallengeRecord

Image = NDArray[np.uint8]
"""RGB, shape (h, w, 3), dtype uint8."""

Grey = NDArray[np.uint8]
"""Luma or mean of an image, shape (h, w), dtype uint8."""

Xyxy = tuple[float, float, float, float]
"""left, top, right, bottom in pixels; right and bottom are exclusive."""


class Role(StrEnum):
    """Role of a user, with all rights of the previous one."""

    VIEWER = "viewer"
    """May watch cameras and read events, evidence and analyses."""
    OPERATOR = "operator"
    """May also run live checks, upload files, send test alerts and publish."""
    ADMIN = "admin"
    """May also change cameras, models, users and settings, delete data and read the audit log."""

    def covers(self, least: "Role") -> bool:
        """Whether this role includes `least`."""
        order = list(Role)
        return order.index(self) >= order.index(least)


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame of a stream.

    Args:
        image: RGB uint8 (h, w, 3).
        time_s: stream time in seconds; increases from frame to frame, may start anywhere.
        arrived_s: arrival in monotonic seconds, for latency.
        pts: presentation timestamp in the track's clock (90 kHz for WebRTC video), if it has one.
        gap: something was lost just before this frame (reconnect, packet loss, corruption).
        watched: whether somebody watches the stream now; if not, a steady verdict is renewed less often.
    """

    image: Image
    time_s: float
    arrived_s: float
    pts: int | None = None
    gap: bool = False
    watched: bool = True


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face.

    Args:
        xyxy: bounding box in frame pixels; may extend beyond the frame.
        keypoints: float32 (6, 2), x and y in frame pixels: right eye, left eye, nose tip, mouth centre, right ear
            tragion, left ear tragion ("right" is the person's own right, the left of an unmirrored picture).
        score: the detector's confidence in [0, 1].
        fresh: found in this frame; False if its part of the frame was not searched, and an earlier detection is
            repeated.
    """

    xyxy: Xyxy
    keypoints: NDArray[np.float32]
    score: float
    fresh: bool = True


class VerdictState(StrEnum):
    """State of a verdict, from least to most severe; the `severity` in records follows this order.

    `uncertain`, `gathering` and `no_face` are answers, not failures. The verdict of a live stream uses another order
    (`analysis.verdict.SEVERITY`): it is not real while one of its faces is still `gathering`.
    """

    NO_FACE = "no_face"
    GATHERING = "gathering"
    REAL = "real"
    UNCERTAIN = "uncertain"
    FAKE = "fake"

    @property
    def severity(self) -> int:
        """Index in the order, 0 (`no_face`) to 4 (`fake`); the worst of several states has the highest."""
        return tuple(VerdictState).index(self)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state with its reason.

    Args:
        state: shown on the badge.
        reason: one short sentence for people, e.g. "5 of 12 usable frames".
        fake_probability: robust mean of the window in [0, 1]; None without enough evidence.
        admitted: scores in the window that the quality gate admitted.
        needed: admitted scores that a verdict needs.
    """

    state: VerdictState
    reason: str
    fake_probability: float | None
    admitted: int
    needed: int


@dataclass(frozen=True, slots=True)
class TrackResult:
    """Result of one face track in a `Result`.

    Args:
        track_id: number of the track, from 1, never reused in a stream.
        face: the newest detection.
        verdict: verdict on this track's window.
        score: calibrated fake_probability of this sample; None if not scored or not admitted.
        rejected: why the quality gate rejected this sample ("face too small"); None if admitted or not scored.
        trace: calibrated fake_probability of the window's samples, oldest first; NaN marks a rejected sample or a gap.
        score_age_s: stream time since the newest admitted score; None if the window has none.
    """

    track_id: int
    face: Face
    verdict: Verdict
    score: float | None
    rejected: str | None
    trace: tuple[float, ...]
    score_age_s: float | None = None


class FeedState(StrEnum):
    """State of a feed: live, frozen (the picture does not change), or looped (the same seconds are repeated)."""

    LIVE = "live"
    FROZEN = "frozen"
    LOOPED = "looped"


@dataclass(frozen=True, slots=True)
class Result:
    """Result of the analysis for one sampled frame of a stream.

    Args:
        sequence: number of the result in its stream, from 1.
        time_s: stream time of the frame.
        arrived_s: arrival of that frame in monotonic seconds.
        pts: the frame's timestamp in the track's clock.
        wh: width and height of the frame in pixels.
        verdict: verdict on the stream, that of its worst track.
        tracks: one per face in the frame.
        latency_s: time from the frame's arrival to this result.
        dropped_samples: number of sampled frames so far that were replaced before they were analysed.
        error: why there is no analysis ("analysis unavailable: ..."); None if all is well.
        model_sha256: sha256 of the bundle that gave the scores; empty if unknown.
        feed: state of the feed; a frozen or looped one is never called real.
        feed_reason: a sentence for people; empty while it is live.
        challenge: newest challenge of the stream; None if there was none.
    """

    sequence: int
    time_s: float
    arrived_s: float
    pts: int | None
    wh: tuple[int, int]
    verdict: Verdict
    tracks: tuple[TrackResult, ...]
    latency_s: float
    dropped_samples: int
    error: str | None = None
    model_sha256: str = ""
    feed: FeedState = FeedState.LIVE
    feed_reason: str = ""
    challenge: ChallengeRecord | None = None


class CameraState(StrEnum):
    """State of a camera's supervisor.

    connecting ──first picture──> live ──no picture for stall_s──> stalled ─┐
        │  └──failure──> backing_off <──failure, clean end──┘ <─────────────┘
        │                    └──pause over──> connecting
        └──wrong credentials──> refused ──long pause──> connecting          any ──stop──> stopped

    On a cluster any ──its worker or node does not answer──> lost_node ──another worker has it──> connecting.

    A connection whose packets never give a frame has stalled too; the stall of a pushed camera ends with its next
    frame; a file without `loop` ends as stopped.
    """

    CONNECTING = "connecting"
    LIVE = "live"
    STALLED = "stalled"
    BACKING_OFF = "backing_off"
    REFUSED = "refused"
    STOPPED = "stopped"
    LOST_NODE = "lost_node"


@dataclass(frozen=True, slots=True)
class StateChange:
    """A camera entered a state.

    Args:
        camera: name of the camera.
        state: the new state.
        reason: one short sentence for people, without secrets ("the camera refused the password").
        at_s: wall clock, unix seconds.
    """

    camera: str
    state: CameraState
    reason: str
    at_s: float


@dataclass(frozen=True, slots=True)
class CropPolicy:
    """How a face is cropped for a model; part of the bundle's contract.

    Args:
        wh: width and height of the crop in pixels.
        centre: "nose" (the nose tip) or "box" (the middle of the detector's box).
        side: reference for the side of the square: "landmarks" = max(eye distance, eye-mouth distance), like MesoNet's
            crops (measured: factor 2.86), or "box" = the longer side of the detector's box.
        side_factor: side of the square / that reference.
        upright: rotate the crop so that the eyes are level.
    """

    wh: tuple[int, int]
    centre: Literal["nose", "box"] = "nose"
    side: Literal["landmarks", "box"] = "landmarks"
    side_factor: float = 2.86
    upright: bool = True


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt scaling (Platt 1999): logit' = slope * logit + intercept."""

    slope: float = 1.0
    intercept: float = 0.0

    def logit(self, fake_probability: float) -> float:
        """Calibrated logit of a raw model output in [0, 1]; finite (the input is clipped to [1e-6, 1 - 1e-6])."""
        p = min(max(fake_probability, 1e-6), 1.0 - 1e-6)
        return self.slope * math.log(p / (1.0 - p)) + self.intercept


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Hysteresis of the verdict on the window's calibrated fake_probability, each in [0, 1].

    `fake` starts at fake_enter and ends below fake_leave; `real` starts at real_enter and ends above real_leave; in
    between the verdict is `uncertain`. real_enter < real_leave <= fake_leave < fake_enter.
    """

    fake_enter: float = 0.8
    fake_leave: float = 0.6
    real_enter: float = 0.2
    real_leave: float = 0.4


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an SDP offer.

    Args:
        session_id: identifies the session to close; unguessable.
        sdp: the session description.
        etag: ETag of the ICE session, for WHIP and WHEP; empty for a check.
    """

    session_id: str
    sdp: str
    etag: str = ""


class Detector(Protocol):
    """Finds faces. Not safe to call from two threads at once: use one per stream."""

    def detect(self, image: Image) -> list[Face]:
        """Finds faces in an RGB image of any size, best score first.

        Raises:
            AnalysisError: the detector failed.
        """
        ...


class Classifier(Protocol):
    """Scores face crops with a bundle's model. Not safe to call from two threads at once: use one per stream."""

    @property
    def crop(self) -> CropPolicy:
        """How to crop faces for `predict`."""
        ...

    @property
    def calibration(self) -> Calibration:
        """Calibration of the output of `predict`."""
        ...

    @property
    def thresholds(self) -> Thresholds:
        """Thresholds at which the verdict changes."""
        ...

    def predict(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Raw (uncalibrated) fake_probability of each crop.

        Args:
            crops: RGB uint8 (n, h, w, 3), cut by `crop`.

        Returns:
            float32 (n,), each in [0, 1], 1 = fake.

        Raises:
            AnalysisError: the model failed, or returned a number outside [0, 1].
        """
        ...
