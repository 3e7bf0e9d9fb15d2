"""False alarms per hour: how often a bundle judges clips of real people fake.

Every clip is replayed through the pipeline that serves, including window and hysteresis: the rate does not follow from
that of single frames, because the scores of a window are strongly correlated.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

from stream_detect.analysis.detector import BlazeFace
from stream_detect.analysis.pipeline import SideBySide
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.errors import DatasetError
from stream_detect.evaluation.judge import VideoScores
from stream_detect.evaluation.media import frames, sampled
from stream_detect.models.backend import load_model
from stream_detect.models.bundle import Bundle
from stream_detect.models.card import Metric


def alarms_an_hour(bundle: Bundle, clips: Sequence[Path]) -> Metric:
    """How often an hour the badge turns to FAKE on real people.

    Args:
        bundle: judges, by its own thresholds.
        clips: videos of real people.

    Raises:
        DatasetError: there is no second of video.
        MediaError: one cannot be decoded.
    """
    settings = AnalysisSettings()
    model = load_model(bundle, "openvino")
    finder = BlazeFace(settings.faces.detector, settings.faces.min_score, settings.faces.max_faces)
    alarms, length_s = 0, 0.0
    for clip in clips:
        video = VideoScores(settings.window.min_scores)
        look = SideBySide(finder, (model.classifier(),), settings)
        for frame in sampled(frames(clip), settings.faces.rate_hz):
            (result,) = look.step(frame)
            video.take(result)
        alarms += video.alarms
        length_s += video.length_s
    if not length_s:
        raise DatasetError("expected clips of real people to count false alarms in, received none")
    return Metric(
        name="alarms_an_hour",
        value=round(3600 * alarms / length_s, 2),
        data=f"{len(clips)} real clips replayed through the window",
        n=max(round(length_s), 1),
        threshold=bundle.card.thresholds.fake_enter,
    )


def real_clips(manifest: Path) -> tuple[Path, ...]:
    """The files that a table calls real, relative to its folder; rows with other labels are passed over.

    Args:
        manifest: CSV with the columns file and label.

    Raises:
        DatasetError: it cannot be read, or names none.
    """
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            f"expected a table of clips (CSV in UTF-8) at {manifest}, cannot read it: {error}"
        ) from error
    found = tuple(manifest.parent / row["file"] for row in rows if row.get("file") and row.get("label") == "real")
    if not found:
        raise DatasetError(f"expected rows with a file and the label real in {manifest}, there are none")
    return found
