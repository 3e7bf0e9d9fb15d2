"""Settings of the analysis: faces, the quality gate, the window of scores, and frozen or looped feeds."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stream_detect.settings.section import Section, Share


class FaceSettings(Section):
    """Face detection and tracks."""

    detector: Literal["full", "short"] = Field(
        default="full", description="BlazeFace range: full finds faces to 5 m, short to 2 m at a third of the time"
    )
    rate_hz: Annotated[float, Field(gt=0, le=60)] = Field(
        default=10.0, description="samples per second of stream time in which faces are detected"
    )
    min_score: Share = Field(
        default=0.6,
        description="detector confidence below which a box is not a face (MediaPipe's full-range graph uses .6)",
    )
    begin_score: Share = Field(
        default=0.7,
        description="detector confidence that starts a track; a drawing reached .65, real faces pass .7",
    )
    min_iou: Share = Field(
        default=0.2,
        description="minimum overlap of a face with the expected box of its track; allows a jump of two thirds of its "
        "width",
    )
    lost_s: Annotated[float, Field(gt=0)] = Field(
        default=0.7, description="a track without a face for this long ends; bridges a hand in front of the face"
    )
    max_faces: Annotated[int, Field(ge=1, le=64)] = Field(
        default=25,
        description="faces kept per frame, the largest first; each score takes some 4 ms, up to window.max_scores_hz",
    )
    parts_per_sample: Annotated[int, Field(ge=0, le=16)] = Field(
        default=2,
        description="parts of a large frame that are searched for small faces per sample, 2.4 ms each; 0: none",
    )


class QualitySettings(Section):
    """When a face is fit to be scored. A face that is not gets a reason instead of a score."""

    min_face_px: Annotated[int, Field(ge=16)] = Field(
        default=64,
        description="minimum shorter side of the face's box; below it, a 256 px crop is mostly interpolation",
    )
    max_outside: Share = Field(
        default=0.2, description="maximum share of the face's box outside the frame; training crops reach .2"
    )
    min_detector_score: Share = Field(
        default=0.65, description="detector confidence below which a face is tracked but not judged"
    )
    max_yaw: Share = Field(
        default=0.6,
        description="distance of the nose from the middle of the eyes / eye distance; above it, the face is in profile "
        "and not scored: there half as many fakes are found as in front, and up to it scores are nearly as good",
    )
    min_luma: Share = Field(
        default=0.12, description="mean brightness below which a face is too dark (none of 820 faces, p1 is .15)"
    )
    max_blown: Share = Field(
        default=0.25,
        description="share of pixels at 250 of 255 or more above which a face is overexposed (none of 820 faces, p99 "
        "is .1)",
    )
    min_sharpness: Share = Field(
        default=0.6,
        description="minimum share of a face's detail that a blur removes; refuses 1% of DFDC faces, and 99% of those "
        "blurred by face/64",
    )


class WindowSettings(Section):
    """The sliding window of scores behind a verdict.

    Scores of neighbouring frames are nearly equal (lag-1 correlation about .9): more of them per second cost time and
    add little; a longer window adds more.
    """

    score_rate_hz: Annotated[float, Field(gt=0, le=60)] = Field(
        default=5.0, description="scores per second of stream time and face; more would be near copies of each other"
    )
    steady_rate_hz: Annotated[float, Field(gt=0, le=60)] = Field(
        default=2.5,
        description="scores per second of a face whose verdict has been the same for a whole window, while nobody "
        "watches its camera",
    )
    length_s: Annotated[float, Field(gt=0, le=600)] = Field(
        default=10.0, description="length of the window, in stream time"
    )
    min_scores: Annotated[int, Field(ge=1)] = Field(
        default=12, description="admitted scores in the window that a verdict requires: 2.2 s of good video"
    )
    min_dwell_s: Annotated[float, Field(ge=0)] = Field(
        default=1.0, description="a verdict is shown at least this long before it changes, so that it can be read"
    )
    expire_s: Annotated[float, Field(gt=0)] = Field(
        default=3.0,
        description="without an admitted score for this long, a track's scores are discarded and its state is "
        "gathering again",
    )
    gap_s: Annotated[float, Field(gt=0)] = Field(
        default=2.0,
        description="a gap this long in stream time starts tracks and windows anew: another person may have sat down",
    )
    stale_s: Annotated[float, Field(gt=0)] = Field(
        default=1.0,
        description="age of the newest result, from the arrival of its frame, after which the badge says so",
    )
    max_scores_hz: Annotated[float, Field(gt=0, le=1000)] = Field(
        default=40.0,
        description="scores per second of all faces of a stream together; more than eight faces are scored in turn",
    )

    @model_validator(mode="after")
    def _verdict_is_reachable(self) -> Self:
        most = self.length_s * self.score_rate_hz
        if self.min_scores > most:
            raise ValueError(
                f"expected min_scores of at most length_s * score_rate_hz = {most:g}, received {self.min_scores}: "
                "no verdict could ever be reached; lower min_scores, or lengthen the window"
            )
        return self


class FeedSettings(Section):
    """When a feed counts as frozen or looped; such a feed is never called real."""

    frozen_s: Annotated[float, Field(ge=3, le=3600)] = Field(
        default=10.0, description="video with a face that has not changed for this long is frozen: people breathe"
    )
    frozen_empty_s: Annotated[float, Field(ge=3, le=86400)] = Field(
        default=60.0,
        description="video without a face or any new noise for this long is frozen: an empty room may well stand still",
    )
    loop_max_s: Annotated[float, Field(ge=10, le=3600)] = Field(
        default=300.0,
        description="longest loop that is detected; a stream keeps 1.7 kB of hashes for each second of it",
    )
    loop_confirm_s: Annotated[float, Field(ge=4, le=600)] = Field(
        default=12.0, description="a feed must repeat itself for this long to count as looped"
    )
