"""Settings of the analyses of uploads: their limits, and how long they are kept."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from stream_detect.settings.section import Section


class ReviewSettings(Section):
    """Analyses of uploads: limits that hold for each, and how long they are kept."""

    max_upload_bytes: Annotated[int, Field(ge=1_000)] = Field(
        default=2_147_483_648, description="size of one file; a larger one is refused and deleted"
    )
    max_files: Annotated[int, Field(ge=1, le=1000)] = Field(default=20, description="files per request")
    max_uploads: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=8, description="simultaneous uploads; each holds a connection and writes to the disk"
    )
    max_uploads_per_client: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=6, description="simultaneous uploads from one address, so that one client cannot take all"
    )
    min_upload_bytes_s: Annotated[int, Field(ge=0)] = Field(
        default=2_000, description="minimum rate of an upload, measured over ten seconds; 0: any"
    )
    max_pixels: Annotated[int, Field(ge=10_000)] = Field(
        default=100_000_000, description="largest picture or frame, width times height; a larger one is not decoded"
    )
    max_duration_s: Annotated[float, Field(gt=0)] = Field(
        default=14_400.0, description="length of a video that is examined; the analysis says that the rest is left out"
    )
    max_run_s: Annotated[float, Field(gt=0)] = Field(
        default=14_400.0, description="wall-clock time of one analysis; the analysis says that the rest is left out"
    )
    turn_s: Annotated[float, Field(gt=0)] = Field(
        default=20.0, description="time that an analysis runs before others that wait have their turn"
    )
    memory_bytes: Annotated[int, Field(ge=268_435_456)] = Field(
        default=2_147_483_648,
        description="memory of the process that decodes a file, beyond its models; a file that needs more fails with "
        "this reason",
    )
    stall_s: Annotated[float, Field(gt=0)] = Field(
        default=120.0, description="the process that decodes a file is killed after this long without a decoded packet"
    )
    threads: Annotated[int, Field(ge=1, le=16)] = Field(
        default=1,
        description="threads of one analysis's decoder; with two or more, decoding and face detection run ahead, each "
        "on its own thread",
    )
    max_waiting: Annotated[int, Field(ge=1)] = Field(
        default=200,
        description="length of the queue of analyses; further ones are refused, so that the waiting time stays bounded",
    )
    jobs: Annotated[int, Field(ge=1, le=16)] = Field(
        default=1,
        description="analyses at once, on each worker of a cluster, each in a process of some 200 MB; live streams "
        "still go first",
    )
    rate_hz: Annotated[float, Field(gt=0, le=60)] = Field(
        default=5.0, description="samples per second of a video; more would be near copies of each other"
    )
    max_flagged: Annotated[int, Field(ge=0, le=500)] = Field(
        default=24, description="flagged frames kept as images, those with the highest scores of each face"
    )
    share_beside_live: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.25, description="maximum share of time that an analysis works while cameras or live checks run"
    )
    min_free_bytes: Annotated[int, Field(ge=0)] = Field(
        default=500_000_000, description="with less free disk space, uploads are refused and no files are made of them"
    )
    keep_days: Annotated[int, Field(ge=1)] = Field(
        default=30, description="analyses, with the uploaded files, are deleted after this many days"
    )
    trust_anchors: Path | None = Field(
        default=None, description="PEM certificates of authorities whose Content Credentials are trusted"
    )
    urls: bool = Field(default=False, description="files may be fetched from http(s) addresses")
    private_urls: bool = Field(
        default=False,
        description="files may also be fetched from loopback, link-local and private addresses; only for a trusted "
        "network",
    )
    fetch_timeout_s: Annotated[float, Field(gt=0)] = Field(
        default=600.0, description="time limit for fetching one file, including redirects and headers"
    )
