"""A video as the pipeline that serves sees it: its results enter, scores by frame and of the whole leave."""

import math
from collections import Counter

from stream_detect.analysis.window import ScoreWindow
from stream_detect.types import Result, VerdictState

_MAX_SCORES = 1_000_000
"""Of one face in one video: two days at 5 Hz."""


class Footage:
    """What one model sees in one video.

    Args:
        min_scores: scores of a face that a verdict takes.
    """

    def __init__(self, min_scores: int) -> None:
        self._needed = min_scores
        self._windows: dict[int, ScoreWindow] = {}
        self._refused: Counter[str] = Counter()
        self._frames: list[float] = []
        self._state = VerdictState.NO_FACE
        self._first_s = math.inf
        self._last_s = -math.inf
        self.alarms = 0

    def take(self, result: Result) -> None:
        """Takes the result of the next sampled frame."""
        self._first_s, self._last_s = min(self._first_s, result.time_s), max(self._last_s, result.time_s)
        self.alarms += result.verdict.state is VerdictState.FAKE and self._state is not VerdictState.FAKE
        self._state = result.verdict.state
        self._keep(result)

    @property
    def frames(self) -> tuple[float, ...]:
        """fake_probability of each frame that was scored, of its worst face."""
        return tuple(self._frames)

    @property
    def length_s(self) -> float:
        """Stream time from the first frame to the last."""
        return max(self._last_s - self._first_s, 0.0)

    @property
    def refused(self) -> str | None:
        """What the quality gate said most often; None when it refused nothing."""
        return min(self._refused, key=lambda reason: (-self._refused[reason], reason)) if self._refused else None

    def fake_probability(self) -> float | None:
        """The window's robust mean over the whole video, of the worst face; None without a score.

        A face counts that has as many scores as a verdict needs. Where the video is too short for any to have them, the
        face seen most counts: whoever passes by for a moment does not decide.
        """
        evidences = [window.evidence() for window in self._windows.values()]
        enough = [each for each in evidences if each.admitted >= self._needed]
        most = max((each.admitted for each in evidences), default=0)
        chosen = enough or [each for each in evidences if each.admitted == most]
        return max((each.fake_probability for each in chosen if each.fake_probability is not None), default=None)

    def _keep(self, result: Result) -> None:
        scores = []
        for track in result.tracks:
            if track.rejected is not None:
                self._refused[track.rejected] += 1
            if track.score is not None:
                window = self._windows.setdefault(track.track_id, ScoreWindow(math.inf, _MAX_SCORES))
                window.add(result.time_s, math.log(track.score / (1.0 - track.score)))
                scores.append(track.score)
        if scores:
            self._frames.append(max(scores))
