"""The floor's process: started on the same streams as the server, asked what it did."""

import json
from collections.abc import Sequence

from child import Child

Done = tuple[int, int]
"""Pictures decoded and samples taken of one stream, so far."""


def reference(addresses: Sequence[str], every: int) -> Child:
    """A running `floor.py`; it says "ready" once it decodes all streams.

    Args:
        addresses: of the streams.
        every: each such picture is a sample.
    """
    return Child("floor.py", *addresses, "--every", str(every))


def done_by(floor: Child) -> list[Done]:
    """What it did so far, one item a stream."""
    return [(pictures, samples) for pictures, samples in json.loads(floor.ask())]
