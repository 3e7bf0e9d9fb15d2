"""Bodies of events, with the URLs of their evidence."""

from dataclasses import asdict
from typing import Self

from pydantic import Field

from stream_detect.api.schemas import Body, Share
from stream_detect.api.schemas.status import ThresholdsBody
from stream_detect.storage.records import Event, EventKind, Evidence, Judge


class EventJudgeBody(Body):
    """The model of an event, with its thresholds at that time."""

    name: str
    sha256: str
    thresholds: ThresholdsBody

    @classmethod
    def of(cls, judge: Judge) -> Self:
        """The model as JSON."""
        values = asdict(judge)
        return cls(name=values.pop("name"), sha256=values.pop("sha256"), thresholds=ThresholdsBody(**values))


class EvidenceBody(Body):
    """Routes to the evidence of an event; null if there is none."""

    picture: str | None
    face: str | None
    clip: str | None
    bytes: int
    problem: str = Field(description="why evidence is missing; empty if all is well")

    @classmethod
    def of(cls, event_id: str, evidence: Evidence) -> Self:
        """Evidence as JSON: routes instead of file names."""
        folder = f"/api/events/{event_id}"
        return cls(
            picture=f"{folder}/picture.jpg" if evidence.picture else None,
            face=f"{folder}/face.jpg" if evidence.face else None,
            clip=f"{folder}/clip.mp4" if evidence.clip else None,
            bytes=evidence.bytes,
            problem=evidence.problem,
        )


class EventBody(Body):
    """An event."""

    id: str
    camera: str
    kind: EventKind
    began_s: float
    ended_s: float | None = Field(description="null while the event is ongoing")
    interrupted: bool = Field(description="the server stopped during the event; `ended_s` is the last known time")
    reason: str
    peak: Share | None
    mean: Share | None
    track: int | None
    gaps_s: tuple[float, ...]
    model: EventJudgeBody | None
    evidence: EvidenceBody | None

    @classmethod
    def of(cls, event: Event) -> Self:
        """The event as JSON."""
        return cls(
            id=event.id,
            camera=event.camera,
            kind=event.kind,
            began_s=event.began_s,
            ended_s=event.ended_s,
            interrupted=event.interrupted,
            reason=event.reason,
            peak=_share(event.peak),
            mean=_share(event.mean),
            track=event.track,
            gaps_s=event.gaps_s,
            model=EventJudgeBody.of(event.judge) if event.judge else None,
            evidence=EvidenceBody.of(event.id, event.evidence) if event.evidence else None,
        )


class EventsBody(Body):
    """A page of events, newest first."""

    items: tuple[EventBody, ...]
    next: str | None = Field(description="value of `cursor` for the next page; null on the last")


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
