"""The timeline of a file: a model's result of each sampled frame, in arrays (an hour at 5 Hz takes 1 MB)."""

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from stream_detect.types import Result, TrackResult, VerdictState, Xyxy

_STATES = tuple(VerdictState)
_BOX = 4


@dataclass(frozen=True, slots=True)
class SeenFace:
    """One face in a sampled frame.

    Args:
        track: track number.
        box: xyxy in pixels of the upright frame.
        score: calibrated score of this frame, in [0, 1]; None if it was not scored.
        fake_probability: of its window; None if there is no verdict.
        state: state of its window.
        rejected: why the quality gate rejected it; None if it did not.
    """

    track: int
    box: Xyxy
    score: float | None
    fake_probability: float | None
    state: VerdictState
    rejected: str | None


@dataclass(frozen=True, slots=True)
class JudgedFrame:
    """One sampled frame.

    Args:
        time_s: time since the first frame.
        state: worst state of its faces.
        fake_probability: of that face; None if there is no verdict.
        faces: faces in the frame.
    """

    time_s: float
    state: VerdictState
    fake_probability: float | None
    faces: tuple[SeenFace, ...]


class Timeline:
    """All frames of one model, in arrays: 21 bytes per frame and 34 per face."""

    def __init__(self) -> None:
        self._times_s = array("d")
        self._states = array("B")
        self._probabilities = array("f")
        self._ends = array("L")
        self._tracks = array("L")
        self._boxes = array("f")
        self._scores = array("f")
        self._face_probabilities = array("f")
        self._face_states = array("B")
        self._rejected = array("B")
        self._words: list[str | None] = [None]

    def __len__(self) -> int:
        return len(self._times_s)

    def take(self, result: Result) -> None:
        """Adds the result of the next sampled frame."""
        self._times_s.append(result.time_s)
        self._states.append(_STATES.index(result.verdict.state))
        self._probabilities.append(_held(result.verdict.fake_probability))
        for track in result.tracks:
            self._take(track)
        self._ends.append(len(self._tracks))

    def frames(self) -> Iterator[JudgedFrame]:
        """Yields the frames in order of time."""
        begin = 0
        for number, end in enumerate(self._ends):
            faces = tuple(self._face(index) for index in range(begin, end))
            state, probability = _STATES[self._states[number]], _given(self._probabilities[number])
            yield JudgedFrame(self._times_s[number], state, probability, faces)
            begin = end

    def packed(self) -> tuple[tuple[str | None, ...], list[bytes]]:
        """The texts of rejections and the arrays as bytes, for `unpacked`."""
        return tuple(self._words), [values.tobytes() for values in self._arrays()]

    @classmethod
    def unpacked(cls, words: Sequence[str | None], arrays: Sequence[bytes]) -> Self:
        """Restores a timeline from the output of `packed`.

        Raises:
            ValueError: the arrays are inconsistent.
        """
        timeline = cls()
        timeline._words = list(words)
        for values, content in zip(timeline._arrays(), arrays, strict=True):
            values.frombytes(content)
        timeline._check()
        return timeline

    def _arrays(self) -> tuple["array[float] | array[int]", ...]:
        frames = self._times_s, self._states, self._probabilities, self._ends
        return (
            *frames,
            self._tracks,
            self._boxes,
            self._scores,
            self._face_probabilities,
            self._face_states,
            self._rejected,
        )

    def _check(self) -> None:
        faces = len(self._tracks)
        sizes = (
            (len(self._states), len(self._probabilities), len(self._ends)),
            (
                *(len(self._scores), len(self._face_probabilities), len(self._face_states), len(self._rejected)),
                len(self._boxes) // _BOX,
            ),
        )
        fits = set(sizes[0]) == {len(self._times_s)} and set(sizes[1]) == {faces}
        ordered = list(self._ends) == sorted(self._ends) and max(self._ends, default=0) == faces
        known = max(self._rejected, default=0) < len(self._words)
        states = max(max(self._states, default=0), max(self._face_states, default=0)) < len(_STATES)
        if not (fits and ordered and known and states):
            raise ValueError("arrays of different lengths, or values out of range")

    def _take(self, track: TrackResult) -> None:
        self._tracks.append(track.track_id)
        self._boxes.extend(track.face.xyxy)
        self._scores.append(_held(track.score))
        self._face_probabilities.append(_held(track.verdict.fake_probability))
        self._face_states.append(_STATES.index(track.verdict.state))
        if track.rejected not in self._words:
            self._words.append(track.rejected)  # the quality gate has a dozen different texts
        self._rejected.append(self._words.index(track.rejected))

    def _face(self, index: int) -> SeenFace:
        left, top, right, bottom = self._boxes[_BOX * index : _BOX * (index + 1)]
        return SeenFace(
            track=self._tracks[index],
            box=(left, top, right, bottom),
            score=_given(self._scores[index]),
            fake_probability=_given(self._face_probabilities[index]),
            state=_STATES[self._face_states[index]],
            rejected=self._words[self._rejected[index]],
        )


def _held(value: float | None) -> float:
    return math.nan if value is None else value


def _given(value: float) -> float | None:
    return None if math.isnan(value) else value
