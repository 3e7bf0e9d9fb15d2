"""Interlaced video: decoded frames enter, whole pictures leave. Frames that say they are whole pass as they are."""

from av import VideoFrame
from av.error import BlockingIOError as NeedsMoreError
from av.error import EOFError as DrainedError
from av.filter import Graph

FILTER = ("bwdif", "mode=send_frame:deint=interlaced")
"""Bob Weaver: each missing line from its neighbours above, below, before and after; one picture for each frame."""


class WholePictures:
    """One stream's pictures. From the first interlaced frame on they come one frame late, timestamps unchanged."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._form: tuple[int, int, str] | None = None

    def push(self, frame: VideoFrame) -> list[VideoFrame]:
        """The pictures that a frame completes.

        Args:
            frame: with a pts and a time base; only read.
        """
        if self._graph is None and not frame.interlaced_frame:
            return [frame]
        form = (frame.width, frame.height, frame.format.name)
        if self._graph is not None and form == self._form:
            self._graph.vpush(frame)
            return self._pull()
        before = self.flush()
        if not frame.interlaced_frame:
            return [*before, frame]
        self._graph, self._form = _graph(frame), form
        self._graph.vpush(frame)
        return [*before, *self._pull()]

    def flush(self) -> list[VideoFrame]:
        """What is held back at the end."""
        if self._graph is None:
            return []
        self._graph.vpush(None)
        frames = self._pull()
        self._graph = self._form = None
        return frames

    def _pull(self) -> list[VideoFrame]:
        frames: list[VideoFrame] = []
        while self._graph is not None:
            try:
                frames.append(self._graph.vpull())
            except (NeedsMoreError, DrainedError):
                break
        return frames


def _graph(frame: VideoFrame) -> Graph:
    graph = Graph()
    graph.threads = 1
    graph.link_nodes(
        graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base),
        graph.add(*FILTER),
        graph.add("buffersink"),
    )
    graph.configure()
    return graph
