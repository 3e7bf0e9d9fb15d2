"""The rules by which events of a camera begin and end, from its results and states. All times are arguments.

fake:     quiet ──verdict fake──> open ──another verdict, or no result, for rest_s──> quiet
feed:     live ──frozen or looped──> open ──live, or no result, for rest_s──> live
offline:  live ──any other state──> dark ──for after_s──> open        dark, open ──live, or stopped by its owner──> live
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from stream_detect.media.clock import Moment
from stream_detect.storage.records import Event, EventKind, Judge, new_id
from stream_detect.types import CameraState, FeedState, Result, StateChange, VerdictState

FAILED = frozenset({CameraState.BACKING_OFF, CameraState.REFUSED})
UNDECIDED = frozenset({CameraState.CONNECTING, CameraState.STALLED})
"""States of an attempt after a failure before its outcome is known."""


class RepeatedFailures:
    """Filters out attempts that end like the previous one. Not safe to use from two threads at once."""

    def __init__(self) -> None:
        self._failure: StateChange | None = None
        self._held: list[StateChange] = []

    def news(self, change: StateChange) -> list[StateChange]:
        """Processes the camera's next state; returns the states to write, in order.

        An attempt after a failure is held back. If it ends in the same state for the same reason, it is dropped.
        """
        before = self._failure
        if before is not None and change.state in UNDECIDED:
            self._held.append(change)
            return []
        held, self._held = self._held, []
        self._failure = change if change.state in FAILED else None
        if before is not None and (before.state, before.reason) == (change.state, change.reason):
            return []
        return [*held, change]


MAX_GAPS = 100
"""Gap marks kept per event, the first ones: for a link that loses packets for hours, a longer list says no more."""


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
    """An ongoing fake event.

    Args:
        camera: name of the camera.
        judge: the model.
        result: the first result with the verdict fake.
        moment: `at_s` of its frame, `now_s` of its arrival.
    """

    def __init__(self, camera: str, judge: Judge, result: Result, moment: Moment) -> None:
        self.newest = moment
        """Time of the newest fake verdict."""
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
        self._tail = _Scores()  # since then: part of the event only if it continues
        self._gaps_s: list[float] = []
        self._broken = True  # the track's trace ended in NaN, so another NaN there is nothing new
        self.add(result, moment)

    @property
    def over_s(self) -> float:
        """Time at which the verdict stopped being fake, as far as known."""
        return self.newest.at_s if self._other_at_s is None else self._other_at_s

    def event(self, ended_s: float | None = None) -> Event:
        """The event in its current state, or as it was when it ended."""
        return replace(
            self._event,
            ended_s=None if ended_s is None else max(ended_s, self._event.began_s),
            peak=self._scores.peak if self._scores.count else None,
            mean=min(self._scores.total / self._scores.count, self._scores.peak) if self._scores.count else None,
            gaps_s=tuple(self._gaps_s),
        )

    def add(self, result: Result, moment: Moment) -> None:
        """Adds the next result, with any verdict."""
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
        """Records that frames were lost at about this time."""
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
        """In a trace, a gap is a NaN before the newest sample; the NaN of a rejected sample is that sample itself."""
        for track in result.tracks:
            if track.track_id == self._event.track and track.trace:
                sampled = track.score is not None or track.rejected is not None
                before = track.trace[:-1] if sampled else track.trace
                if before and math.isnan(before[-1]) and not self._broken:
                    self.mark_gap(moment)
                self._broken = math.isnan(track.trace[-1])


What = Literal["began", "ended"]


class Transition(NamedTuple):
    """The beginning or end of an event.

    Args:
        what: which of the two.
        event: its current state.
    """

    what: What
    event: Event


class FakeEvents:
    """Fake events: the verdict of a camera is fake.

    Args:
        camera: name of the camera.
        rest_s: an event ends after another verdict for this time.
        judge: returns the current model.
    """

    def __init__(self, camera: str, rest_s: float, judge: Callable[[], Judge]) -> None:
        self._camera = camera
        self._rest_s = rest_s
        self._judge = judge
        self._spell: FakeSpell | None = None

    @property
    def open(self) -> Event | None:
        """The ongoing event in its current state."""
        return None if self._spell is None else self._spell.event()

    def result(self, result: Result, moment: Moment) -> list[Transition]:
        """Processes the camera's next result; `moment.at_s` is the time of its frame."""
        left = self.tick(moment)
        if self._spell is not None:
            self._spell.add(result, moment)
        elif result.verdict.state is VerdictState.FAKE:
            self._spell = FakeSpell(self._camera, self._judge(), result, moment)
            left.append(Transition("began", self._spell.event()))
        return left

    def gap(self, moment: Moment) -> None:
        """Called when frames are lost from now on, because the camera is no longer live."""
        if self._spell is not None:
            self._spell.mark_gap(moment)

    def tick(self, moment: Moment) -> list[Transition]:
        """Called as time passes: the event may end."""
        if self._spell is None or moment.now_s - self._spell.newest.now_s < self._rest_s:
            return []
        return self._end(self._spell.event(ended_s=self._spell.over_s))

    def close(self, moment: Moment, *, interrupted: bool) -> list[Transition]:
        """Called at the end: an ongoing event ends now."""
        if self._spell is None:
            return []
        return self._end(replace(self._spell.event(ended_s=moment.at_s), interrupted=interrupted))

    def _end(self, event: Event) -> list[Transition]:
        self._spell = None
        return [Transition("ended", event)]


class OfflineEvents:
    """Offline events: a camera that should be running sends no frames.

    Args:
        camera: name of the camera.
        after_s: shorter interruptions are not events.
    """

    def __init__(self, camera: str, after_s: float) -> None:
        self._camera = camera
        self._after_s = after_s
        self._dark: tuple[StateChange, Moment] | None = None
        self._open: Event | None = None

    @property
    def open(self) -> Event | None:
        """The ongoing event."""
        return self._open

    @property
    def idle(self) -> bool:
        """Whether there is no state."""
        return self._dark is None

    def state(self, change: StateChange, moment: Moment) -> list[Transition]:
        """Processes the camera's next state; `moment.at_s` is the time of the change."""
        if change.state in {CameraState.LIVE, CameraState.STOPPED}:
            left = [*self.tick(moment), *self.close(moment, interrupted=False)]
            self._dark = None
            return left
        self._dark = change, moment if self._dark is None else self._dark[1]
        return self.tick(moment)

    def tick(self, moment: Moment) -> list[Transition]:
        """Called as time passes: the camera may have been offline for long enough."""
        if self._dark is None or self._open is not None:
            return []
        change, since = self._dark
        if moment.now_s - since.now_s < self._after_s:
            return []
        self._open = Event(new_id(since.at_s), self._camera, "offline", since.at_s, None, change.reason)
        return [Transition("began", self._open)]

    def close(self, moment: Moment, *, interrupted: bool) -> list[Transition]:
        """Called at the end, or when frames arrive: an ongoing event ends now."""
        if self._open is None:
            return []
        event, self._open = self._open, None
        return [Transition("ended", replace(event, ended_s=max(moment.at_s, event.began_s), interrupted=interrupted))]


FEED_KINDS: dict[FeedState, EventKind] = {FeedState.FROZEN: "frozen", FeedState.LOOPED: "looped"}


class FeedEvents:
    """Frozen and looped events: a camera's feed stands still or repeats itself.

    Args:
        camera: name of the camera.
        rest_s: an event ends after the feed was live, or without results, for this time.
    """

    def __init__(self, camera: str, rest_s: float) -> None:
        self._camera = camera
        self._rest_s = rest_s
        self._open: Event | None = None
        self._newest = Moment(0.0, 0.0)  # when the feed was last not live

    @property
    def open(self) -> Event | None:
        """The ongoing event."""
        return self._open

    def result(self, result: Result, moment: Moment) -> list[Transition]:
        """Processes the camera's next result; `moment.at_s` is the time of its frame."""
        left = self.tick(moment)
        kind = FEED_KINDS.get(result.feed)
        if kind is None:
            return left
        if self._open is not None and self._open.kind != kind:
            left += self.close(moment, interrupted=False)
        self._newest = moment
        if self._open is None:
            self._open = Event(new_id(moment.at_s), self._camera, kind, moment.at_s, None, result.feed_reason)
            left.append(Transition("began", self._open))
        else:
            self._open = replace(self._open, reason=result.feed_reason)
        return left

    def tick(self, moment: Moment) -> list[Transition]:
        """Called as time passes: the event may end."""
        if self._open is None or moment.now_s - self._newest.now_s < self._rest_s:
            return []
        return self.close(self._newest, interrupted=False)

    def close(self, moment: Moment, *, interrupted: bool) -> list[Transition]:
        """Called at the end: an ongoing event ends now."""
        if self._open is None:
            return []
        event, self._open = self._open, None
        return [Transition("ended", replace(event, ended_s=max(moment.at_s, event.began_s), interrupted=interrupted))]


class CameraEvents:
    """All events of one camera. Not safe to use from two threads at once.

    Args:
        fake: events of its verdict.
        offline: events of its state.
        feed: events of its feed; None for none.
    """

    def __init__(self, fake: FakeEvents, offline: OfflineEvents, feed: FeedEvents | None = None) -> None:
        self._fake = fake
        self._offline = offline
        self._feed = feed or FeedEvents("", math.inf)

    @property
    def open(self) -> list[Event]:
        """Ongoing events in their current state."""
        return [event for event in (self._fake.open, self._feed.open, self._offline.open) if event is not None]

    @property
    def idle(self) -> bool:
        """Whether there is no state, so that a new object would do as well."""
        return self._fake.open is None and self._feed.open is None and self._offline.idle

    def result(self, result: Result, moment: Moment) -> list[Transition]:
        """Processes the camera's next result; `moment.at_s` is the time of its frame."""
        return [*self._fake.result(result, moment), *self._feed.result(result, moment)]

    def state(self, change: StateChange, moment: Moment) -> list[Transition]:
        """Processes the camera's next state; `moment.at_s` is the time of the change."""
        left = [*self._fake.tick(moment), *self._feed.tick(moment)]
        if change.state is not CameraState.LIVE:
            self._fake.gap(moment)
        return [*left, *self._offline.state(change, moment)]

    def tick(self, moment: Moment) -> list[Transition]:
        """Called as time passes."""
        return [*self._fake.tick(moment), *self._feed.tick(moment), *self._offline.tick(moment)]

    def close(self, moment: Moment, *, interrupted: bool) -> list[Transition]:
        """Called at the end: the camera was removed (`interrupted` False), or this process ends (True)."""
        return [
            *self._fake.close(moment, interrupted=interrupted),
            *self._feed.close(moment, interrupted=interrupted),
            *self._offline.close(moment, interrupted=interrupted),
        ]
