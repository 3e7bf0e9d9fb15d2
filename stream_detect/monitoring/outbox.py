"""The outbox that webhooks are sent from: storage's `Deliveries` fits it."""

import random
from collections.abc import Callable
from typing import Protocol

from stream_detect.storage.records import Delivery

GIVE_UP_S = 24 * 3600.0
"""A message that did not arrive in a day is given up."""

_FIRST_S = 5.0
_LONGEST_S = 3600.0


class Outbox(Protocol):
    """Keeps messages until they arrived. Thread-safe; each method may raise StorageError."""

    def due(self, now_s: float, limit: int = 50, webhook: str | None = None) -> list[Delivery]:
        """Those whose time has come, the longest due first; of one webhook if named."""
        ...

    def failed(self, delivery_id: str, due_s: float, problem: str) -> None:
        """One attempt more was in vain; the next is at `due_s`."""
        ...

    def done(self, delivery_id: str) -> None:
        """It arrived, or was given up."""
        ...

    def waiting(self, webhook: str) -> int:
        """How many wait for this webhook."""
        ...


def pause_s(attempts: int, chance: Callable[[], float] = random.random) -> float:
    """How long to wait after the attempt that follows `attempts` earlier ones: doubles, +-25 %, an hour at most.

    Args:
        attempts: in vain before this one.
        chance: in [0, 1); spreads the attempts of many messages.
    """
    return float(min(_FIRST_S * 2 ** min(attempts, 20), _LONGEST_S) * (0.75 + 0.5 * chance()))
