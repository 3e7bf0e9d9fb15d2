"""The results of a review by model, and their JSON (docs/protocol.md)."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from stream_detect.media.credentials import Credentials
from stream_detect.review.flagged import Flagged
from stream_detect.review.models import ModelFacts
from stream_detect.review.timeline import JudgedFrame, SeenFace, Timeline
from stream_detect.review.verdict import Overall, TrackSummary, worst_of
from stream_detect.sources.file_frame import Facts
from stream_detect.storage.records import Upload
from stream_detect.types import VerdictState, Xyxy


@dataclass(frozen=True, slots=True)
class ModelReview:
    """Result of one model for a file.

    Args:
        judge: the model.
        verdict: verdict on the whole file.
        tracks: faces, each with the reason for its state.
        timeline: the sampled frames.
        flagged: the frames kept as pictures.
    """

    judge: ModelFacts
    verdict: Overall
    tracks: tuple[tuple[TrackSummary, str], ...]
    timeline: Timeline
    flagged: tuple[Flagged, ...]


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Results of all models for a file.

    Args:
        facts: properties of the file; the duration is measured if the whole file was examined.
        rate_hz: samples per second.
        sampled: number of sampled frames.
        notes: sentences about what was left out.
        models: in the order of the review models.
        credentials: Content Credentials of the file, independent of the models.
    """

    facts: Facts
    rate_hz: float
    sampled: int
    notes: tuple[str, ...]
    models: tuple[ModelReview, ...]
    credentials: Credentials

    @property
    def verdict(self) -> VerdictState:
        """The worst verdict of all models."""
        return worst_of([model.verdict.state for model in self.models])

    @property
    def flagged(self) -> Mapping[str, tuple[Flagged, ...]]:
        """Flagged frames by model name."""
        return {model.judge.name: model.flagged for model in self.models}

    def completed(self, upload: Upload) -> Upload:
        """The upload with the properties found in its content."""
        return replace(
            upload,
            kind=self.facts.kind,
            width_px=self.facts.wh[0],
            height_px=self.facts.wh[1],
            duration_s=round(self.facts.duration_s, 3),
            fps=round(self.facts.fps, 3),
            codec=self.facts.codec,
        )

    def as_json(self, identity: str, upload: Upload) -> str:
        """The results as JSON.

        Args:
            identity: id of the analysis.
            upload: the file.
        """
        return "".join(self.json_parts(identity, upload))

    def json_parts(self, identity: str, upload: Upload) -> Iterator[str]:
        """The results as JSON in parts, one per frame, so that hours of video are never in memory as objects."""
        head = {
            "id": identity,
            "file": file_json(self.completed(upload)),
            "rate_hz": self.rate_hz,
            "sampled": self.sampled,
            "notes": list(self.notes),
            "credentials": self.credentials.as_json(),
        }
        yield _text(head)[:-1] + ', "models": ['
        for number, model in enumerate(self.models):
            yield ", " if number else ""
            yield from model_parts(model)
        yield "]}"


def file_json(upload: Upload) -> dict[str, Any]:
    """Description of a file in results and the API."""
    return {
        "name": upload.name,
        "bytes": upload.bytes,
        "sha256": upload.sha256,
        "kind": upload.kind,
        "width": upload.width_px,
        "height": upload.height_px,
        "duration_s": upload.duration_s,
        "fps": upload.fps,
        "codec": upload.codec,
    }


def model_parts(model: ModelReview) -> Iterator[str]:
    """The part of one model in the results."""
    head = {
        "model": asdict(model.judge),
        "verdict": {
            "state": model.verdict.state,
            "reason": model.verdict.reason,
            "fake_probability": _share(model.verdict.fake_probability),
        },
        "tracks": tracks_json(model),
    }
    yield _text(head)[:-1] + ", "
    yield from frame_parts(model)
    yield "}"


def frame_parts(model: ModelReview) -> Iterator[str]:
    """The members "frames" and "flagged" of one model."""
    yield '"frames": ['
    for number, frame in enumerate(model.timeline.frames()):
        yield (", " if number else "") + _text(_frame(frame))
    yield f'], "flagged": {_text([_flagged(flagged) for flagged in model.flagged])}'


def tracks_json(model: ModelReview) -> list[dict[str, Any]]:
    """Description of a model's tracks in results and the API."""
    return [_track(track, reason) for track, reason in model.tracks]


def _track(track: TrackSummary, reason: str) -> dict[str, Any]:
    return {
        "track": track.number,
        "state": track.state,
        "reason": reason,
        "fake_probability": _share(track.fake_probability),
        "from_s": round(track.from_s, 3),
        "to_s": round(track.to_s, 3),
        "admitted": track.admitted,
        "refused": dict(track.refused.most_common()),
    }


def _frame(frame: JudgedFrame) -> dict[str, Any]:
    return {
        "time_s": round(frame.time_s, 3),
        "state": frame.state,
        "fake_probability": _share(frame.fake_probability),
        "faces": [_face(face) for face in frame.faces],
    }


def _face(face: SeenFace) -> dict[str, Any]:
    return {
        "track": face.track,
        "box": _box(face.box),
        "score": _share(face.score),
        "fake_probability": _share(face.fake_probability),
        "state": face.state,
        "rejected": face.rejected,
    }


def _flagged(flagged: Flagged) -> dict[str, Any]:
    return {
        "n": flagged.n,
        "time_s": round(flagged.time_s, 3),
        "track": flagged.track,
        "box": _box(flagged.box),
        "score": _share(flagged.score),
        "map": flagged.heat_map is not None,
    }


def _box(box: Xyxy) -> list[float]:
    return [round(value, 1) for value in box]


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


_BEGINNING = ("id", "file")


def with_head(results: str, analysis_id: str, upload: Upload) -> Iterator[bytes]:
    """The results with another id and file, in parts; the rest, which may be long, is not parsed.

    Args:
        results: JSON that starts with the id and the file.
        analysis_id: the new id.
        upload: the new file.
    """
    decoder, at = json.JSONDecoder(), 1
    for key in _BEGINNING:
        beginning = f'"{key}": '
        _, at = decoder.raw_decode(results, results.index(beginning, at) + len(beginning))
    yield f'{{"id": {json.dumps(analysis_id)}, "file": {json.dumps(file_json(upload), ensure_ascii=False)}'.encode()
    yield results[at:].encode()
