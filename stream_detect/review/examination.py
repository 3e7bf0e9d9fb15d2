"""The examination of one file: decodes it, judges its samples by one or more models, and returns a `Reviewed`.

A video goes through the pipeline that serves live streams, sampled by stream time; faces are detected once for all
models. Decoding and detection run ahead on their own threads if `review.threads` allows it.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from threading import Event

from stream_detect.analysis.pipeline import SideBySide
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.errors import ReviewCancelledError
from stream_detect.media.credentials import Credentials, CredentialsReader, trust_anchors_of
from stream_detect.review.flagged import Flagging
from stream_detect.review.models import ReviewModel, ReviewModels
from stream_detect.review.results import ModelReview, Reviewed
from stream_detect.review.samples import Sample, Samples
from stream_detect.review.timeline import Timeline
from stream_detect.review.verdict import Tally
from stream_detect.sources.file_frame import Decoding, Facts
from stream_detect.sources.media import open_media
from stream_detect.types import Detector, Image, Result


@dataclass(frozen=True, slots=True)
class Hooks:
    """Functions that a review calls, on its own thread except for `cancelled`.

    Args:
        on_progress: called often with the share done, in [0, 1].
        cancelled: called often, also on a thread that decodes ahead; True ends the review with `ReviewCancelledError`.
        give_way: called between samples; may block while live streams need the machine.
        rested_s: how long `cancelled` has blocked so far, which does not count towards time limits.
        sleep: waits for the given seconds, or until the review is cancelled.
    """

    on_progress: Callable[[float], None] = lambda _: None
    cancelled: Callable[[], bool] = lambda: False
    give_way: Callable[[], None] = lambda: None
    rested_s: Callable[[], float] = lambda: 0.0
    sleep: Callable[[float], object] = time.sleep


class Allowance:
    """Time limit of one file; waiting in `give_way` does not count.

    Args:
        hooks: hooks of the review.
        max_run_s: the limit.
    """

    def __init__(self, hooks: Hooks, max_run_s: float) -> None:
        self._hooks = hooks
        self._end_s = time.monotonic() + max_run_s
        self._going = Event()
        self._going.set()
        self._left = False

    @property
    def used_up(self) -> bool:
        """Whether the time limit is reached."""
        return time.monotonic() >= self._end_s + self._hooks.rested_s()

    def check(self) -> None:
        """Called between packets, on any decoding thread; blocks there while the review gives way.

        Raises:
            ReviewCancelledError: it was cancelled, or the review ended.
        """
        self._going.wait()
        if self._left or self._hooks.cancelled():
            raise ReviewCancelledError("cancelled")

    def give_way(self) -> None:
        """Called between samples: lets live streams go first."""
        began_s = time.monotonic()
        self._going.clear()
        try:
            self._hooks.give_way()
        finally:
            self._going.set()
        self._end_s += time.monotonic() - began_s

    def leave(self) -> None:
        """Called when no more frames are needed: decoding ahead ends at its next packet."""
        self._left = True


_TOO_LONG = "review.max_duration_s"
_TIME_UP = "time was up (review.max_run_s)"


def examine(path: Path, review_models: ReviewModels, rate_hz: float, hooks: Hooks | None = None) -> Reviewed:
    """Examines a picture or a video, to its end or to the limits in the settings; the notes say what was left out.

    Args:
        path: a regular file; its content decides what it is.
        review_models: the models, and the settings.
        rate_hz: samples per second of a video.
        hooks: called during the review.

    Raises:
        MediaError: it cannot be decoded, is too large, or contains no picture.
        ReviewCancelledError: it was cancelled.
        SettingsError: at this rate no verdict could be reached.
        AnalysisError: the detector or a model failed.
    """
    hooks = hooks or Hooks()
    settings = review_models.settings.at_rate(rate_hz)
    limits = review_models.settings.review
    allowance = Allowance(hooks, limits.max_run_s)
    with closing(open_media(path, Decoding(limits.max_pixels, limits.threads, allowance.check))) as media:
        detector = review_models.detector()
        samples = Samples(media, detector, rate_hz, limits.max_duration_s)
        notes: list[str] = []
        damaged = 0
        with samples.searched(limits.threads, allowance.leave) as searched:
            first = list(islice(searched, 2))
            spacing_s = _spacing_s(media.facts, first, rate_hz)
            examination = _Examination(review_models, detector, settings.at_spacing(spacing_s), media.facts, spacing_s)
            for sample in chain(first, searched):
                allowance.check()
                examination.take(sample)
                hooks.on_progress(sample.done_share)
                allowance.give_way()
                if allowance.used_up:
                    notes.append(f"only the first {sample.frame.time_s:.1f} s were looked at: {_TIME_UP}")
                    damaged = sample.damaged
                    break
            else:
                damaged = media.damaged
                if samples.cut_short:
                    notes.append(f"only the first {limits.max_duration_s:g} s were looked at ({_TOO_LONG})")
            # After the frames, because memory is short while a container is opened (jobs.sandbox).
            credentials = CredentialsReader(trust_anchors_of(limits.trust_anchors)).read(path, allowance.check)
        reviewed = examination.finished(media.facts, damaged, notes, credentials)
    hooks.on_progress(1.0)
    return reviewed


def _spacing_s(facts: Facts, first: Sequence[Sample], rate_hz: float) -> float:
    """Time between samples: that of the rate, or of the file's frames if these are farther apart."""
    if len(first) < 2:
        return 1.0 / rate_hz
    between_s = first[1].frame.time_s - first[0].frame.time_s
    usual_s = 1.0 / facts.fps if facts.fps > 0 else between_s  # a recording may begin with a pause
    return max(1.0 / rate_hz, min(between_s, usual_s))


@dataclass(frozen=True, slots=True)
class _ModelExamination:
    """One model's examination of the file."""

    model: ReviewModel
    timeline: Timeline
    tally: Tally
    flagging: Flagging

    def take(self, image: Image, result: Result, elapsed_s: float) -> None:
        kept = self.tally.take(result, elapsed_s)
        self.timeline.take(kept)
        self.flagging.take(image, kept)

    def finished(self, length_s: float) -> ModelReview:
        tracks = tuple((track, self.tally.reason(track, length_s)) for track in self.tally.tracks())
        overall = self.tally.overall(length_s)
        return ModelReview(self.model.judge, overall, tracks, self.timeline, self.flagging.finished())


class _Examination:
    """The examination of one file by all models."""

    def __init__(
        self,
        review_models: ReviewModels,
        detector: Detector,
        settings: AnalysisSettings,
        facts: Facts,
        spacing_s: float,
    ) -> None:
        classifiers = [model.classifier() for model in review_models.models]
        self._analysis = SideBySide(detector, classifiers, settings)
        self._rate_hz = settings.faces.rate_hz
        self._spacing_s = spacing_s
        self._gap_s = settings.window.gap_s
        self._last_s = -spacing_s
        self._sampled = 0
        self._models = tuple(
            _ModelExamination(
                model,
                Timeline(),
                Tally(model.judge.thresholds, settings, spacing_s, picture=facts.kind == "image"),
                Flagging(model, classifier.crop, review_models.settings.review.max_flagged),
            )
            for model, classifier in zip(review_models.models, classifiers, strict=True)
        )

    def take(self, sample: Sample) -> None:
        frame = sample.frame
        elapsed_s = min(frame.time_s - self._last_s, self._gap_s)
        self._last_s = frame.time_s
        self._sampled += 1
        for each, result in zip(self._models, self._analysis.judge(frame, sample.faces), strict=True):
            each.take(frame.image, result, elapsed_s)

    def finished(self, facts: Facts, damaged: int, notes: list[str], credentials: Credentials) -> Reviewed:
        length_s = self._length_s(facts)
        if not notes and facts.kind == "video":
            facts = replace(facts, duration_s=length_s)
        if damaged:
            notes.append(f"{damaged} damaged parts of the file were left out")
        forgotten = max(each.tally.forgotten for each in self._models)
        if forgotten:
            notes.append(f"{forgotten} more faces passed by and are not listed")
        reviews = tuple(each.finished(length_s) for each in self._models)
        return Reviewed(facts, self._rate_hz, self._sampled, tuple(notes), reviews, credentials)

    def _length_s(self, facts: Facts) -> float:
        """Length of the examined part: as the file states, if that agrees with the last sample."""
        near = self._last_s < facts.duration_s < self._last_s + 2 * self._spacing_s
        return facts.duration_s if near else self._last_s + self._spacing_s
