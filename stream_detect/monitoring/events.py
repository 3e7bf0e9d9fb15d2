"""Events of one camera: its results and states enter, beginnings and ends of events leave. Pure: all times are given.

fake:     quiet ──verdict fake──> open ──another verdict, or no result, for rest_s──> quiet
offline:  live ──any other state──> dark ──for after_s──> open        dark, open ──live, or stopped by its owner──> live
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple

from stream_detect.monitoring.fake import FakeSpell, Moment
from stream_detect.monitoring.status import CameraState, StateChange
from stream_detect.storage.identity import new_id
from stream_detect.storage.records import Event, Judge
from stream_detect.types import Result, VerdictState

What = Literal["began", "ended"]


class Transition(NamedTuple):
    """An event began or ended.

    Args:
        what: which of the two.
        event: as it is now.
    """

    what: What
    event: Event


class FakeEvents:
    """When a camera's verdict is fake.

    Args:
        camera: its name.
        rest_s: an event ends when the verdict was another for so long.
        judge: who judges now.
    """

    def __init__(self, camera: str, rest_s: float, judge: Callable[[], Judge]) -> None:
        self._camera = camera
        self._rest_s = rest_s
        self._judge = judge
        self._spell: FakeSpell | None = None

    @property
    def open(self) -> Event | None:
        """The event that goes on, as it is now."""
        return None if self._spell is None else self._spell.event()

    def result(self, result: Result, moment: Moment) -> list[Transition]:
        """Takes the camera's next result; `moment.at_s` is that of its frame."""
        left = self.tick(moment)
        if self._spell is not None:
            self._spell.add(result, moment)
        elif result.verdict.state is VerdictState.FAKE:
            self._spell = FakeSpell(self._camera, self._judge(), result, moment)
            left.append(Transition("began", self._spell.event()))
        return left

    def gap(self, moment: Moment) -> None:
        """Pictures are lost from now on: the camera is not live any more."""
        if self._spell is not None:
            self._spell.mark_gap(moment)

    def tick(self, moment: Moment) -> list[Transition]:
        """Time passed: the event may have come to rest."""
        if self._spell is None or moment.now_s - self._spell.newest.now_s < self._rest_s:
            return []
        return self._end(self._spell.event(ended_s=self._spell.over_s))

    def close(self, moment: Moment, *, interrupted: bool) -> list[Transition]:
        """Nothing more comes: what goes on ends now."""
        if self._spell is None:
            return []
        return self._end(replace(self._spell.event(ended_s=moment.at_s), interrupted=interrupted))

    def _end(self, event: Event) -> list[Transition]:
        self._spell = None
        return [Transition("ended", event)]


class OfflineEvents:
    """When a camera gives no pictures, though its owner wants it to.

    Args:
        camera: its name.
        after_s: shorter drops are no events.
    """

    def __init__(self, camera: str, after_s: float) -> None:
        self._camera = camera
        self._after_s = after_s
        self._dark: tuple[StateChange, Moment] | None = None
        self._open: Event | None = None

    @property
    def open(self) -> Event | None:
        """The event that goes on."""
        return self._open

    @property
    def idle(self) -> bool:
        """Whether nothing is remembered."""
        return self._dark is None

    def state(self, change: StateChange, moment: Moment) -> list[Transition]:
        """Takes the camera's next state; `moment.at_s` is that of the change."""
        if change.state in {CameraState.LIVE, CameraState.STOPPED}:
            left = [*self.tick(moment), *self.close(moment, interrupted=False)]
            self._dark = None
            return left
        self._dark = change, moment if self._dark is None else self._dark[1]
        return self.tick(moment)

    def tick(self, moment: Moment) -> list[Transition]:
        """Time passed: the camera may have been dark for long enough."""
        if self._dark is None or self._open is not None:
            return []
        change, since = self._dark
        if moment.now_s - since.now_s < self._after_s:
            return []
        self._open = Event(new_id(since.at_s), self._camera, "offline", since.at_s, None, change.reason)
        return [Transition("began", self._open)]

    def close(self, moment: Moment, *, interrupted: bool) -> list[Transition]:
        """Nothing more comes, or pictures do: what goes on ends now."""
        if self._open is None:
            return []
        event, self._open = self._open, None
        return [Transition("ended", replace(event, ended_s=max(moment.at_s, event.began_s), interrupted=interrupted))]


class CameraEvents:
    """All events of one camera. Not safe to use from two threads at once.

    Args:
        fake: those of its verdict.
        offline: those of its state.
    """

    def __init__(self, fake: FakeEvents, offline: OfflineEvents) -> None:
        self._fake = fake
        self._offline = offline

    @property
    def open(self) -> list[Event]:
        """Events that go on, as they are now."""
        return [event for event in (self._fake.open, self._offline.open) if event is not None]

    @property
    def idle(self) -> bool:
        """Whether nothing is remembered: a new object would do as well."""
        return self._fake.open is None and self._offline.idle

    def result(self, result: Result, moment: Moment) -> list[Transition]:
        """Takes the camera's next result; `moment.at_s` is that of its frame."""
        return self._fake.result(result, moment)

    def state(self, change: StateChange, moment: Moment) -> list[Transition]:
        """Takes the camera's next state; `moment.at_s` is that of the change."""
        left = self._fake.tick(moment)
        if change.state is not CameraState.LIVE:
            self._fake.gap(moment)
        return [*left, *self._offline.state(change, moment)]

    def tick(self, moment: Moment) -> list[Transition]:
        """Time passed."""
        return [*self._fake.tick(moment), *self._offline.tick(moment)]

    def close(self, moment: Moment, *, interrupted: bool) -> list[Transition]:
        """Nothing more comes: the camera is no more (`interrupted` false), or this process (true)."""
        return [
            *self._fake.close(moment, interrupted=interrupted),
            *self._offline.close(moment, interrupted=interrupted),
        ]
