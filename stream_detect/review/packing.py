"""Packs a `Reviewed` into bytes and back, for the pipe between the process that examines files and its parent.

The format is JSON with the values, followed by the arrays of the timelines and the JPEGs. Nothing is pickled: the
process that examines hostile files is not trusted, and what it sends is validated.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from stream_detect.errors import ReviewError
from stream_detect.media.credentials import Credentials
from stream_detect.review.flagged import Flagged
from stream_detect.review.models import ModelFacts
from stream_detect.review.results import ModelReview, Reviewed
from stream_detect.review.timeline import Timeline
from stream_detect.review.verdict import Overall, TrackSummary
from stream_detect.sources.file_frame import Facts
from stream_detect.types import Xyxy

_LENGTH = struct.Struct("!Q")


@dataclass(frozen=True, slots=True)
class _PackedFlagged:
    """A flagged frame; its JPEGs follow, with these sizes in bytes."""

    n: int
    time_s: float
    track: int
    box: Xyxy
    score: float
    picture_bytes: int
    heat_map_bytes: int | None


@dataclass(frozen=True, slots=True)
class _PackedModel:
    """Output of one model; its timeline's arrays follow, with these sizes in bytes, then its flagged frames."""

    judge: ModelFacts
    verdict: Overall
    tracks: tuple[tuple[TrackSummary, str], ...]
    words: tuple[str | None, ...]
    arrays_bytes: tuple[int, ...]
    flagged: tuple[_PackedFlagged, ...]


@dataclass(frozen=True, slots=True)
class _Packed:
    """All values of a `Reviewed`."""

    facts: Facts
    rate_hz: float
    sampled: int
    notes: tuple[str, ...]
    models: tuple[_PackedModel, ...]
    credentials: Credentials


_VALUES = TypeAdapter(_Packed)


def pack(reviewed: Reviewed) -> bytes:
    """Packs a `Reviewed` as bytes for `unpack` on a machine of the same byte order, which the arrays keep."""
    models, blobs = [], list[bytes]()
    for model in reviewed.models:
        words, arrays = model.timeline.packed()
        blobs += arrays
        flagged = []
        for each in model.flagged:
            blobs += [each.picture] if each.heat_map is None else [each.picture, each.heat_map]
            sizes = len(each.picture), None if each.heat_map is None else len(each.heat_map)
            flagged.append(_PackedFlagged(each.n, each.time_s, each.track, each.box, each.score, *sizes))
        models.append(
            _PackedModel(model.judge, model.verdict, model.tracks, words, tuple(map(len, arrays)), tuple(flagged))
        )
    head = reviewed.facts, reviewed.rate_hz, reviewed.sampled, reviewed.notes
    packed = _Packed(*head, tuple(models), reviewed.credentials)
    values = _VALUES.dump_json(packed)
    return b"".join([_LENGTH.pack(len(values)), values, *blobs])


def unpack(content: bytes) -> Reviewed:
    """Unpacks the output of `pack`.

    Raises:
        ReviewError: the content has another form.
    """
    try:
        (length,) = _LENGTH.unpack_from(content)
        packed = _VALUES.validate_json(content[_LENGTH.size : _LENGTH.size + length])
        blobs = _Blobs(content, _LENGTH.size + length)
        models = tuple(_model(model, blobs) for model in packed.models)
    except (ValidationError, ValueError, struct.error) as error:
        raise ReviewError("expected results from the process that examines files, received something else") from error
    return Reviewed(packed.facts, packed.rate_hz, packed.sampled, packed.notes, models, packed.credentials)


class _Blobs:
    """The bytes after the values, read in order."""

    def __init__(self, content: bytes, at: int) -> None:
        self._content = content
        self._at = at

    def take(self, size: int) -> bytes:
        """The next `size` bytes.

        Raises:
            ValueError: there are fewer.
        """
        end = self._at + size
        if size < 0 or end > len(self._content):
            raise ValueError("cut off")
        taken = self._content[self._at : end]
        self._at = end
        return taken

    def take_each(self, sizes: Iterable[int]) -> list[bytes]:
        """The next bytes, split into these sizes."""
        return [self.take(size) for size in sizes]


def _model(packed: _PackedModel, blobs: _Blobs) -> ModelReview:
    timeline = Timeline.unpacked(packed.words, blobs.take_each(packed.arrays_bytes))
    flagged = tuple(_flagged(each, blobs) for each in packed.flagged)
    return ModelReview(packed.judge, packed.verdict, packed.tracks, timeline, flagged)


def _flagged(packed: _PackedFlagged, blobs: _Blobs) -> Flagged:
    picture = blobs.take(packed.picture_bytes)
    heat_map = None if packed.heat_map_bytes is None else blobs.take(packed.heat_map_bytes)
    return Flagged(packed.n, packed.time_s, packed.track, packed.box, packed.score, picture, heat_map)
