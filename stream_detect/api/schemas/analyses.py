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
    """The file and the properties of its content, which are empty or 0 until it has been examined."""

    name: str = Field(description="name given by the client, made safe to display")
    bytes: int
    sha256: str
    kind: Literal["", "image", "video"] = Field(
        description='"image" or "video"; empty until the file has been examined'
    )
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
        description="none: the file has none; valid: the signature is valid and its signer trusted; untrusted: the "
        "signature is valid, but its signer is not trusted; broken: the signature is invalid; unreadable: they cannot "
        "be parsed; unread: the server lacks the extra c2pa"
    )
    signer: str | None
    issuer: str | None = Field(description="issuer of the signer's certificate")
    generated: bool | None = Field(description="whether the file declares that it was made by or with a generator")
    actions: tuple[str, ...] = Field(description="recorded actions, such as c2pa.edited")
    claim_generator: str | None = Field(description="the program that wrote the credentials")
    problem: str | None = Field(description="why the credentials are not valid")

    @classmethod
    def of(cls, credentials: Credentials) -> Self:
        """The credentials as JSON."""
        return cls(**credentials.as_json())


class AnalysisBody(Body):
    """An analysis."""

    id: str
    state: AnalysisState
    problem: str = Field(description="why it failed; empty if it did not")
    created_s: float
    started_s: float | None
    ended_s: float | None
    done_share: Share
    eta_s: float | None = Field(description="estimated remaining time; null if unknown")
    file: UploadBody
    url: str = Field(description="address the file is fetched from, without secrets; empty for an upload")
    models: tuple[AnalysisModelBody, ...]
    rate_hz: float
    verdict: VerdictState | None = Field(description="the worst verdict of the models; null until the analysis is done")
    same_as: str | None = Field(description="id of the earlier analysis whose results were reused")
    credentials: ContentCredentialsBody | None = Field(
        description="Content Credentials of the file; null until the analysis is done"
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
    next: str | None = Field(description="value of `cursor` for the next page; null on the last")


class AddressWish(Body):
    """A file to fetch and analyse."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[str, Field(max_length=2048)]
    models: Annotated[tuple[str, ...], Field(max_length=16)] = ()
    rate_hz: float | None = None


class AnnotationBody(Body):
    """The annotated video of an analysis."""

    state: AnnotationState | Literal["none"] = Field(description="none: it has not been requested")
    done_share: Share
    problem: str = Field(description="why it failed; empty if it did not")

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
