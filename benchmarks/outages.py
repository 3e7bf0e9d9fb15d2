"""Outages of a camera: how soon a stall is noticed, and how soon the camera is live again.

The camera's own server process is frozen (SIGSTOP), resumed, killed and started again, in turn. `Outages` holds the
times at which our server says that the camera entered each state.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from watch import Watch, watching

from tests.rtsp.films import FILMS
from tests.rtsp.peer import RtspServer

CYCLES = 3
LONGEST_PAUSE_S = 4.0
"""Between two attempts (60 by default), so that many outages fit into a benchmark. What is measured begins with an
attempt and does not depend on it."""

AWAY_S = (0.5, 3.0)
STORED_S = 5.0
"""A state is in the history at most so much later."""

CAMERA = "camera1"

State = tuple[str, float]
"""A state and the unix time at which it was entered."""


@dataclass(frozen=True, slots=True)
class Outages:
    """Seconds, one value an outage.

    Args:
        noticed_s: from the last moment at which the camera could send until the state "stalled".
        relive_s: from the first attempt since the camera was back until the state "live".
    """

    noticed_s: tuple[float, ...]
    relive_s: tuple[float, ...]

    @property
    def void(self) -> tuple[str, ...]:
        """Nothing makes these meaningless."""
        return ()


def outages(folder: Path) -> Outages:
    """Freeze and kill a camera, a few times each."""
    noticed_s, relive_s = [], []
    with (
        RtspServer(folder) as peer,
        watching([peer.mount("face", FILMS["face"])], folder, backoff_last_s=LONGEST_PAUSE_S) as watch,
    ):
        for _ in range(CYCLES):
            noticed_s.append(_freeze(peer, watch))
            relive_s.append(_kill(peer, watch))
    return Outages(tuple(noticed_s), tuple(relive_s))


def _freeze(peer: RtspServer, watch: Watch) -> float:
    frozen_s = time.time()
    peer.freeze()
    states = _states(watch, frozen_s, lambda states: _first(states, "stalled") is not None)
    peer.thaw()
    watch.wait("live")
    return (_first(states, "stalled") or 0.0) - frozen_s


def _kill(peer: RtspServer, watch: Watch) -> float:
    killed_s = time.time()
    peer.stop(kill=True)
    watch.wait("backing_off", "connecting")
    time.sleep(random.uniform(*AWAY_S))  # noqa: S311 - no secret
    peer.start()
    back_s = time.time()
    watch.wait("live")
    return relived_s(_states(watch, killed_s, lambda states: _first(states, "live") is not None), back_s)


def relived_s(states: Sequence[State], back_s: float) -> float:
    """From the first attempt that the camera could answer to its being live.

    Args:
        states: since the camera went away, the oldest first; one of them is live.
        back_s: when the camera was back; an attempt that had begun before and succeeds counts from its own beginning.
    """
    live_s = next(at_s for state, at_s in states if state == "live")
    attempts_s = [at_s for state, at_s in states if state == "connecting" and at_s <= live_s]
    return live_s - next((at_s for at_s in attempts_s if at_s >= back_s), attempts_s[-1])


def _first(states: Sequence[State], wanted: str) -> float | None:
    return next((at_s for state, at_s in states if state == wanted), None)


def _states(watch: Watch, since_s: float, enough: Callable[[Sequence[State]], bool]) -> list[State]:
    """The history since then, as soon as there is enough of it.

    Raises:
        RuntimeError: there is not in time.
    """
    deadline_s = time.monotonic() + 10 + STORED_S
    while not enough(states := watch.states(CAMERA, since_s)):
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"expected more states of {CAMERA}, received {states}")
        time.sleep(0.1)
    return states
