"""The observer of cameras, the interface to what follows their states and results."""

from collections.abc import Sequence
from typing import Protocol

from av import VideoFrame

from stream_detect.types import Result, StateChange


class Observer(Protocol):
    """Is notified of every camera. Called on the cameras' threads: must return at once and must not raise."""

    def result(self, camera: str, result: Result, at_s: float) -> None:
        """A result arrived.

        Args:
            camera: name of the camera.
            result: result of the analysis.
            at_s: wall clock of the analysed frame, unix seconds.
        """
        ...

    def state(self, change: StateChange) -> None:
        """A camera entered a state."""
        ...

    def removed(self, camera: str) -> None:
        """The camera was removed: there are no more notifications about it."""
        ...


class Viewing(Protocol):
    """Receives a camera's frames while somebody watches (webrtc/hub.py); one per camera."""

    @property
    def viewers(self) -> int:
        """Current number of viewers. Thread-safe."""
        ...

    def show(self, frame: VideoFrame) -> None:
        """Accepts a frame of the camera, upright and read-only, with pts and time base; returns at once.

        Called on the camera's thread for every frame while there are viewers. A waiting frame is replaced.
        """
        ...

    def show_result(self, result: Result | None) -> None:
        """Sets the result that is drawn on frames from now on; returns at once.

        Called with each result, whether or not somebody watches, and with None when the camera's state changes, because
        the previous result is then out of date.
        """
        ...


class Observers:
    """Notifies several observers in order; itself an `Observer`.

    Args:
        observers: the observers.
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
