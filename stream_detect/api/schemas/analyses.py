"""Bodies of analyses of uploads."""

import time
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field

from stream_detect.api.schemas import Body, Share
from stream_detect.media.credentials import Credentials, CredentialsState
from stream_detect.storage.records import Analysis, AnalysisState, Annotation, AnnotationState, Upload
from stream_detect.types import VerdictState

_ETA_FROM_SHARE = 0.02
_ETA_FROM_S = 1.0
"""Before that the speed is unknown."""


class UploadBody(Body):
    """The file, with properties of its content; zeros before the examination."""

    name: str = Field(description="as the sender called it, cleaned to be shown")
    bytes: int
    sha256: str
    kind: Literal["", "image", "video"] = Field(description='"image", "video", or empty until it was looked at')
    width: int
    height: int
    duration_s: float
    fps: float
    codec: str

    @classmethod
    def of(cls, upload: Upload) -> Self:
        """The upload as JSON."""
        return cls(
            name=upload.name,
            bytes=upload.bytes,
            sha256=upload.sha256,
            kind=upload.kind,
            width=upload.width_px,
            height=upload.height_px,
            duration_s=upload.duration_s,
            fps=upload.fps,
            codec=upload.codec,
        )


class AnalysisModelBody(Body):
    """A model of an analysis."""

    name: str
    sha256: str


class ContentCredentialsBody(Body):
    """Content Credentials (C2PA) of a file, independent of the verdict."""

    state: CredentialsState = Field(
        description="none; valid: the signature holds, by a trusted signer; untrusted: it holds, but nobody vouches "
        "for the signer; broken: it does not hold; unreadable; unread: the server lacks the extra c2pa"
    )
    signer: str | None
    issuer: str | None = Field(description="of the signer's certificate")
    generated: bool | None = Field(description="whether the file declares itself made by, or with, a generator")
    actions: tuple[str, ...] = Field(description="what was done to it, such as c2pa.edited")
    claim_generator: str | None = Field(description="the program that wrote it")
    problem: str | None = Field(description="why the state is not valid")

    @classmethod
    def of(cls, credentials: Credentials) -> Self:
        """The credentials as JSON."""
        return cls(**credentials.as_json())


class AnalysisBody(Body):
    """An analysis."""

    id: str
    state: AnalysisState
    problem: str = Field(description="why it failed; empty when it did not")
    created_s: float
    started_s: float | None
    ended_s: float | None
    done_share: Share
    eta_s: float | None = Field(description="null while nobody knows")
    file: UploadBody
    url: str = Field(description="where it is fetched from, without secrets; empty for an upload")
    models: tuple[AnalysisModelBody, ...]
    rate_hz: float
    verdict: VerdictState | None = Field(description="the worst over the models; null until it is done")
    same_as: str | None = Field(description="id of the earlier analysis whose results these are")
    credentials: ContentCredentialsBody | None = Field(
        description="Content Credentials of the file; null until it is done"
    )

    @classmethod
    def of(cls, analysis: Analysis) -> Self:
        """The analysis in its current state, as JSON."""
        return cls(
            id=analysis.id,
            state=analysis.state,
            problem=analysis.problem,
            created_s=analysis.created_s,
            started_s=analysis.started_s,
            ended_s=analysis.ended_s,
            done_share=round(analysis.done_share, 4),
            eta_s=_eta_s(analysis, time.time()),
            file=UploadBody.of(analysis.upload),
            url=analysis.url,
            models=tuple(AnalysisModelBody(name=name, sha256=sha256) for name, sha256 in analysis.models),
            rate_hz=analysis.rate_hz,
            verdict=VerdictState(analysis.verdict) if analysis.verdict else None,
            same_as=analysis.same_as or None,
            credentials=None if analysis.credentials is None else ContentCredentialsBody.of(analysis.credentials),
        )


class AnalysesBody(Body):
    """Analyses, in the order of the files."""

    items: tuple[AnalysisBody, ...]


class AnalysesPageBody(Body):
    """A page of analyses, newest first."""

    items: tuple[AnalysisBody, ...]
    next: str | None = Field(description="cursor of the next page; null on the last")


class AddressWish(Body):
    """A file to fetch and judge."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[str, Field(max_length=2048)]
    models: Annotated[tuple[str, ...], Field(max_length=16)] = ()
    rate_hz: float | None = None


class AnnotationBody(Body):
    """The annotated video of an analysis."""

    state: AnnotationState | Literal["none"] = Field(description="none: it was not requested")
    done_share: Share
    problem: str = Field(description="why it failed; empty when it did not")

    @classmethod
    def of(cls, annotation: Annotation | None) -> Self:
        """The annotated video as JSON."""
        if annotation is None:
            return cls(state="none", done_share=0.0, problem="")
        return cls(state=annotation.state, done_share=round(annotation.done_share, 4), problem=annotation.problem)


def _eta_s(analysis: Analysis, now_s: float) -> float | None:
    if analysis.state != "running" or analysis.started_s is None:
        return None
    elapsed_s, share = now_s - analysis.started_s, analysis.done_share
    if share < _ETA_FROM_SHARE or elapsed_s < _ETA_FROM_S:
        return None
    return round(elapsed_s * (1.0 - share) / share, 1)
