"""Finds video frames that only the garbage collector frees: reference cycles keep their memory for seconds."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from av import VideoFrame


@contextmanager
def frames_in_cycles() -> Iterator[list[VideoFrame]]:
    """At the end of the block, the list contains the frames that were left to the garbage collector."""
    found: list[VideoFrame] = []
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        found += [thing for thing in gc.garbage if isinstance(thing, VideoFrame)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
