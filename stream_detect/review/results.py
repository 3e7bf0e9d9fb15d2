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
    """What one model says of a file.

    Args:
        judge: the model.
        verdict: of the whole file.
        tracks: faces, each with the reason of its state.
        timeline: sampled frames.
        flagged: frames kept as pictures.
    """

    judge: ModelFacts
    verdict: Overall
    tracks: tuple[tuple[TrackSummary, str], ...]
    timeline: Timeline
    flagged: tuple[Flagged, ...]


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What several models say of a file.

    Args:
        facts: of the file; its duration is the measured one where all of it was looked at.
        rate_hz: samples a second.
        sampled: frames.
        notes: sentences on what was left out.
        models: in the review_models's order.
        credentials: what the file's Content Credentials say, beside the models and never mixed with them.
    """

    facts: Facts
    rate_hz: float
    sampled: int
    notes: tuple[str, ...]
    models: tuple[ModelReview, ...]
    credentials: Credentials

    @property
    def verdict(self) -> VerdictState:
        """The worst over its models."""
        return worst_of([model.verdict.state for model in self.models])

    @property
    def flagged(self) -> Mapping[str, tuple[Flagged, ...]]:
        """Flagged frames by the model's name."""
        return {model.judge.name: model.flagged for model in self.models}

    def completed(self, upload: Upload) -> Upload:
        """The upload with what its content says."""
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
        """The results.

        Args:
            identity: of the analysis.
            upload: the file.
        """
        return "".join(self.json_parts(identity, upload))

    def json_parts(self, identity: str, upload: Upload) -> Iterator[str]:
        """The same in parts, a frame each: hours of video never lie in memory as objects."""
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
    """A file as results and the API describe it."""
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
    """One model's part of the results."""
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
    """Its members "frames" and "flagged"."""
    yield '"frames": ['
    for number, frame in enumerate(model.timeline.frames()):
        yield (", " if number else "") + _text(_frame(frame))
    yield f'], "flagged": {_text([_flagged(flagged) for flagged in model.flagged])}'


def tracks_json(model: ModelReview) -> list[dict[str, Any]]:
    """Its tracks as results and the API describe them."""
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
    """The results with another id and file, in parts; the rest, which may be long, is not read.

    Args:
        results: JSON that begins with the id and the file.
        analysis_id: theirs from now on.
        upload: theirs from now on.
    """
    decoder, at = json.JSONDecoder(), 1
    for key in _BEGINNING:
        beginning = f'"{key}": '
        _, at = decoder.raw_decode(results, results.index(beginning, at) + len(beginning))
    yield f'{{"id": {json.dumps(analysis_id)}, "file": {json.dumps(file_json(upload), ensure_ascii=False)}'.encode()
    yield results[at:].encode()
