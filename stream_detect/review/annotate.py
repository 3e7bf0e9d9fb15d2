"""The annotated video: a file and a model enter, an MP4 with the live overlay burnt in leaves; of a picture a JPEG.

The same overlay, encoder and pipeline as live: at each moment the badge says what a viewer of the live check would have
seen. The file appears under its name when it is whole, and not before.
"""

import errno
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile

import cv2

from stream_detect.analysis.engine import at_rate
from stream_detect.analysis.sampler import Sampler
from stream_detect.analysis.side_by_side import SideBySide
from stream_detect.errors import DiskFullError, MediaError, StorageError
from stream_detect.review.ahead import ahead
from stream_detect.review.film import Film
from stream_detect.review.hooks import Allowance, Hooks
from stream_detect.review.panel import Panel
from stream_detect.review.sampled import goes_ahead
from stream_detect.review.verdict import of_picture
from stream_detect.settings import Settings
from stream_detect.sources.media import Media, open_media
from stream_detect.sources.shot import Decoding, Shot
from stream_detect.types import Frame, Result
from stream_detect.video.overlay import Overlay
from stream_detect.video.picture import copy_yuv420p, to_rgb

_QUALITY = 90
_STALE_S = 3600.0
"""Of nothing here: results come when they are due."""


def annotate(path: Path, to: Path, panel: Panel, rate_hz: float, hooks: Hooks | None = None) -> None:
    """Makes the annotated video, or picture, by the panel's first model; bounded as an examination is.

    Args:
        path: of the file.
        to: what is written; its suffix says nothing.
        panel: models and settings.
        rate_hz: samples a second, as of the review.
        hooks: what is asked and told on the way.

    Raises:
        MediaError: the file cannot be decoded, or a frame not encoded.
        ReviewCancelledError: somebody asked to stop; nothing is left behind.
        StorageError: it cannot be written there.
    """
    hooks = hooks or Hooks()
    settings = at_rate(panel.settings, rate_hz)
    allowance = Allowance(hooks, settings.review.max_run_s)
    decoding = Decoding(settings.review.max_pixels, settings.review.threads, allowance.check)
    with closing(open_media(path, decoding)) as media, _whole(to) as part:
        look = _Look(panel, settings, rate_hz)
        if media.facts.kind == "image":
            _picture(media, look, part)
        else:
            _video(path, media, look, part, (hooks, allowance))
    hooks.on_progress(1.0)


class _Look:
    """One model at a file, and its badge."""

    def __init__(self, panel: Panel, settings: Settings, rate_hz: float) -> None:
        model = panel.models[0]
        self.settings = settings
        self.thresholds = model.judge.thresholds
        self.overlay = Overlay(self.thresholds, _STALE_S)
        self._look = SideBySide(panel.detector(), (model.classifier(),), settings)
        self._sampler = Sampler(rate_hz)
        self._result: Result | None = None
        self._sequence = 0

    def at(self, shot: Shot) -> tuple[Result | None, bool]:
        """The newest result, and whether it is of this very shot."""
        if not self._sampler.wants(shot.time_s):
            return self._result, False
        (result,) = self._look.step(Frame(shot.rgb(), shot.time_s, shot.time_s))
        self._sequence += 1
        self._result = replace(result, sequence=self._sequence)
        return self._result, True


def _picture(media: Media, look: _Look, to: Path) -> None:
    for shot in media.shots():
        result, _ = look.at(shot)
        frame = copy_yuv420p(shot.upright())
        look.overlay.draw(frame, result and of_picture(result, look.thresholds), shot.time_s)
        bgr = cv2.cvtColor(to_rgb(frame), cv2.COLOR_RGB2BGR)
        done, coded = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
        if not done:
            raise MediaError(f"a picture of {frame.width}x{frame.height} cannot be coded as JPEG")
        to.write_bytes(coded.tobytes())


def _video(path: Path, media: Media, look: _Look, to: Path, bounds: tuple[Hooks, Allowance]) -> None:
    hooks, allowance = bounds
    shots = media.shots()
    with Film(to, path, look.settings.video) as film, ExitStack() as stack:
        if goes_ahead(media.facts, look.settings.review.threads):
            shots = stack.enter_context(closing(ahead(shots)))
        stack.callback(allowance.leave)
        for shot in shots:
            if shot.time_s > look.settings.review.max_duration_s or allowance.used_up:
                break
            result, sampled = look.at(shot)
            frame = copy_yuv420p(shot.upright())
            look.overlay.draw(frame, result, shot.time_s)
            film.put(frame)
            if sampled:
                hooks.on_progress(media.done_share)
                allowance.give_way()


@contextmanager
def _whole(to: Path) -> Iterator[Path]:
    """A path beside `to`, renamed to it in the end; nothing is left behind otherwise."""
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=to.parent, prefix=".", suffix=".part", delete=False) as file:
            part = Path(file.name)
        try:
            yield part
            part.chmod(0o644)
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        kind = DiskFullError if error.errno in {errno.ENOSPC, errno.EDQUOT} else StorageError
        raise kind(f"{to} cannot be written: {error.strerror}") from error
