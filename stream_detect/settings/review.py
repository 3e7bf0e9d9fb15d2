"""Settings of analyses: uploaded pictures and videos, their limits, and how long they are kept."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from stream_detect.settings.section import Section


class ReviewSettings(Section):
    """Analyses of uploads: limits that hold for each, and how long they are kept."""

    max_upload_bytes: Annotated[int, Field(ge=1_000)] = Field(
        default=2_147_483_648, description="of one file; a longer one is refused and deleted"
    )
    max_files: Annotated[int, Field(ge=1, le=1000)] = Field(default=20, description="files of one request")
    max_uploads: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=8, description="requests that upload at the same time; each holds a connection and writes to the disk"
    )
    max_uploads_per_client: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=6, description="of these from one address: one client cannot take all places"
    )
    min_upload_bytes_s: Annotated[int, Field(ge=0)] = Field(
        default=2_000, description="bytes a second that an upload sends at least, measured over ten seconds; 0: any"
    )
    max_pixels: Annotated[int, Field(ge=10_000)] = Field(
        default=100_000_000, description="of a picture or a frame: width times height; beyond it nothing is decoded"
    )
    max_duration_s: Annotated[float, Field(gt=0)] = Field(
        default=14_400.0, description="of a video; the rest is left out, and the analysis says so"
    )
    max_run_s: Annotated[float, Field(gt=0)] = Field(
        default=14_400.0, description="wall clock of one analysis; what is left by then is left out, and it says so"
    )
    turn_s: Annotated[float, Field(gt=0)] = Field(
        default=20.0, description="that an analysis runs while others wait, before it is their turn"
    )
    memory_bytes: Annotated[int, Field(ge=268_435_456)] = Field(
        default=2_147_483_648,
        description="of the process that decodes a file, beyond its models; a file that takes more fails, and says so",
    )
    stall_s: Annotated[float, Field(gt=0)] = Field(
        default=120.0, description="without a decoded packet for so long, the process that decodes a file is killed"
    )
    threads: Annotated[int, Field(ge=1, le=16)] = Field(
        default=1,
        description="of one analysis's decoder; with two or more, decoding and the search for faces each run ahead on "
        "a thread of their own",
    )
    max_waiting: Annotated[int, Field(ge=1)] = Field(
        default=200, description="analyses that wait; more are refused, so that the wait stays foreseeable"
    )
    jobs: Annotated[int, Field(ge=1, le=16)] = Field(
        default=1,
        description="analyses at once, on each worker of a cluster; each in a process of some 200 MB; live streams go "
        "first all the same",
    )
    rate_hz: Annotated[float, Field(gt=0, le=60)] = Field(
        default=5.0, description="samples a second of a video; more are near copies of each other"
    )
    max_flagged: Annotated[int, Field(ge=0, le=500)] = Field(
        default=24, description="flagged frames kept as pictures, the highest scores of each face"
    )
    share_beside_live: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.25, description="of its time that an analysis works at most while cameras or live checks run"
    )
    min_free_bytes: Annotated[int, Field(ge=0)] = Field(
        default=500_000_000, description="with less left on the disk no upload is taken and nothing is made of one"
    )
    keep_days: Annotated[int, Field(ge=1)] = Field(
        default=30, description="analyses, with the uploaded files, are deleted after so many days"
    )
    trust_anchors: Path | None = Field(
        default=None, description="PEM certificates of authorities; Content Credentials that they vouch for are trusted"
    )
    urls: bool = Field(default=False, description="files may be fetched from http(s) addresses")
    private_urls: bool = Field(
        default=False, description="also from loopback, link-local and private addresses: only in a trusted network"
    )
    fetch_timeout_s: Annotated[float, Field(gt=0)] = Field(
        default=600.0, description="for one file from an address in all, redirects and headers included"
    )
