"""The verdict of a whole file, and that of each face track, each a state with a reason.

The verdict of a video is the worst that a window of its tracks reached, as in a live check; that of a picture is the
score of its worst face.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.types import Result, Thresholds, TrackResult, Verdict, VerdictState

_MAX_TRACKS = 2000
_KEPT_TRACKS = 1500
"""Of so many tracks the ones that say most are kept: whoever walks through a station for two hours."""
_TOO_SMALL = "face too small"
ONE_PICTURE = "one picture says little; a video is judged over seconds"


@dataclass(frozen=True, slots=True)
class Overall:
    """What is said of a file.

    Args:
        state: `gathering` never: without enough evidence it is `uncertain`.
        reason: a sentence.
        fake_probability: the worst track's; None without a verdict.
    """

    state: VerdictState
    reason: str
    fake_probability: float | None


@dataclass(slots=True)
class TrackSummary:
    """What is remembered of one face.

    Args:
        number: of the track.
        from_s: first seen.
        to_s: last seen.
        state: the worst that its window reached.
        fake_probability: the highest of its window; None without a verdict.
        admitted: scores.
        refused: how often the quality gate said what.
        held_s: for how long its window said what.
    """

    number: int
    from_s: float
    to_s: float
    state: VerdictState = VerdictState.GATHERING
    fake_probability: float | None = None
    admitted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    held_s: dict[VerdictState, float] = field(default_factory=dict)

    def take(self, result: TrackResult, time_s: float, elapsed_s: float) -> None:
        """Adds what was said of one sampled frame, which stands for `elapsed_s`."""
        verdict = result.verdict
        self.to_s = time_s
        self.admitted += result.score is not None
        if result.rejected is not None:
            self.refused[result.rejected] += 1
        self.held_s[verdict.state] = self.held_s.get(verdict.state, 0.0) + elapsed_s
        self.state = max(self.state, verdict.state, key=lambda state: state.severity)
        if verdict.fake_probability is not None:
            self.fake_probability = max(self.fake_probability or 0.0, verdict.fake_probability)

    @property
    def rank(self) -> tuple[int, float, int]:
        """The higher, the worse; of those without a verdict, the more is known."""
        return self.state.severity, self.fake_probability or 0.0, self.admitted


class Tally:
    """Gathers one model's results of one video or picture.

    Args:
        thresholds: of the model.
        settings: those of the pipeline.
        spacing_s: from sample to sample.
        picture: the file is a picture.
    """

    def __init__(
        self, thresholds: Thresholds, settings: AnalysisSettings, spacing_s: float = 0.0, *, picture: bool
    ) -> None:
        self._thresholds = thresholds
        self._needed = settings.window.min_scores
        self._window_s = settings.window.length_s
        self._spacing_s = spacing_s
        self._least_px = settings.quality.min_face_px
        self._picture = picture
        self._tracks: dict[int, TrackSummary] = {}
        self._sampled = 0
        self.forgotten = 0
        """Tracks that passed by and are not listed."""

    def take(self, result: Result, elapsed_s: float) -> Result:
        """Adds the result of one sampled frame, which stands for `elapsed_s`, and gives it as it is to be kept."""
        if self._picture:
            result = of_picture(result, self._thresholds)
        self._sampled += 1
        for track in result.tracks:
            known = self._tracks.get(track.track_id)
            if known is None:
                known = self._tracks[track.track_id] = TrackSummary(track.track_id, result.time_s, result.time_s)
            known.take(track, result.time_s, elapsed_s)
        if len(self._tracks) > _MAX_TRACKS:
            self._forget({track.track_id for track in result.tracks})
        return result

    def tracks(self) -> tuple[TrackSummary, ...]:
        """In the order in which they were first seen."""
        return tuple(self._tracks[number] for number in sorted(self._tracks))

    def reason(self, track: TrackSummary, length_s: float) -> str:
        """Why a track is what it is, as the end of a sentence that begins with the face."""
        if self._picture:
            return self._of_score(track)
        held_s = f"{track.held_s.get(track.state, 0.0):.1f} of {length_s:.1f} s"
        match track.state:
            case VerdictState.FAKE:
                return f"was called fake for {held_s}"
            case VerdictState.UNCERTAIN:
                most = track.fake_probability or 0.0
                return f"was undecided for {held_s}: at most {most:.2f}, fake from {self._thresholds.fake_enter:g} on"
            case VerdictState.REAL:
                return f"was called real for {held_s}"
        if self._too_sparse:
            return f"has {track.admitted} scores, too far apart for a verdict"
        refused = f", others refused: {_listed(track.refused)}" if track.refused else ""
        return f"has {track.admitted} scores, too few within one window (a verdict takes {self._needed}){refused}"

    def overall(self, length_s: float) -> Overall:
        """What is said of the file.

        Args:
            length_s: of the part of it that was looked at.
        """
        tracks = self.tracks()
        refused = sum((track.refused for track in tracks), Counter[str]())
        scored = [track for track in tracks if track.admitted]
        if not scored:
            return self._unscored(refused)
        worst = max(scored, key=lambda track: track.rank)
        if worst.state is VerdictState.GATHERING:
            needed = f"{min(worst.admitted, self._needed)} of {self._needed} scores"
            why = f"; refused: {_listed(refused)}" if refused else ""
            lacking = self._too_sparse or f"too short for a verdict: face {worst.number} has {needed}"
            return Overall(VerdictState.UNCERTAIN, f"{lacking}{why}", None)
        reason = f"face {worst.number} {self.reason(worst, length_s)}"
        others = sum(track.state is VerdictState.GATHERING for track in scored)
        if others:
            reason += f"; {others} more seen too briefly to be judged"
        if self._picture:
            reason += f"; {ONE_PICTURE}"
        return Overall(worst.state, reason, worst.fake_probability)

    @property
    def _too_sparse(self) -> str:
        """Why no verdict can be reached, however long the video is; empty where one can."""
        if self._spacing_s * (self._needed - 1) <= self._window_s:
            return ""
        return (
            f"too sparse for a verdict: one frame every {self._spacing_s:.2g} s, "
            f"and a verdict takes {self._needed} scores within {self._window_s:g} s"
        )

    def _unscored(self, refused: Counter[str]) -> Overall:
        where = "in the picture" if self._picture else f"in any of {self._sampled} sampled frames"
        if not refused:
            return Overall(VerdictState.NO_FACE, f"no face {where}", None)
        if set(refused) == {_TOO_SMALL}:
            return Overall(VerdictState.NO_FACE, f"no face larger than {self._least_px} px {where}", None)
        return Overall(VerdictState.UNCERTAIN, f"no face was fit to be judged: {_listed(refused)}", None)

    def _of_score(self, track: TrackSummary) -> str:
        if track.fake_probability is None:
            return f"was not scored: {_listed(track.refused)}"
        limits = self._thresholds
        return (
            f"scores {track.fake_probability:.2f} (fake from {limits.fake_enter:g} on, real to {limits.real_enter:g})"
        )

    def _forget(self, present: set[int]) -> None:
        gone = sorted((track for track in self._tracks.values() if track.number not in present), key=lambda t: t.rank)
        for track in gone[: len(self._tracks) - _KEPT_TRACKS]:
            del self._tracks[track.number]
            self.forgotten += 1


def of_picture(result: Result, thresholds: Thresholds) -> Result:
    """The result of a picture: each face's one score takes the place of a window."""
    tracks = tuple(
        track if track.score is None else replace(track, verdict=_of_one(track.score, thresholds))
        for track in result.tracks
    )
    scored = [track.verdict for track in tracks if track.score is not None]
    worst = max(scored, key=lambda verdict: verdict.fake_probability or 0.0, default=result.verdict)
    return replace(result, tracks=tracks, verdict=worst)


def _of_one(score: float, thresholds: Thresholds) -> Verdict:
    if score >= thresholds.fake_enter:
        state = VerdictState.FAKE
    else:
        state = VerdictState.REAL if score <= thresholds.real_enter else VerdictState.UNCERTAIN
    return Verdict(state, ONE_PICTURE, score, admitted=1, needed=1)


def worst_of(states: Sequence[VerdictState]) -> VerdictState:
    """The worst of several models' states; `no_face` when all say so."""
    return max(states, key=lambda state: state.severity)


def _listed(refused: Counter[str]) -> str:
    return ", ".join(f"{why} ({times})" for why, times in refused.most_common())
