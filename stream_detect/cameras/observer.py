"""The observer of cameras, the interface to what follows their states and results."""

from collections.abc import Sequence
from typing import Protocol

from av import VideoFrame

from stream_detect.types import Result, StateChange


class Observer(Protocol):
    """Is notified of every camera. Called on cameras' own threads: must return at once and never raise."""

    def result(self, camera: str, result: Result, at_s: float) -> None:
        """A result came.

        Args:
            camera: its name.
            result: of the analysis.
            at_s: wall clock of the analysed frame, unix seconds.
        """
        ...

    def state(self, change: StateChange) -> None:
        """A camera entered a state."""
        ...

    def removed(self, camera: str) -> None:
        """The camera is no more in the list: nothing further will be said of it."""
        ...


class Viewing(Protocol):
    """Where a camera's frames go while somebody watches (webrtc/hub.py); one a camera."""

    @property
    def viewers(self) -> int:
        """Who watch now. Safe from any thread."""
        ...

    def show(self, frame: VideoFrame) -> None:
        """Takes a frame of the camera, upright and only read, with pts and time base; returns at once.

        Called on the camera's thread for every picture while there are viewers. One that is still waiting is replaced.
        """
        ...

    def show_result(self, result: Result | None) -> None:
        """Takes what is drawn on the frames from now on; returns at once.

        Called with each result, whether somebody watches or not, and with None when the camera's state changes: what
        was found before says nothing about now.
        """
        ...


class Observers:
    """Notifies several observers, in their order; an `Observer` itself.

    Args:
        observers: to be notified.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def result(self, camera: str, result: Result, at_s: float) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.result(camera, result, at_s)

    def state(self, change: StateChange) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.state(change)

    def removed(self, camera: str) -> None:
        """See `Observer`."""
        for observer in self._observers:
            observer.removed(camera)
