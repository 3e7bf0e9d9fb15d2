"""What one peer saw, as it crosses from the peer's process to the benchmark's.

All times are seconds of the monotonic clock, which on Linux is the same for all processes of a machine. Pictures are
numbered from 0 in the order in which they were sent.
"""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Returned:
    """A picture that came back: when, which one by its timestamp, its size, and its counter where that was read."""

    at_s: float
    number: int
    size_bytes: int
    counter: int | None


@dataclass(frozen=True, slots=True)
class Judged:
    """A message of the data channel that carries a result of the analysis."""

    at_s: float
    number: int
    latency_ms: float
    faces: int
    scored: bool
    state: str
    dropped_samples: int
    error: str | None


@dataclass(slots=True)
class Record:
    """What one peer saw. `sent_s[n]` is when picture n left, which shows index n modulo `pictures`."""

    pictures: int
    sent_s: list[float] = field(default_factory=list)
    returned: list[Returned] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)

    @classmethod
    def parse(cls, line: str) -> "Record":
        """From the line of JSON that a peer's process ends with."""
        value: dict[str, Any] = json.loads(line)
        value["returned"] = [Returned(**item) for item in value["returned"]]
        value["judged"] = [Judged(**item) for item in value["judged"]]
        return cls(**value)
