"""The annotated video or picture: a file with the live overlay burnt in, drawn from stored results.

Nothing is judged again: the badge at each moment agrees with the report.
"""

import json
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stream_detect.errors import NotFoundError, ReviewError, StorageError
from stream_detect.media.files import check_room, put_whole
from stream_detect.media.jpeg import encode_jpeg
from stream_detect.media.planes import copy_yuv420p, to_rgb
from stream_detect.overlay.overlay import Overlay
from stream_detect.review.examination import Allowance, Hooks
from stream_detect.review.models import ExaminationSettings
from stream_detect.review.samples import ahead, goes_ahead
from stream_detect.review.video_writer import VideoWriter
from stream_detect.settings import ReviewSettings, WindowSettings
from stream_detect.sources.file_frame import Decoding
from stream_detect.sources.media import Media, open_media
from stream_detect.types import Face, Result, Thresholds, TrackResult, Verdict, VerdictState

_QUALITY = 90
_ROOM_EVERY = 32
"""The free space is checked once per this many frames, which are a few MB."""

_STALE_S = 2.0
_STALE_PERIODS = 3.0
"""After this many sampling periods without a result the badge is shown as stale: that part of the file was not
examined."""

_ROUNDED_S = 0.0006
"""Rounding error of stored times, which are in milliseconds."""

_NO_POINTS = np.zeros((6, 2), np.float32)


def annotate(
    path: Path, to: Path, stored: "StoredResults", settings: ExaminationSettings, hooks: Hooks | None = None
) -> None:
    """Makes the annotated video or picture, with the time limit of an examination.

    Args:
        path: path of the file.
        to: output file, written atomically; its suffix is ignored.
        stored: results of one model for the file.
        settings: limits, and how the video is encoded.
        hooks: called during the work.

    Raises:
        MediaError: the file cannot be decoded, or a frame not encoded.
        ReviewCancelledError: it was cancelled; no file is left.
        ReviewError: the time limit was reached; no file is left.
        DiskFullError: less than `review.min_free_bytes` would remain free.
        StorageError: the output cannot be written.
    """
    hooks = hooks or Hooks()
    limits = settings.review
    allowance = Allowance(hooks, limits.max_run_s)
    decoding = Decoding(limits.max_pixels, limits.threads, allowance.check)
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{to} cannot be written: {error.strerror}") from error
    with closing(open_media(path, decoding)) as media:

        def put(part: Path) -> None:
            if media.facts.kind == "image":
                _draw_picture(media, stored, part)
            else:
                with VideoWriter(part, path, settings.video) as writer:
                    _draw_video(media, stored, writer, (limits, hooks, allowance))

        put_whole(to, put)
    hooks.on_progress(1.0)


class StoredResults:
    """Results of one model for a file, as the overlay draws them; read in order of time.

    Args:
        results: results of the file (docs/protocol.md).
        review: the part of the model.
        window: scores that a verdict needs, and length of the window.
    """

    def __init__(self, results: Mapping[str, Any], review: Mapping[str, Any], window: WindowSettings) -> None:
        limits = review["model"]["thresholds"]
        self.thresholds = Thresholds(**{name: float(value) for name, value in limits.items()})
        self.stale_s = max(_STALE_S, _STALE_PERIODS / float(results["rate_hz"]))
        self._wh = int(results["file"]["width"]), int(results["file"]["height"])
        self._frames = deque(review["frames"])
        self._window = window
        self._histories: dict[int, _History] = {}
        self._result: Result | None = None
        self._drawn = 0

    @classmethod
    def read(cls, path: Path, model: str, window: WindowSettings) -> "StoredResults":
        """Reads the stored results of a file.

        Raises:
            NotFoundError: there are none for that model.
            ReviewError: they cannot be read.
        """
        try:
            results = json.loads(path.read_bytes())
            for review in results["models"]:
                if review["model"]["name"] == model:
                    return cls(results, review, window)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ReviewError(f"expected stored results, but they cannot be read: {error}") from error
        raise NotFoundError(f"expected results of {model}, received none")

    def at(self, time_s: float) -> Result | None:
        """The newest result at that time; None before the first."""
        while self._frames and self._frames[0]["time_s"] <= time_s + _ROUNDED_S:
            self._result = self._of(self._frames.popleft())
        return self._result

    def _of(self, frame: Mapping[str, Any]) -> Result:
        self._drawn += 1
        time_s = float(frame["time_s"])
        tracks = tuple(self._track(face, time_s) for face in frame["faces"])
        verdict = Verdict(VerdictState(frame["state"]), "", frame["fake_probability"], 0, self._window.min_scores)
        return Result(self._drawn, time_s, time_s, None, self._wh, verdict, tracks, 0.0, 0)

    def _track(self, face: Mapping[str, Any], time_s: float) -> TrackResult:
        history = self._histories.setdefault(face["track"], _History(deque(), self._window.length_s))
        history.add(time_s, face["score"], refused=face["rejected"] is not None)
        left, top, right, bottom = face["box"]
        state, needed = VerdictState(face["state"]), self._window.min_scores
        return TrackResult(
            face["track"],
            Face((left, top, right, bottom), _NO_POINTS, 1.0),
            Verdict(state, "", face["fake_probability"], history.admitted, needed),
            face["score"],
            face["rejected"],
            history.trace,
        )


@dataclass(frozen=True, slots=True)
class _History:
    """Scores of one face within the window, NaN for rejected samples."""

    scores: deque[tuple[float, float]]
    length_s: float

    def add(self, time_s: float, score: float | None, *, refused: bool) -> None:
        if score is not None or refused:
            self.scores.append((time_s, float("nan") if score is None else score))
        while self.scores and self.scores[0][0] < time_s - self.length_s:
            self.scores.popleft()

    @property
    def admitted(self) -> int:
        return sum(score == score for _, score in self.scores)  # noqa: PLR0124 - not NaN

    @property
    def trace(self) -> tuple[float, ...]:
        return tuple(score for _, score in self.scores)


def _draw_picture(media: Media, stored: StoredResults, to: Path) -> None:
    overlay = Overlay(stored.thresholds, stored.stale_s)
    for shot in media.shots():
        frame = copy_yuv420p(shot.upright())
        overlay.draw(frame, stored.at(shot.time_s), shot.time_s)
        to.write_bytes(encode_jpeg(to_rgb(frame), _QUALITY))


def _draw_video(
    media: Media, stored: StoredResults, writer: VideoWriter, bounds: tuple[ReviewSettings, Hooks, Allowance]
) -> None:
    limits, hooks, allowance = bounds
    overlay = Overlay(stored.thresholds, stored.stale_s)
    shots = media.shots()
    with ExitStack() as stack:
        if goes_ahead(media.facts, limits.threads):
            shots = stack.enter_context(closing(ahead(shots)))
        stack.callback(allowance.leave)
        for number, shot in enumerate(shots):
            if shot.time_s > limits.max_duration_s:  # the results end there too, and say so
                break
            if allowance.used_up:
                raise ReviewError(f"time was up (review.max_run_s) {shot.time_s:.1f} s into the video; raise it")
            allowance.check()
            if number % _ROOM_EVERY == 0:
                check_room(writer.to.parent, limits.min_free_bytes, "review.min_free_bytes")
            frame = copy_yuv420p(shot.upright())
            overlay.draw(frame, stored.at(shot.time_s), shot.time_s)
            writer.put(frame)
            hooks.on_progress(media.done_share)
            allowance.give_way()
