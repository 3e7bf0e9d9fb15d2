"""Several observers as one: history, alerts, live results and metrics are all told of the same cameras."""

from collections.abc import Sequence

from stream_detect.monitoring.observer import Observer
from stream_detect.monitoring.status import StateChange
from stream_detect.types import Result


class Observers:
    """Tells each, in their order; fits `Observer`.

    Args:
        observers: to be told.
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
