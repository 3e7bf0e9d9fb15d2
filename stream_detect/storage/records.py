"""Stored records as frozen values, which rooms exchange instead of rows. All times are wall clock, unix seconds."""

import secrets
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from stream_detect.errors import NotFoundError
from stream_detect.media.credentials import Credentials

EventKind = Literal["fake", "offline", "frozen", "looped"]

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Judge:
    """The model and the thresholds of its verdicts, which say what a score meant at its time.

    Args:
        name: name of the bundle.
        sha256: sha256 of its weights.
        fake_enter: threshold of the window in [0, 1]; see `types.Thresholds` for all four.
        fake_leave: threshold below which a fake verdict ends.
        real_enter: threshold at or below which a window becomes real.
        real_leave: threshold above which a real verdict ends.
    """

    name: str
    sha256: str
    fake_enter: float
    fake_leave: float
    real_enter: float
    real_leave: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Files kept for an event, as names relative to the evidence folder; None if there is none.

    Args:
        picture: annotated JPEG of the frame.
        face: JPEG of the face.
        clip: video around the beginning, as received.
        bytes: total size.
        problem: why something is missing ("disk full"); empty if nothing is.
        sha256: name and SHA-256 of each file, for the chain; not read from the database.
    """

    picture: str | None = None
    face: str | None = None
    clip: str | None = None
    bytes: int = 0
    problem: str = ""
    sha256: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Event:
    """Something at a camera that people may want to be notified of.

    Args:
        id: 32 hexadecimal digits; sorts by time (UUID version 7).
        camera: name of the camera.
        kind: "fake": a face was called fake; "offline": the camera sent no frames; "frozen": its picture did not
            change; "looped": it repeated the same seconds.
        began_s: beginning in unix seconds.
        ended_s: end in unix seconds; None while it is ongoing.
        reason: a sentence.
        interrupted: the end is the last known time, because the process ended during the event.
        peak: highest fake_probability of the window in [0, 1]; None unless the kind is "fake".
        mean: mean fake_probability over the event, in [0, 1]; None unless the kind is "fake".
        track: number of the face's track; None unless the kind is "fake".
        judge: the model; None unless the kind is "fake".
        gaps_s: times at which frames were lost during the event.
        evidence: None if evidence is not enabled for the camera.
    """

    id: str
    camera: str
    kind: EventKind
    began_s: float
    ended_s: float | None
    reason: str
    interrupted: bool = False
    peak: float | None = None
    mean: float | None = None
    track: int | None = None
    judge: Judge | None = None
    gaps_s: tuple[float, ...] = field(default=())
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Selects events; None means any.

    Args:
        camera: name of the camera.
        kind: kind of the event.
        from_s: earliest beginning.
        to_s: latest beginning, exclusive.
        open: True for ongoing events, False for ended ones.
    """

    camera: str | None = None
    kind: EventKind | None = None
    from_s: float | None = None
    to_s: float | None = None
    open: bool | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A page of a longer list.

    Args:
        items: in the order of the list.
        next: cursor of the next page; None on the last.
    """

    items: tuple[Item, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Score:
    """A stream's window over one second, or one minute.

    Args:
        camera: name of the camera.
        at_s: beginning of that second or minute, an integer.
        low: lowest fake_probability in [0, 1]; None if no verdict had one.
        mean: mean fake_probability in [0, 1]; None if no verdict had one.
        high: highest fake_probability in [0, 1]; None if no verdict had one.
        state: worst verdict state, by `VerdictState.severity`.
        samples: number of results.
        scored: number of results with a score, the weight of `mean`; None for all, if any.
    """

    camera: str
    at_s: int
    low: float | None
    mean: float | None
    high: float | None
    state: str
    samples: int
    scored: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class StateEntry:
    """A camera entered a supervisor state.

    Args:
        camera: name of the camera.
        at_s: time in unix seconds.
        state: a `types.CameraState`.
        reason: a sentence.
    """

    camera: str
    at_s: float
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to a webhook, kept until it arrives or is given up.

    Args:
        id: of the delivery, 32 hexadecimal digits.
        webhook: name of the webhook.
        event_id: id of the event; empty for a test alert.
        body: JSON, as signed and sent.
        attempts: number of attempts so far.
        due_s: time of the next attempt.
        problem: problem of the last attempt; empty before the first.
    """

    id: str
    webhook: str
    event_id: str
    body: str
    attempts: int
    due_s: float
    problem: str = ""


AnalysisState = Literal["queued", "fetching", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded file, with properties of its content.

    Args:
        name: the sender's name for it, shown to people and never used as a path.
        bytes: length.
        sha256: sha256 of its content.
        kind: "image" or "video"; empty before the examination.
        width_px: width of the upright picture; 0 before the examination.
        height_px: height of the upright picture; 0 before the examination.
        duration_s: duration of a video; otherwise 0.
        fps: average frame rate of a video; otherwise 0.
        codec: name in FFmpeg or Pillow; empty before the examination.
    """

    name: str
    bytes: int
    sha256: str
    kind: str = ""
    width_px: int = 0
    height_px: int = 0
    duration_s: float = 0.0
    fps: float = 0.0
    codec: str = ""


@dataclass(frozen=True, slots=True)
class Analysis:
    """A job: one file, judged by one or several models. Its results are a file of `jobs.library`.

    Args:
        id: 32 hexadecimal digits; sorts by time (UUID version 7).
        state: state of the job.
        upload: the file.
        url: address that it is fetched from, without secrets; empty for an upload.
        models: names of the bundles, each with the sha256 of its weights.
        rate_hz: samples per second.
        created_s: time of its creation.
        started_s: time of its start; None before.
        ended_s: time at which it finished, failed or was cancelled; None before.
        done_share: share done, in [0, 1].
        problem: why it failed, in a sentence.
        verdict: worst state of its models, for lists; empty until it is done.
        same_as: id of the analysis whose results it uses; empty for its own.
        kept_bytes: total size of its files.
        attempts: number of starts; a file that crashes the process must not do so for ever.
        address: `url` with its secrets, until it is fetched; empty otherwise.
        credentials: Content Credentials of the file; None until it is done, and if done before 0.3.
    """

    id: str
    state: AnalysisState
    upload: Upload
    url: str
    models: tuple[tuple[str, str], ...]
    rate_hz: float
    created_s: float
    started_s: float | None = None
    ended_s: float | None = None
    done_share: float = 0.0
    problem: str = ""
    verdict: str = ""
    same_as: str = ""
    kept_bytes: int = 0
    attempts: int = 0
    address: str = field(default="", repr=False)
    credentials: Credentials | None = None

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.state in ENDED_STATES

    def moment(self, at_s: float) -> float:
        """The time of a change of state: `at_s`, but not before the previous one if the clock was set back."""
        return max(at_s, self.started_s or self.created_s)

    def number_of(self, model: str | None) -> int:
        """Index of a model; that of the first if None.

        Raises:
            NotFoundError: it did not judge.
        """
        names = [name for name, _ in self.models]
        if model is not None and model not in names:
            raise NotFoundError(f"expected one of {', '.join(names)}, received another model")
        return 0 if model is None else names.index(model)


ENDED_STATES: tuple[AnalysisState, ...] = ("done", "failed", "cancelled")

AnnotationState = Literal["queued", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Annotation:
    """Task of making an annotated video or picture.

    Args:
        analysis_id: id of the analysis.
        model: name of the bundle whose verdicts are drawn.
        state: current state.
        created_s: time of the request.
        done_share: share done, in [0, 1].
        problem: why it failed, in a sentence.
        attempts: number of starts.
    """

    analysis_id: str
    model: str
    state: AnnotationState
    created_s: float
    done_share: float = 0.0
    problem: str = ""
    attempts: int = 0


def new_id(at_s: float) -> str:
    """Makes an id of 32 hexadecimal digits that sorts by time: UUID version 7 (RFC 9562, section 5.7)."""
    time_ms = int(at_s * 1000) & (1 << 48) - 1
    return f"{time_ms << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62):032x}"
