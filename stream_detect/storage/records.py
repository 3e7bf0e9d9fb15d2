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
    """The model that judged, and where its verdicts change: what a score meant when it was given.

    Args:
        name: of the bundle.
        sha256: of its weights.
        fake_enter: threshold of the window in [0, 1]; see `types.Thresholds` for all four.
        fake_leave: threshold below which a fake verdict ends.
        real_enter: threshold from which on down a window is real.
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
    """Files kept of an event, by names relative to the evidence folder; None where there is none.

    Args:
        picture: annotated JPEG of the moment.
        face: JPEG of the face.
        clip: video from before to after the beginning, as received.
        bytes: of all together.
        problem: why something is missing ("disk full"); empty when all is well.
        sha256: name and SHA-256 of each file, for the chain; not read back.
    """

    picture: str | None = None
    face: str | None = None
    clip: str | None = None
    bytes: int = 0
    problem: str = ""
    sha256: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Event:
    """Something on a camera that people may want to be notified of.

    Args:
        id: 32 hexadecimal digits; sorts by time (UUID version 7).
        camera: name.
        kind: "fake": a face was called fake; "offline": the camera gave no frames; "frozen": its picture stood still;
            "looped": it showed the same seconds again and again.
        began_s: when.
        ended_s: when; None while it goes on.
        reason: a sentence.
        interrupted: the end is the last that was known, as the process ended in its middle.
        peak: highest fake_probability of the window in [0, 1]; None unless the kind is "fake".
        mean: mean fake_probability over the event, in [0, 1]; None unless the kind is "fake".
        track: number of the face's track; None unless the kind is "fake".
        judge: the model that judged; None unless the kind is "fake".
        gaps_s: when pictures were lost inside the event.
        evidence: None when the camera's owner did not ask for any.
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
    """Which events to list; None leaves that matter open.

    Args:
        camera: name.
        kind: of the event.
        from_s: began then or later.
        to_s: began before.
        open: True: those that go on; False: those that ended.
    """

    camera: str | None = None
    kind: EventKind | None = None
    from_s: float | None = None
    to_s: float | None = None
    open: bool | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some of a longer list.

    Args:
        items: in the list's order.
        next: cursor of the following page; None on the last.
    """

    items: tuple[Item, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Score:
    """A stream's window over one second, or one minute.

    Args:
        camera: name.
        at_s: beginning of that second or minute, a whole number.
        low: lowest fake_probability in [0, 1]; None when no verdict had one.
        mean: mean fake_probability in [0, 1]; None when no verdict had one.
        high: highest fake_probability in [0, 1]; None when no verdict had one.
        state: the worst verdict state of it, by `VerdictState.severity`.
        samples: results that it is made of.
        scored: those of them that had a verdict to take a score from, which `mean` is weighed by; None: all, if any.
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
        camera: name.
        at_s: when.
        state: a `types.CameraState`.
        reason: a sentence.
    """

    camera: str
    at_s: float
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook's message on its way: kept until it arrived or was given up.

    Args:
        id: of the delivery, 32 hexadecimal digits.
        webhook: name.
        event_id: the event that it is about; empty for a test alert.
        body: JSON, as it will be signed and sent.
        attempts: made so far.
        due_s: when the next is made.
        problem: of the last attempt; empty before the first.
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
    """A file that was given to be analysed, by what its content says.

    Args:
        name: as the sender called it, shown to people and never used as a path.
        bytes: length.
        sha256: of its content.
        kind: "image" or "video"; empty until it was looked at.
        width_px: of the upright picture; 0 until it was looked at.
        height_px: of the upright picture; 0 until it was looked at.
        duration_s: of a video; 0 otherwise.
        fps: of a video, on average; 0 otherwise.
        codec: as FFmpeg or Pillow names it; empty until it was looked at.
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
        state: of the job.
        upload: the file.
        url: where it is fetched from, without secrets; empty for an upload.
        models: names of the bundles, each with the sha256 of its weights.
        rate_hz: samples per second.
        created_s: when.
        started_s: when it began to run; None before.
        ended_s: when it was done, failed or was cancelled; None before.
        done_share: how much of it is done, in [0, 1].
        problem: why it failed, in a sentence.
        verdict: worst state over its models, for lists; empty until it is done.
        same_as: id of the analysis whose results these are; empty for its own.
        kept_bytes: of all its files.
        attempts: how often it was begun; a file that ends the process must not do so for ever.
        address: `url` with its secrets, until it is fetched; empty otherwise.
        credentials: what the file's Content Credentials say; None until it is done, and of those done before 0.3.
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
        """Whether nothing more will happen to it."""
        return self.state in ENDED_STATES

    def number_of(self, model: str | None) -> int:
        """Place of a model among those that judged; the first one's if None.

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
    """The making of an annotated video, or picture.

    Args:
        analysis_id: of what.
        model: name of the bundle whose verdicts are drawn.
        state: where it is.
        created_s: when somebody asked for it.
        done_share: how much of it is done, in [0, 1].
        problem: why it failed, in a sentence.
        attempts: how often it was begun.
    """

    analysis_id: str
    model: str
    state: AnnotationState
    created_s: float
    done_share: float = 0.0
    problem: str = ""
    attempts: int = 0


def new_id(at_s: float) -> str:
    """A new id, 32 hexadecimal digits that sort by time: UUID version 7 (RFC 9562, section 5.7)."""
    time_ms = int(at_s * 1000) & (1 << 48) - 1
    return f"{time_ms << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62):032x}"
