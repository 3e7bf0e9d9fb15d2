"""Aggregates the results of a camera into its score history, one row per second. All times are arguments."""

from stream_detect.storage.records import Score
from stream_detect.types import Result, VerdictState


class Seconds:
    """Folds a camera's results into rows, one a second. Not safe to use from two threads at once.

    Args:
        camera: its name.
    """

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self._at_s: int | None = None
        self._scores: list[float] = []
        self._worst = VerdictState.NO_FACE
        self._samples = 0

    @property
    def idle(self) -> bool:
        """Whether no second is begun."""
        return self._at_s is None

    def add(self, result: Result, at_s: float) -> Score | None:
        """Takes a result; returns the second before, when this one begins another.

        Args:
            result: the next of the camera.
            at_s: wall clock of its frame; a clock that was set back begins another second as well.
        """
        done = self.close() if self._at_s is not None and int(at_s) != self._at_s else None
        self._at_s = int(at_s)
        self._samples += 1
        self._worst = max(self._worst, result.verdict.state, key=lambda state: state.severity)
        if result.verdict.fake_probability is not None:
            self._scores.append(result.verdict.fake_probability)
        return done

    def tick(self, at_s: float) -> Score | None:
        """The second that is over since a while, so that no result of it is under way any more."""
        return None if self._at_s is None or abs(at_s - self._at_s) < 3.0 else self.close()

    def close(self) -> Score | None:
        """The second that was begun, as far as it came."""
        if self._at_s is None:
            return None
        scores = self._scores
        row = Score(
            camera=self._camera,
            at_s=self._at_s,
            low=min(scores, default=None),
            mean=sum(scores) / len(scores) if scores else None,
            high=max(scores, default=None),
            state=self._worst.value,
            samples=self._samples,
            scored=len(scores),
        )
        self._at_s, self._scores, self._worst, self._samples = None, [], VerdictState.NO_FACE, 0
        return row
