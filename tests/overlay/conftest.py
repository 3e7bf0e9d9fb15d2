"""Frames and results for tests of the overlay."""

from collections.abc import Callable, Iterable
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
import skimage.data

from stream_detect.overlay.overlay import Overlay
from stream_detect.types import Face, Result, Thresholds, TrackResult, Verdict, VerdictState, Xyxy

MakeFrame = Callable[..., av.VideoFrame]
MakeTrack = Callable[..., TrackResult]
MakeResult = Callable[..., Result]


@pytest.fixture
def flat() -> MakeFrame:
    """A frame of one colour, yuv420p."""

    def make(
        w: int = 640, h: int = 480, rgb: tuple[int, int, int] = (128, 128, 128), fmt: str = "yuv420p"
    ) -> av.VideoFrame:
        image = np.full((h, w, 3), rgb, np.uint8)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=fmt)
        frame.pts, frame.time_base = 0, Fraction(1, 90000)
        return frame

    return make


@pytest.fixture(scope="session")
def moving() -> Callable[[int, int, int, int], list[av.VideoFrame]]:
    """A pan over a public-domain portrait: `count` frames from number `start` on, with 90 kHz timestamps."""
    photo = skimage.data.astronaut()

    def make(count: int, w: int, h: int, start: int = 0) -> list[av.VideoFrame]:
        frames = []
        for index in range(start, start + count):
            turn = cv2.getRotationMatrix2D((256, 256), 4 * np.sin(index / 9), max(w, h) / 400)
            turn[:, 2] += np.array((w / 2 - 256 + 12 * np.sin(index / 5), h / 2 - 256))
            image = cv2.warpAffine(photo, turn, (w, h), borderMode=cv2.BORDER_REFLECT)
            frame = av.VideoFrame.from_ndarray(np.asarray(image, np.uint8), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = 1000 + 3000 * index, Fraction(1, 90000)
            frames.append(frame)
        return frames

    return make


@pytest.fixture
def track() -> MakeTrack:
    def make(  # noqa: PLR0913, PLR0917 - each has a default
        box: Xyxy = (200.0, 150.0, 400.0, 400.0),
        state: VerdictState = VerdictState.REAL,
        probability: float | None = 0.5,
        trace: Iterable[float] = (0.5,) * 20,
        number: int = 1,
        admitted: int = 20,
        needed: int = 12,
    ) -> TrackResult:
        face = Face(box, np.zeros((6, 2), np.float32), 0.9)
        return TrackResult(
            number, face, Verdict(state, "", probability, admitted, needed), probability, None, tuple(trace)
        )

    return make


@pytest.fixture
def result() -> MakeResult:
    def make(
        *tracks: TrackResult,
        wh: tuple[int, int] = (640, 480),
        time_s: float = 0.0,
        sequence: int = 1,
        error: str | None = None,
        state: VerdictState = VerdictState.NO_FACE,
    ) -> Result:
        verdict = Verdict(state, "", None, 0, 12)
        return Result(sequence, time_s, time_s, 0, wh, verdict, tracks, 0.01, 0, error)

    return make


@pytest.fixture
def overlay() -> Overlay:
    return Overlay(Thresholds(), stale_s=1.0)
