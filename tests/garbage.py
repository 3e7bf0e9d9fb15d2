"""Finds video frames that only the garbage collector frees: one in a reference cycle keeps its memory for seconds."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from av import VideoFrame


@contextmanager
def frames_in_cycles() -> Iterator[list[VideoFrame]]:
    """The list is filled at the end of the block with the frames that were left to the collector meanwhile."""
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
