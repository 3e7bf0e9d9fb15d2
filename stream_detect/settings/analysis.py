"""Settings of the analysis: faces, the quality gate, the window of scores, and what counts as a live feed."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stream_detect.settings.section import Section, Share


class FaceSettings(Section):
    """Face detection and tracks."""

    detector: Literal["full", "short"] = Field(
        default="full", description="BlazeFace range: full finds faces to 5 m, short to 2 m at a third of the time"
    )
    rate_hz: Annotated[float, Field(gt=0, le=60)] = Field(
        default=10.0, description="samples a second of stream time in which faces are searched"
    )
    min_score: Share = Field(
        default=0.6,
        description="detector confidence below which a box is no face (MediaPipe's full-range graph uses .6)",
    )
    begin_score: Share = Field(
        default=0.7,
        description="detector confidence that begins a track; a drawn shape reached .65, real faces pass .7",
    )
    min_iou: Share = Field(
        default=0.2, description="overlap of a face with its track's expected box; a jump of two thirds of its width"
    )
    lost_s: Annotated[float, Field(gt=0)] = Field(
        default=0.7, description="a track without a face for so long ends; bridges a hand before the face"
    )
    max_faces: Annotated[int, Field(ge=1, le=64)] = Field(
        default=25,
        description="largest faces kept a frame; each costs a score's time (some 4 ms), up to window.max_scores_hz",
    )
    parts_per_sample: Annotated[int, Field(ge=0, le=16)] = Field(
        default=2,
        description="parts of a large frame searched again a sample where they hold small faces, 2.4 ms each; 0: none",
    )


class QualitySettings(Section):
    """What a face must be for its score to count. A refused face is named, never guessed at."""

    min_face_px: Annotated[int, Field(ge=16)] = Field(
        default=64, description="shorter side of the face's box; below it a 256 px crop is mostly interpolation"
    )
    max_outside: Share = Field(
        default=0.2, description="share of the face's box beyond the frame's edge; training crops reach .2"
    )
    min_detector_score: Share = Field(
        default=0.65, description="detector confidence below which a face is tracked but not judged"
    )
    max_yaw: Share = Field(
        default=0.6,
        description="nose offset from the middle of the eyes / eye distance; above it the face is in profile",
    )
    min_luma: Share = Field(
        default=0.12, description="mean brightness of the face; below it is too dark (of 820 faces none, p1 is .15)"
    )
    max_blown: Share = Field(
        default=0.25, description="share of the face at 250 of 255 or more: overexposed (of 820 faces none, p99 is .1)"
    )
    min_sharpness: Share = Field(
        default=0.6,
        description="share of a face's detail that a blur takes: refuses 1% of DFDC faces, 99% blurred by face/64",
    )


class WindowSettings(Section):
    """The sliding window of scores behind a verdict.

    Scores of neighbouring frames are much alike (lag-1 correlation about .9): more of them a second cost time and tell
    nearly nothing new; a longer look does.
    """

    score_rate_hz: Annotated[float, Field(gt=0, le=60)] = Field(
        default=5.0, description="scores a second of stream time and face; more are near copies of each other"
    )
    length_s: Annotated[float, Field(gt=0, le=600)] = Field(
        default=10.0, description="stream time that the window looks back"
    )
    min_scores: Annotated[int, Field(ge=1)] = Field(
        default=12, description="admitted scores in the window before a verdict: 2.2 s of a good picture"
    )
    min_dwell_s: Annotated[float, Field(ge=0)] = Field(
        default=1.0, description="a verdict stands at least this long before the next one, so that it can be read"
    )
    expire_s: Annotated[float, Field(gt=0)] = Field(
        default=3.0, description="without an admitted score for so long, a track's evidence is dropped: gathering again"
    )
    gap_s: Annotated[float, Field(gt=0)] = Field(
        default=2.0, description="a hole this long in stream time begins everything anew: nobody saw who sat down"
    )
    stale_s: Annotated[float, Field(gt=0)] = Field(
        default=1.0, description="wall clock after which the badge shows that no result came"
    )
    max_scores_hz: Annotated[float, Field(gt=0, le=1000)] = Field(
        default=40.0, description="scores a second of all faces of a stream; more than eight faces are scored in turn"
    )

    @model_validator(mode="after")
    def _verdict_is_reachable(self) -> Self:
        most = self.length_s * self.score_rate_hz
        if self.min_scores > most:
            raise ValueError(
                f"expected min_scores of at most length_s * score_rate_hz = {most:g}, received {self.min_scores}: "
                "no verdict would ever be reached; lower min_scores, or lengthen the window"
            )
        return self


class FeedSettings(Section):
    """When a feed counts as frozen or looped; such a feed is never called real."""

    frozen_s: Annotated[float, Field(ge=3, le=3600)] = Field(
        default=10.0, description="a picture with a face that has not changed for so long is frozen: people breathe"
    )
    frozen_empty_s: Annotated[float, Field(ge=3, le=86400)] = Field(
        default=60.0,
        description="the same without a face, and without any new noise: an empty room may well stand still",
    )
    loop_max_s: Annotated[float, Field(ge=10, le=3600)] = Field(
        default=300.0, description="longest loop that is found; a stream keeps 1.7 kB of hashes for each second of it"
    )
    loop_confirm_s: Annotated[float, Field(ge=4, le=600)] = Field(
        default=12.0, description="a feed has to repeat itself for so long before it counts as looped"
    )
