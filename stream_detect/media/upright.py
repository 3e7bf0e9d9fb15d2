"""Turns pictures that a phone or a ceiling camera took on its side: a decoded frame enters, an upright one leaves."""

from av import VideoFrame
from av.filter import Graph

TURNS = {1: (("transpose", "cclock"),), 2: (("hflip", None), ("vflip", None)), 3: (("transpose", "clock"),)}
"""FFmpeg's filters for quarter turns counter-clockwise, as `VideoFrame.rotation` counts."""


class Upright:
    """Turns one stream's pictures. Most need none and pass as they are."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._form: tuple[int, int, int, str] | None = None

    def turn(self, frame: VideoFrame) -> VideoFrame:
        """The picture upright: itself, or a new one with its timestamps; it is never written into."""
        rotation = frame.rotation
        quarters = round(rotation / 90) % 4 if rotation else 0
        if not quarters:
            return frame
        form = (quarters, frame.width, frame.height, frame.format.name)
        if self._graph is None or form != self._form:
            self._graph, self._form = _graph(frame, quarters), form
        self._graph.vpush(frame)
        return self._graph.vpull()


def _graph(frame: VideoFrame, quarters: int) -> Graph:
    graph = Graph()
    graph.threads = 1
    # The turned picture must not say that it is still to be turned.
    filters = (*TURNS[quarters], ("sidedata", "mode=delete:type=DISPLAYMATRIX"))
    graph.link_nodes(
        graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base),
        *(graph.add(name, arguments) for name, arguments in filters),
        graph.add("buffersink"),
    )
    graph.configure()
    return graph
