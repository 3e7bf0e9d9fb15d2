"""The analysis of one stream: faces, tracks, classifier, window and verdict of each sampled frame."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from stream_detect.analysis.crop import cut
from stream_detect.analysis.feed import STILL, Feed, FeedWatch, Motion
from stream_detect.analysis.quality import TOO_SMALL, TURNED, UNCLEAR, QualityGate, short_side_px
from stream_detect.analysis.sampler import Sampler
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.analysis.tracks import Track, Tracker
from stream_detect.analysis.verdict import TrackVerdict, stream_verdict
from stream_detect.analysis.window import ScoreWindow, bounded, probability
from stream_detect.errors import AnalysisError
from stream_detect.types import Classifier, Detector, Face, Frame, Image, Result, TrackResult, Verdict, VerdictState

if TYPE_CHECKING:
    from stream_detect.analysis.challenge_control import ChallengeControl

_SPARE = 1.25
"""Scores per face in relation to the number a verdict needs: some are rejected, and some come late."""

_BURST_S = 0.25
"""Unused allowance can be made up for within this time."""

MOVING = "moving as asked"
"""Reason why a score of a challenged face counts in no window: scores are least reliable under large turns and hands.
"""

_SCORED_APART = frozenset({TURNED, UNCLEAR})
"""Faces that the gate rejects for these reasons are scored during a challenge, for its record only."""


class _Subject:
    """State of one track: when to score it, its scores, its verdict."""

    def __init__(self, samplers: tuple[Sampler, Sampler], window: ScoreWindow, verdict: TrackVerdict) -> None:
        self.samplers = samplers  # the usual one, and that for a steady verdict
        self.window = window
        self.verdict = verdict
        self.rejected: str | None = None  # reason, for the newest sample
        self.motion = Motion()
        self.due = False
        self.scored_s = -math.inf


@dataclass(frozen=True, slots=True)
class _Sample:
    """One track in one frame: its calibrated logit, or why it was rejected; neither if it was not its turn."""

    track: Track
    logit: float | None = None
    rejected: str | None = None


class Pipeline:
    """The analysis of one stream. Synchronous, no clock of its own, not safe to call from two threads at once.

    Faces are detected in every frame. Each track is scored at `settings.window.score_rate_hz` of stream time, or at
    `steady_rate_hz` if its verdict has been the same for a whole window and nobody watches, with one crop per call
    (batching does not help on a CPU). All tracks together are scored at `max_scores_hz` at most, the one scored longest
    ago first. Faces beyond the number that can reach a verdict at this rate are not scored at all.

    After a gap of `settings.window.gap_s` in stream time, forwards or backwards (a reconnect, a source that restarted),
    everything is reset, including tracks, because the person may have changed. A frame that is flagged as following a
    gap only leaves a mark in the traces: packet loss is common, and a verdict that every loss resets would be useless
    on bad networks.

    Args:
        detector: finds faces.
        classifier: scores them.
        tracker: gives each face its number.
        gate: decides which faces can be scored.
        settings: for this stream.
    """

    def __init__(
        self,
        detector: Detector,
        classifier: Classifier,
        tracker: Tracker,
        gate: QualityGate,
        settings: AnalysisSettings,
    ) -> None:
        self._detector = detector
        self._classifier = classifier
        self._tracker = tracker
        self._gate = gate
        self._settings = settings.window
        self._min_face_px = settings.quality.min_face_px
        # All samples of a window, and one gap mark per frame.
        rate_hz = settings.window.score_rate_hz + settings.faces.rate_hz
        self._max_entries = math.ceil(settings.window.length_s * rate_hz) + 2
        least_hz = _SPARE * self._settings.min_scores / self._settings.length_s
        self._steady_hz = min(self._settings.score_rate_hz, max(self._settings.steady_rate_hz, least_hz))
        self._most_judged = max(int(self._settings.max_scores_hz / least_hz), 1)
        self._most_ready = max(self._settings.max_scores_hz * _BURST_S, 1.0)
        self._ready = self._most_ready  # scores that are allowed now
        self._subjects: dict[int, _Subject] = {}
        self._judged: set[int] = set()  # tracks that are scored
        self._newest_s = -math.inf
        self._watch = FeedWatch(settings.feed)
        self.challenge: ChallengeControl | None = None
        """The stream's challenge, set before the first step; None if nobody can request one."""

    def step(self, frame: Frame) -> Result:
        """Analyses one sampled frame, the next of its stream.

        Returns:
            The result; `sequence`, `latency_s` and `dropped_samples` are 0, for the caller to fill in.

        Raises:
            AnalysisError: the detector or the classifier failed; the next frame may still be tried.
        """
        self._note_gap(frame)
        tracks = self._faces(frame)
        if self.challenge is not None:
            self.challenge.look(frame, tracks, self._tracker.alive)
        samples = self._score_in_turn(frame, tracks)
        feed = self._watch.look(frame.image, frame.time_s, face=bool(tracks))
        results = tuple(self._judge(frame.time_s, sample, feed) for sample in samples)
        return Result(
            sequence=0,
            time_s=frame.time_s,
            arrived_s=frame.arrived_s,
            pts=frame.pts,
            wh=(frame.image.shape[1], frame.image.shape[0]),
            verdict=_with_feed(self._overall(results), feed),
            tracks=results,
            latency_s=0.0,
            dropped_samples=0,
            feed=feed.state,
            feed_reason=feed.reason,
            challenge=None if self.challenge is None else self.challenge.record,
        )

    def judge_by(self, classifier: Classifier) -> None:
        """Uses another classifier from the next step on; previous scores are dropped, tracks are kept."""
        self._classifier = classifier
        self._subjects.clear()

    def _note_gap(self, frame: Frame) -> None:
        hole_s = frame.time_s - self._newest_s
        if math.isfinite(hole_s):
            self._ready = min(self._ready + max(hole_s, 0.0) * self._settings.max_scores_hz, self._most_ready)
        if abs(hole_s) >= self._settings.gap_s:
            self._newest_s = frame.time_s
            self._subjects.clear()
            self._tracker.reset()
            self._watch.reset()
            return
        self._newest_s = max(self._newest_s, frame.time_s)
        if frame.gap:
            for subject in self._subjects.values():
                subject.window.mark_gap(frame.time_s)

    def _faces(self, frame: Frame) -> list[Track]:
        tracks = self._tracker.update(self._detector.detect(frame.image), frame.time_s, frame.image, gap=frame.gap)
        known = self._subjects  # a track that is only temporarily not visible keeps its evidence
        cut = {track.track_id for track in tracks if track.after_cut}
        self._subjects = {
            number: known.get(number) or self._new_subject(after_cut=number in cut) for number in self._tracker.alive
        }
        return tracks

    def _new_subject(self, *, after_cut: bool) -> _Subject:
        return _Subject(
            samplers=(Sampler(self._settings.score_rate_hz), Sampler(self._steady_hz)),
            window=ScoreWindow(self._settings.length_s, self._max_entries),
            verdict=TrackVerdict(self._classifier.thresholds, self._settings, after_cut=after_cut),
        )

    def _score_in_turn(self, frame: Frame, tracks: list[Track]) -> list[_Sample]:
        """Scores the tracks whose turn it is, the one scored longest ago first, within the allowance."""
        self._choose(tracks)
        samples = {track.track_id: _Sample(track) for track in tracks}
        for track in tracks:
            subject = self._subjects[track.track_id]
            sampler = subject.samplers[not frame.watched and self._is_steady(track, frame.time_s)]
            subject.due |= sampler.wants(frame.time_s)
        for track in sorted(tracks, key=lambda one: self._subjects[one.track_id].scored_s):
            subject = self._subjects[track.track_id]
            if not (subject.due and track.settled and track.face.fresh):
                continue
            if track.track_id not in self._judged:
                samples[track.track_id] = _Sample(track, rejected=self._crowded)
            elif self._ready > 1.0 - 1e-6:
                sample = self._score(frame, track)
                if sample is None:
                    continue
                samples[track.track_id] = sample
            else:
                break
            subject.due, subject.scored_s = False, frame.time_s
        return list(samples.values())

    def _is_steady(self, track: Track, time_s: float) -> bool:
        """Whether the verdict has been the same for a whole window, and the face is not challenged."""
        unchanged_s = self._subjects[track.track_id].verdict.unchanged_s(time_s)
        return unchanged_s >= self._settings.length_s and not self._challenged(track)

    def _choose(self, tracks: list[Track]) -> None:
        """Chooses the tracks to score: the previous ones, and the largest others while each can reach a verdict."""
        self._judged &= self._subjects.keys()
        others = [track for track in tracks if track.track_id not in self._judged]
        others.sort(key=lambda track: -short_side_px(track.face))
        self._judged |= {track.track_id for track in others[: self._most_judged - len(self._judged)]}

    @property
    def _crowded(self) -> str:
        return f"too many faces: the {self._most_judged} largest are judged"

    def _score(self, frame: Frame, track: Track) -> _Sample | None:
        """The sample of a track whose turn it is; None for a repeated picture, as the turn waits for a new one."""
        motion = self._subjects[track.track_id].motion
        rejected = self._gate.reject(frame.image, track.face)
        if rejected is not None and not (rejected in _SCORED_APART and self._challenged(track)):
            return _Sample(track, rejected=rejected)
        if track.appearance is not None and not motion.is_new(frame.image, track.appearance):
            return _Sample(track, rejected=STILL) if motion.stands_still(frame.time_s) else None
        self._ready -= 1.0
        try:
            crop = cut(frame.image, track.face, self._classifier.crop)
        except AnalysisError:  # of this face only: its key points define no square
            return _Sample(track, rejected="features unclear")
        raw = float(self._classifier.predict(crop[np.newaxis])[0])
        if not 0.0 <= raw <= 1.0:
            raise AnalysisError(f"expected a fake_probability in [0, 1] from the classifier, received {raw}")
        logit = bounded(self._classifier.calibration.logit(raw))
        if self.challenge is not None:
            self.challenge.score(track.track_id, probability(logit))
            if rejected is None and self.challenge.moving(track.track_id):
                rejected = MOVING
        return _Sample(track, logit=None if rejected else logit, rejected=rejected)

    def _challenged(self, track: Track) -> bool:
        return self.challenge is not None and self.challenge.follows(track.track_id)

    def _judge(self, time_s: float, sample: _Sample, feed: Feed) -> TrackResult:
        subject = self._subjects[sample.track.track_id]
        window = subject.window
        if sample.logit is not None:
            window.add(time_s, sample.logit)
            subject.rejected = None
        elif sample.rejected is not None:
            window.refuse(time_s)
            subject.rejected = sample.rejected
        window.advance(self._newest_s)
        evidence = window.evidence()
        if self._newest_s - evidence.newest_s > self._settings.expire_s:
            window.forget_before(math.nextafter(evidence.newest_s, math.inf))
            evidence = window.evidence()
        verdict = subject.verdict.step(evidence, self._newest_s, self._explained(subject.rejected, sample.track))
        if feed.reason and verdict.state is VerdictState.REAL:
            verdict = replace(verdict, state=VerdictState.UNCERTAIN, reason=feed.reason)
        return TrackResult(
            track_id=sample.track.track_id,
            face=sample.track.face,
            verdict=verdict,
            score=None if sample.logit is None else probability(sample.logit),
            rejected=sample.rejected,
            trace=window.trace(),
            score_age_s=self._newest_s - evidence.newest_s if evidence.admitted else None,
        )

    def _explained(self, rejected: str | None, track: Track) -> str | None:
        """Why a face was rejected, and what would be needed."""
        if rejected != TOO_SMALL:
            return rejected
        return f"{TOO_SMALL}: {short_side_px(track.face):.0f} px, {self._min_face_px} are needed"

    def _overall(self, results: tuple[TrackResult, ...]) -> Verdict:
        """The stream's verdict; faces too small to be judged do not count, or a poster could hold it up."""
        verdicts = [
            result.verdict
            for result in results
            if result.verdict.state is not VerdictState.GATHERING or short_side_px(result.face) >= self._min_face_px
        ]
        absent = f"no face larger than {self._min_face_px} px in the picture"
        if results:
            absent += f": the largest is {max(short_side_px(result.face) for result in results):.0f} px"
        return stream_verdict(verdicts, self._settings.min_scores, absent)


def _with_feed(verdict: Verdict, feed: Feed) -> Verdict:
    """The stream's verdict with the reason for a frozen or looped feed."""
    if not feed.reason or feed.reason in verdict.reason:
        return verdict
    return replace(verdict, reason=f"{feed.reason}; {verdict.reason}")


class SideBySide:
    """The analysis of one stream by several models. Synchronous; not safe to call from two threads at once.

    All models get the same faces, so a face has the same track number for all.

    Args:
        detector: finds faces.
        classifiers: one per model, in order.
        settings: for this stream.
    """

    def __init__(self, detector: Detector, classifiers: Sequence[Classifier], settings: AnalysisSettings) -> None:
        self._detector = detector
        self._found = _Found()
        self._pipelines = tuple(
            Pipeline(self._found, classifier, Tracker(settings.faces), QualityGate(settings.quality), settings)
            for classifier in classifiers
        )

    def step(self, frame: Frame) -> tuple[Result, ...]:
        """Analyses one sampled frame, the next of its stream.

        Returns:
            One result per model, as from `Pipeline.step`.

        Raises:
            AnalysisError: the detector or a classifier failed.
        """
        return self.judge(frame, self._detector.detect(frame.image))

    def judge(self, frame: Frame, faces: Sequence[Face]) -> tuple[Result, ...]:
        """Analyses the next frame with faces that were detected before, on any thread: detection keeps no state.

        Args:
            frame: the next of its stream.
            faces: those that the detector found in it.

        Raises:
            AnalysisError: a classifier failed.
        """
        self._found.faces = list(faces)
        return tuple(pipeline.step(frame) for pipeline in self._pipelines)

    @property
    def faces(self) -> int:
        """Number of faces found in the newest frame."""
        return len(self._found.faces)


class _Found:
    """A detector that returns faces found before."""

    def __init__(self) -> None:
        self.faces: list[Face] = []

    def detect(self, image: Image) -> list[Face]:  # noqa: ARG002 - the seam's
        """The faces of the current frame."""
        return self.faces
