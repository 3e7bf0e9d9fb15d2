"""One spell of a fake verdict: results enter, the event that they make leaves. Pure: all times are given."""

import math
import time
from dataclasses import dataclass, replace
from typing import Self

from stream_detect.storage.identity import new_id
from stream_detect.storage.records import Event, Judge
from stream_detect.types import Result, VerdictState

MAX_GAPS = 100
"""Gap marks kept of an event, the first ones: a link that loses packets for hours says no more by a longer list."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment by both clocks.

    Args:
        at_s: wall clock, unix seconds: what is written down.
        now_s: monotonic seconds: what durations are measured by, as wall clocks jump.
    """

    at_s: float
    now_s: float

    @classmethod
    def now(cls) -> Self:
        """This one."""
        return cls(time.time(), time.monotonic())


@dataclass(slots=True)
class _Scores:
    total: float = 0.0
    count: int = 0
    peak: float = -math.inf

    def add(self, others: "_Scores") -> None:
        self.total += others.total
        self.count += others.count
        self.peak = max(self.peak, others.peak)


class FakeSpell:
    """A fake event that goes on.

    Args:
        camera: its name.
        judge: who judged.
        result: the first with the verdict fake.
        moment: `at_s` of its frame, `now_s` of its coming.
    """

    def __init__(self, camera: str, judge: Judge, result: Result, moment: Moment) -> None:
        self.newest = moment
        """When the newest fake verdict came."""
        self._event = Event(
            id=new_id(moment.at_s),
            camera=camera,
            kind="fake",
            began_s=moment.at_s,
            ended_s=None,
            reason=f"a face was called fake: {result.verdict.reason}",
            judge=judge,
        )
        self._other_at_s: float | None = None
        self._scores = _Scores()  # up to the newest fake verdict
        self._tail = _Scores()  # since: the event's only if it goes on
        self._gaps_s: list[float] = []
        self._broken = True  # the track's trace ended in NaN, so that one more there says nothing new
        self.add(result, moment)

    @property
    def over_s(self) -> float:
        """Wall clock at which the verdict ceased to be fake, as far as is known."""
        return self.newest.at_s if self._other_at_s is None else self._other_at_s

    def event(self, ended_s: float | None = None) -> Event:
        """The event as it is now, or as it was when it ended."""
        return replace(
            self._event,
            ended_s=None if ended_s is None else max(ended_s, self._event.began_s),
            peak=self._scores.peak if self._scores.count else None,
            mean=min(self._scores.total / self._scores.count, self._scores.peak) if self._scores.count else None,
            gaps_s=tuple(self._gaps_s),
        )

    def add(self, result: Result, moment: Moment) -> None:
        """Takes the next result, of whatever verdict."""
        self._look_for_gap(result, moment)
        score = result.verdict.fake_probability
        if score is not None:
            self._tail.add(_Scores(score, 1, score))
        if result.verdict.state is not VerdictState.FAKE:
            self._other_at_s = moment.at_s if self._other_at_s is None else self._other_at_s
            return
        self.newest, self._other_at_s = moment, None
        worse = score is not None and score > self._scores.peak
        self._scores.add(self._tail)
        self._tail = _Scores()
        if worse:
            self._follow_worst(result)

    def mark_gap(self, moment: Moment) -> None:
        """Pictures were lost about now."""
        if len(self._gaps_s) < MAX_GAPS:
            self._gaps_s.append(moment.at_s)

    def _follow_worst(self, result: Result) -> None:
        faces = [track for track in result.tracks if track.verdict.state is VerdictState.FAKE]
        if faces:
            worst = max(faces, key=lambda track: track.verdict.fake_probability or 0.0)
            if worst.track_id != self._event.track:
                self._event = replace(self._event, track=worst.track_id)
                self._broken = not worst.trace or math.isnan(worst.trace[-1])

    def _look_for_gap(self, result: Result, moment: Moment) -> None:
        """A gap stands in a trace as NaN before the newest sample; the NaN of a refused sample is that sample."""
        for track in result.tracks:
            if track.track_id == self._event.track and track.trace:
                sampled = track.score is not None or track.rejected is not None
                before = track.trace[:-1] if sampled else track.trace
                if before and math.isnan(before[-1]) and not self._broken:
                    self.mark_gap(moment)
                self._broken = math.isnan(track.trace[-1])
