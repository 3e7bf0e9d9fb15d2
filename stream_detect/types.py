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
    """What a user may do: each role may do all that the one before it may."""

    VIEWER = "viewer"
    """Watch cameras; read events, evidence and analyses."""
    OPERATOR = "operator"
    """Live checks, uploads, test alerts, publishing."""
    ADMIN = "admin"
    """Cameras, models, users, settings, deletion, the audit log."""

    def covers(self, least: "Role") -> bool:
        """Whether this role may do what needs `least`."""
        order = list(Role)
        return order.index(self) >= order.index(least)


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture of a stream.

    Args:
        image: RGB uint8 (h, w, 3).
        time_s: stream time in seconds; rises from frame to frame, may start anywhere.
        arrived_s: monotonic wall clock when the frame reached us, for latency.
        pts: presentation timestamp in the track's own clock (90 kHz for WebRTC video), where it has one.
        gap: something was lost just before this frame (reconnect, packet loss, corruption).
    """

    image: Image
    time_s: float
    arrived_s: float
    pts: int | None = None
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face.

    Args:
        xyxy: bounding box in frame pixels; may reach over the frame's edge.
        keypoints: float32 (6, 2), x and y in frame pixels: right eye, left eye, nose tip, mouth centre, right ear
            tragion, left ear tragion ("right" is the person's own right, the left of an unmirrored picture).
        score: the detector's confidence in [0, 1].
        fresh: found in this very frame; False where its part of the frame was not searched, and it is given as it was.
    """

    xyxy: Xyxy
    keypoints: NDArray[np.float32]
    score: float
    fresh: bool = True


class VerdictState(StrEnum):
    """What the badge says, from the least to the most severe; the `severity` of what is recorded follows this order.

    `uncertain`, `gathering` and `no_face` are answers, not failures. A live stream's verdict has an order of its own
    (`analysis.verdict.SEVERITY`): it is not called real while one of its faces is still gathered.
    """

    NO_FACE = "no_face"
    GATHERING = "gathering"
    REAL = "real"
    UNCERTAIN = "uncertain"
    FAKE = "fake"

    @property
    def severity(self) -> int:
        """Place in the order, 0 (`no_face`) to 4 (`fake`); the worst of several states has the highest."""
        return tuple(VerdictState).index(self)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state with its reason.

    Args:
        state: what the badge says.
        reason: one short sentence a person can read, e.g. "5 of 12 usable frames".
        fake_probability: robust mean of the window in [0, 1]; None without enough evidence.
        admitted: scores in the window that the quality gate let in.
        needed: admitted scores that a verdict takes.
    """

    state: VerdictState
    reason: str
    fake_probability: float | None
    admitted: int
    needed: int


@dataclass(frozen=True, slots=True)
class TrackResult:
    """What is known of one face at the time of a `Result`.

    Args:
        track_id: number of the track, from 1, never used again in a stream.
        face: newest detection.
        verdict: of this track's window.
        score: fake_probability of this very sample after calibration; None when not scored or not admitted.
        rejected: why the quality gate refused this sample ("face too small"); None when admitted or not scored.
        trace: calibrated fake_probability of the window's samples, oldest first; NaN marks a refused sample or a gap.
        score_age_s: stream time since the newest admitted score; None without one in the window.
    """

    track_id: int
    face: Face
    verdict: Verdict
    score: float | None
    rejected: str | None
    trace: tuple[float, ...]
    score_age_s: float | None = None


class FeedState(StrEnum):
    """What a feed does: it is live, its picture froze, or it plays the same seconds again and again."""

    LIVE = "live"
    FROZEN = "frozen"
    LOOPED = "looped"


@dataclass(frozen=True, slots=True)
class Result:
    """What the analysis says of a stream at one sampled frame.

    Args:
        sequence: counts results of a stream from 1.
        time_s: stream time of the frame.
        arrived_s: monotonic wall clock at which that frame reached us.
        pts: the frame's timestamp in the track's clock.
        wh: width and height of the frame in pixels.
        verdict: of the stream: its worst track's.
        tracks: one a face in the picture.
        latency_s: from the frame's arrival to this result, wall clock.
        dropped_samples: sampled frames of this stream replaced in the mailbox before they were analysed, so far.
        error: why there is no analysis ("analysis unavailable: ..."); None when all is well.
        model_sha256: of the bundle whose model gave the scores; empty where nobody said.
        feed: whether the feed is live; a frozen or looped one is never called real.
        feed_reason: a sentence for people; empty while it is live.
        challenge: the stream's newest challenge; None when none was asked for.
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
    """What the supervisor is doing.

    connecting ──first picture──> live ──no picture for stall_s──> stalled ─┐
        │  └──failure──> backing_off <──failure, clean end──┘ <─────────────┘
        │                    └──pause over──> connecting
        └──wrong credentials──> refused ──long pause──> connecting          any ──stop──> stopped

    On a cluster any ──its worker or node does not answer──> lost_node ──another worker has it──> connecting.

    A connection whose packets never become a picture has stalled too; a pushed camera's stall ends with its next
    picture; a file that is not to begin again ends as stopped.
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
class CropPolicy:
    """How a face is cut out for a model; part of the bundle's contract.

    Args:
        wh: width and height of the crop in pixels.
        centre: "nose" (the nose tip) or "box" (the middle of the detector's box).
        side: what the side of the square is measured by: "landmarks" = max(eye distance, eye-mouth distance), as
            MesoNet's crops were (FACTS.md: factor 2.86), or "box" = the longer side of the detector's box.
        side_factor: side of the square / that measure.
        upright: turn the crop so that the eyes are level.
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
        """Calibrated logit of a raw model output in [0, 1]; finite (the input is clipped to 1e-6 from its ends)."""
        p = min(max(fake_probability, 1e-6), 1.0 - 1e-6)
        return self.slope * math.log(p / (1.0 - p)) + self.intercept


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Hysteresis of the verdict on the window's calibrated fake_probability, each in [0, 1].

    `fake` is entered at fake_enter and left below fake_leave; `real` is entered at real_enter and left above
    real_leave; between them the answer is `uncertain`. real_enter < real_leave <= fake_leave < fake_enter.
    """

    fake_enter: float = 0.8
    fake_leave: float = 0.6
    real_enter: float = 0.2
    real_leave: float = 0.4


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an SDP offer.

    Args:
        session_id: to close it by; unguessable.
        sdp: the session description.
        etag: of the ICE session, for WHIP and WHEP; empty for a check.
    """

    session_id: str
    sdp: str
    etag: str = ""


class Detector(Protocol):
    """Finds faces. Not safe to call from two threads at once: one per stream."""

    def detect(self, image: Image) -> list[Face]:
        """Faces in an RGB picture of any size, best score first.

        Raises:
            AnalysisError: the detector could not be run.
        """
        ...


class Classifier(Protocol):
    """Scores face crops by a bundle's model. Not safe to call from two threads at once: one per stream."""

    @property
    def crop(self) -> CropPolicy:
        """How faces are to be cut out for `predict`."""
        ...

    @property
    def calibration(self) -> Calibration:
        """Of what `predict` returns."""
        ...

    @property
    def thresholds(self) -> Thresholds:
        """Where the verdict changes."""
        ...

    def predict(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Raw (uncalibrated) fake_probability of each crop.

        Args:
            crops: RGB uint8 (n, h, w, 3), cut by `crop`.

        Returns:
            float32 (n,), each in [0, 1], 1 = fake.

        Raises:
            AnalysisError: the model could not be run or gave a number outside [0, 1].
        """
        ...
