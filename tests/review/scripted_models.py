"""Models with scripted faces and scores, without weights."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_detect.analysis.scripted import ScriptedClassifier, ScriptedDetector, upright_face
from stream_detect.review.models import ExaminationSettings, HeatMaps, ModelFacts, ReviewModel, ReviewModels
from stream_detect.settings import QualitySettings, ReviewSettings
from stream_detect.types import Face, Image, Thresholds

LIMITS = Thresholds(0.9, 0.7, 0.15, 0.35)
LEFT, RIGHT, TINY = upright_face((20, 40, 120, 160)), upright_face((190, 40, 290, 160)), upright_face((5, 5, 35, 41))
WH = (320, 240)


def scene(seed: int = 0, wh: tuple[int, int] = WH) -> np.ndarray:
    """An image of noise, which is sharp everywhere."""
    return np.random.default_rng(seed).integers(60, 200, (wh[1], wh[0], 3), np.uint8)


def moving(count: int, wh: tuple[int, int] = WH) -> list[np.ndarray]:
    """Frames of this image in slightly changing light, because a still picture is not judged."""
    return [scene(wh=wh) + np.uint8(3 * (index // 2 % 2)) for index in range(count)]


class Drawn:
    """Halves of a network that responds to one bright spot."""

    def features(self, _crop: Image) -> NDArray[np.float32]:
        features = np.zeros((1, 4, 4), np.float32)
        features[0, 1, 2] = 1
        return features

    def fake_logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(features.sum(axis=(1, 2, 3)), np.float32)


def model(score: float = 0.97, name: str = "scripted", *, maps: bool = False) -> ReviewModel:
    """A model with scripted scores, which restart with each file."""
    judge = ModelFacts(name, f"{name}, for tests", "ab" * 32, "none", ("It knows nothing.",), LIMITS)
    return ReviewModel(judge, lambda: ScriptedClassifier(score, thresholds=LIMITS), HeatMaps(Drawn if maps else None))


def review_models(
    models: Sequence[ReviewModel] = (),
    faces: Sequence[Face] | Callable[[Image], list[Face]] = (LEFT,),
    quality: QualitySettings | None = None,
    **review: Any,
) -> ReviewModels:
    """Makes `ReviewModels` that find these faces in every frame, or those returned by a function."""
    quality = quality or QualitySettings(min_sharpness=0)
    settings = ExaminationSettings(review=ReviewSettings(**review), quality=quality)
    found = faces if callable(faces) else list(faces)
    return ReviewModels(tuple(models) or (model(),), lambda: ScriptedDetector(found), settings)
