"""Uploaded pictures and videos."""

from typing import Annotated

from pydantic import Field

from stream_detect.settings.section import Section


class ReviewSettings(Section):
    """Analyses of uploads: limits that hold for each, and how long they are kept."""

    max_upload_bytes: Annotated[int, Field(ge=1_000)] = Field(
        default=2_147_483_648, description="of one file; what is longer is refused and deleted"
    )
    max_files: Annotated[int, Field(ge=1, le=1000)] = Field(default=20, description="files of one request")
    max_pixels: Annotated[int, Field(ge=10_000)] = Field(
        default=100_000_000, description="of a picture or a frame: width times height, beyond it nothing is decoded"
    )
    max_duration_s: Annotated[float, Field(gt=0)] = Field(default=14_400.0, description="of a video's part looked at")
    max_run_s: Annotated[float, Field(gt=0)] = Field(
        default=14_400.0, description="wall clock of one analysis; what is not looked at by then is left out, and said"
    )
    memory_bytes: Annotated[int, Field(ge=268_435_456)] = Field(
        default=2_147_483_648,
        description="of the process that decodes one file, beyond its models; 8K video takes 1.5 GB of it",
    )
    stall_s: Annotated[float, Field(gt=0)] = Field(
        default=120.0, description="a file of which nothing is decoded for so long is given up, its process killed"
    )
    turn_s: Annotated[float, Field(gt=0)] = Field(
        default=30.0, description="of its own time that an analysis runs before others that wait have their turn"
    )
    min_upload_bytes_s: Annotated[int, Field(ge=0)] = Field(
        default=2_000, description="bytes a second that an upload sends at least, over ten seconds; 0: any rate"
    )
    threads: Annotated[int, Field(ge=1, le=16)] = Field(
        default=1,
        description="threads of one analysis's decoder; "
        "with two or more, decoding and the search for faces each go ahead on one of their own",
    )
    max_waiting: Annotated[int, Field(ge=1)] = Field(default=200, description="analyses that wait; more are refused")
    jobs: Annotated[int, Field(ge=1, le=16)] = Field(
        default=1, description="analyses at once; live streams go first all the same"
    )
    rate_hz: Annotated[float, Field(gt=0, le=60)] = Field(default=5.0, description="samples a second of a video")
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
    urls: bool = Field(default=False, description="files may be fetched from http(s) addresses")
    private_urls: bool = Field(
        default=False, description="also from loopback, link-local and private addresses: only in a trusted network"
    )
    fetch_timeout_s: Annotated[float, Field(gt=0)] = Field(default=600.0, description="for one file from an address")
