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
"""Tracks kept, the most informative ones: two hours of a station show thousands of passers-by."""
_MOST_DIGITS = 8
_TOO_SMALL = "face too small"
ONE_PICTURE = "one picture says little; a video is judged over seconds"


@dataclass(frozen=True, slots=True)
class Overall:
    """Verdict on a file.

    Args:
        state: never `gathering`: without enough evidence it is `uncertain`.
        reason: a sentence.
        fake_probability: that of the worst track; None if there is no verdict.
    """

    state: VerdictState
    reason: str
    fake_probability: float | None


@dataclass(slots=True)
class TrackSummary:
    """Summary of one track.

    Args:
        number: track number.
        from_s: time first seen.
        to_s: time last seen.
        state: worst state that its window reached.
        fake_probability: highest of its window; None if there is no verdict.
        admitted: number of admitted scores.
        refused: number of rejections by reason.
        held_s: duration of each state of its window.
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
        """Adds the result of one sampled frame, which represents `elapsed_s`."""
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
        """Sort key: higher is worse, or, for tracks without a verdict, better known."""
        return self.state.severity, self.fake_probability or 0.0, self.admitted


class Tally:
    """Collects the results of one model for one video or picture.

    Args:
        thresholds: of the model.
        settings: settings of the pipeline.
        spacing_s: time between samples.
        picture: whether the file is a picture.
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
        """Number of tracks that are not listed."""

    def take(self, result: Result, elapsed_s: float) -> Result:
        """Adds the result of one sampled frame, which represents `elapsed_s`; returns it in the form to be kept."""
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
        """The tracks in the order in which they were first seen."""
        return tuple(self._tracks[number] for number in sorted(self._tracks))

    def reason(self, track: TrackSummary, length_s: float) -> str:
        """Why a track has its state, as the end of a sentence that starts with the face."""
        if self._picture:
            return self._of_score(track)
        held_s = f"{min(track.held_s.get(track.state, 0.0), length_s):.1f} of {length_s:.1f} s"
        match track.state:
            case VerdictState.FAKE:
                return f"was called fake for {held_s}"
            case VerdictState.UNCERTAIN:
                most = shown_probability(track.fake_probability or 0.0, self._thresholds)
                return f"was undecided for {held_s}: at most {most}, fake from {self._thresholds.fake_enter:g}"
            case VerdictState.REAL:
                return f"was called real for {held_s}"
        if self._too_sparse:
            return f"has {track.admitted} scores, too far apart for a verdict"
        refused = f", others refused: {_listed(track.refused)}" if track.refused else ""
        return f"has {track.admitted} scores, too few within one window (a verdict takes {self._needed}){refused}"

    def overall(self, length_s: float) -> Overall:
        """The verdict on the file.

        Args:
            length_s: length of the examined part.
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
        """Why no verdict can be reached at any length of the video; empty if one can."""
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
        shown = shown_probability(track.fake_probability, limits)
        return f"scores {shown} (fake from {limits.fake_enter:g}, real up to {limits.real_enter:g})"

    def _forget(self, present: set[int]) -> None:
        gone = sorted((track for track in self._tracks.values() if track.number not in present), key=lambda t: t.rank)
        for track in gone[: len(self._tracks) - _KEPT_TRACKS]:
            del self._tracks[track.number]
            self.forgotten += 1


def of_picture(result: Result, thresholds: Thresholds) -> Result:
    """The result of a picture, in which each face's single score replaces the window."""
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


def shown_probability(probability: float, limits: Thresholds) -> str:
    """A fake_probability for people: two decimals, or more where rounding would take it to or across a threshold."""

    def answer(value: float) -> tuple[bool, bool]:
        return value >= limits.fake_enter, value <= limits.real_enter

    digits = next((n for n in range(2, _MOST_DIGITS) if answer(round(probability, n)) == answer(probability)), None)
    return str(probability) if digits is None else f"{probability:.{digits}f}"


def worst_of(states: Sequence[VerdictState]) -> VerdictState:
    """The worst of several models' states; `no_face` only if all agree."""
    return max(states, key=lambda state: state.severity)


def _listed(refused: Counter[str]) -> str:
    return ", ".join(f"{why} ({times})" for why, times in refused.most_common())
