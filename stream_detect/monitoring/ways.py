"""Ways of telling somebody, as values: how each does, and what came of a test alert."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class AlertWay:
    """A webhook or the MQTT broker at a moment. Counts are since the start.

    Args:
        name: of the webhook; "mqtt" for the broker.
        kind: which of the two.
        state: "ok": the newest attempt succeeded, or none was made yet; "connecting": the first is under way;
            "failing": it did not succeed.
        detail: a sentence, without addresses.
        delivered: messages of events that arrived.
        failed: those given up, or dropped because too many waited.
        attempts_failed: attempts in vain; each message is tried many times.
        waiting: messages that have yet to arrive.
    """

    name: str
    kind: Literal["webhook", "mqtt"]
    state: Literal["ok", "failing", "connecting"]
    detail: str
    delivered: int
    failed: int
    attempts_failed: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Tested:
    """What came of a test alert.

    Args:
        ok: it arrived.
        detail: a sentence.
    """

    ok: bool
    detail: str
