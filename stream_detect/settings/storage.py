"""Settings of the database and of evidence: where they are kept, and for how long."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from stream_detect.settings.section import Section


class StorageSettings(Section):
    """The database and the folder of all other files."""

    folder: Path = Field(
        default=Path("stream-detect-data"),
        description="folder of the database, evidence and results; created if absent",
    )
    database_url: SecretStr | None = Field(
        default=None, description="postgresql://user:password@host/name; SQLite in the folder if not set"
    )
    seconds_days: Annotated[int, Field(ge=1)] = Field(
        default=1, description="days that scores are kept by the second; after that, by the minute"
    )
    minutes_days: Annotated[int, Field(ge=1)] = Field(default=90, description="days that scores are kept by the minute")
    events_days: Annotated[int, Field(ge=1)] = Field(
        default=365, description="days that events and records of checks are kept"
    )


class EvidenceSettings(Section):
    """Evidence of fake events, for cameras with `evidence: true`."""

    days: Annotated[int, Field(ge=1)] = Field(default=30, description="evidence older than this is deleted")
    max_bytes: Annotated[int, Field(ge=1_000_000)] = Field(
        default=10_000_000_000, description="total size above which the oldest evidence is deleted"
    )
    clip_before_s: Annotated[float, Field(ge=0, le=60)] = Field(
        default=10.0, description="length of the clip before the start of the event"
    )
    clip_after_s: Annotated[float, Field(ge=0, le=60)] = Field(
        default=10.0, description="length of the clip after the start of the event"
    )
    ring_max_bytes: Annotated[int, Field(ge=100_000)] = Field(
        default=32_000_000, description="memory per camera for the packets of clip_before_s"
    )
    min_free_bytes: Annotated[int, Field(ge=0)] = Field(
        default=500_000_000, description="with less free disk space, no evidence is written"
    )
    signing_certificate: Path | None = Field(
        default=None,
        description="PEM certificate that signs evidence, followed by those of its authorities; if not set, evidence "
        "is unsigned",
    )
    signing_key: Path | None = Field(default=None, description="PEM file with the key of signing_certificate")

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.signing_certificate is None) != (self.signing_key is None):
            absent = "signing_key" if self.signing_key is None else "signing_certificate"
            raise ValueError(f"expected signing_certificate and signing_key together; {absent} is not set")
        return self
