"""What is remembered, where, and for how long."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from stream_detect.settings.section import Section


class StorageSettings(Section):
    """The database and the folder of files beside it."""

    folder: Path = Field(
        default=Path("stream-detect-data"), description="the database, evidence and results; made if absent"
    )
    database_url: SecretStr | None = Field(
        default=None, description="postgresql://user:password@host/name; SQLite in the folder if not set"
    )
    seconds_days: Annotated[int, Field(ge=1)] = Field(
        default=1, description="scores by the second; rolled up to minutes after so many days"
    )
    minutes_days: Annotated[int, Field(ge=1)] = Field(default=90, description="scores by the minute")
    events_days: Annotated[int, Field(ge=1)] = Field(default=365, description="events and records of checks")


class EvidenceSettings(Section):
    """Evidence of fake events, for cameras that have it switched on."""

    days: Annotated[int, Field(ge=1)] = Field(default=30, description="evidence older than this is deleted")
    max_bytes: Annotated[int, Field(ge=1_000_000)] = Field(
        default=10_000_000_000, description="beyond it the oldest evidence is deleted"
    )
    clip_before_s: Annotated[float, Field(ge=0, le=60)] = Field(
        default=10.0, description="of the clip, before the event"
    )
    clip_after_s: Annotated[float, Field(ge=0, le=60)] = Field(
        default=10.0, description="of the clip, after the event's beginning"
    )
    ring_max_bytes: Annotated[int, Field(ge=100_000)] = Field(
        default=32_000_000, description="memory a camera for the packets of clip_before_s"
    )
    min_free_bytes: Annotated[int, Field(ge=0)] = Field(
        default=500_000_000, description="with less left on the disk no evidence is written"
    )
    signing_certificate: Path | None = Field(
        default=None, description="PEM certificate, then those of its authorities; signs evidence. Unsigned if not set"
    )
    signing_key: Path | None = Field(default=None, description="PEM file that belongs to signing_certificate")

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.signing_certificate is None) != (self.signing_key is None):
            absent = "signing_key" if self.signing_key is None else "signing_certificate"
            raise ValueError(f"expected signing_certificate and signing_key together; {absent} is not set")
        return self
