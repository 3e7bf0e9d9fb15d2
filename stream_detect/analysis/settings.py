"""The settings of an analysis: the sections that it uses, adapted to the rate at which frames are sampled."""

from stream_detect.errors import SettingsError
from stream_detect.settings import FaceSettings, FeedSettings, QualitySettings, Section, WindowSettings

PERIODS_LOST = 1.5
"""A track survives for at least this many sampling periods without a face: at a slow rate each sample would begin one.
"""


class AnalysisSettings(Section):
    """The settings sections that the analysis of a stream uses.

    Args:
        faces: detection and tracks.
        quality: which faces are scored.
        window: which scores make a verdict.
        feed: when a feed counts as frozen or looped.
    """

    faces: FaceSettings = FaceSettings()
    quality: QualitySettings = QualitySettings()
    window: WindowSettings = WindowSettings()
    feed: FeedSettings = FeedSettings()

    def at_rate(self, rate_hz: float | None) -> "AnalysisSettings":
        """The settings of a stream whose frames are sampled at another rate than `faces.rate_hz`.

        Scores are no more frequent than samples, and a track survives the time between two samples.

        Args:
            rate_hz: samples per second of stream time; None changes nothing.

        Raises:
            SettingsError: at this rate no verdict could be reached.
        """
        if rate_hz is None:
            return self
        window = self.window
        least_hz = max(window.min_scores / window.length_s, 2.0 / window.gap_s, 1.0 / window.expire_s)
        if rate_hz < least_hz:
            raise SettingsError(
                f"expected a rate_hz of at least {least_hz:.3g}, received {rate_hz:g}: no verdict could ever be "
                "reached; raise it, or change window.min_scores, length_s, gap_s or expire_s"
            )
        lost_s = max(self.faces.lost_s, PERIODS_LOST / rate_hz)
        return self.model_copy(
            update={
                "faces": self.faces.model_copy(update={"rate_hz": rate_hz, "lost_s": lost_s}),
                "window": window.model_copy(update={"score_rate_hz": min(window.score_rate_hz, rate_hz)}),
            }
        )

    def at_spacing(self, spacing_s: float) -> "AnalysisSettings":
        """The settings for a file whose frames may be far apart (time lapse, recorders at night): a face is one track.

        Args:
            spacing_s: time between samples in seconds.
        """
        outlived_s = PERIODS_LOST * spacing_s
        lost_s, gap_s = max(self.faces.lost_s, outlived_s), max(self.window.gap_s, outlived_s)
        return self.model_copy(
            update={
                "faces": self.faces.model_copy(update={"lost_s": lost_s}),
                "window": self.window.model_copy(update={"gap_s": gap_s}),
            }
        )
