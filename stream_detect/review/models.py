"""The models that examine files, loaded once, and the facts about them for reports."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from stream_detect.analysis.search import FaceSearch
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.errors import AnalysisError, BundleError
from stream_detect.models.backend import load_model
from stream_detect.models.bundle import Bundle
from stream_detect.models.heatmap import Halves, heat_of, shown_over
from stream_detect.models.registry import Registry
from stream_detect.settings import ModelSettings, ReviewSettings, VideoSettings
from stream_detect.types import Classifier, Detector, Image, Thresholds

if TYPE_CHECKING:
    from typing import Self

_KEPT_MODELS = 8
"""Models that one `ReviewModelLoader` keeps loaded; the least recently used one is dropped."""


class ExaminationSettings(AnalysisSettings):
    """Settings for the examination of files and for annotated videos.

    Args:
        model: the default model, and how models run.
        video: encoding of annotated videos.
        review: limits of each file.
    """

    model: ModelSettings = ModelSettings()
    video: VideoSettings = VideoSettings()
    review: ReviewSettings = ReviewSettings()


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Description of a model in results and reports.

    Args:
        name: name of the bundle.
        title: title for people.
        sha256: sha256 of its weights.
        terms: terms of use of the weights.
        limits: known limits, in sentences.
        thresholds: at which its verdict changes.
    """

    name: str
    title: str
    sha256: str
    terms: str
    limits: tuple[str, ...]
    thresholds: Thresholds

    @classmethod
    def of(cls, bundle: Bundle) -> "Self":
        """The facts on the card of a bundle."""
        card = bundle.card
        return cls(card.name, card.title, bundle.sha256, card.training.terms, card.limits, card.hysteresis())


class HeatMaps:
    """Draws heat maps of a model. Thread-safe; draws one map at a time.

    Args:
        load: loads the halves of the model for the first map; None if the model supports no heat maps.
    """

    def __init__(self, load: Callable[[], Halves] | None) -> None:
        self._load = load
        self._lock = Lock()

    @cached_property
    def _halves(self) -> Halves | None:
        try:
            return self._load() if self._load else None
        except BundleError:  # it has no convolution: a score without a heat map is still a score
            return None

    def draw(self, crop: Image) -> Image | None:
        """The crop with what indicates a fake in orange; None if no map can be drawn.

        Args:
            crop: RGB uint8 (h, w, 3), the model's input.
        """
        with self._lock:
            if self._halves is None:
                return None
            try:
                return shown_over(crop, heat_of(self._halves, crop))
            except AnalysisError:
                return None


@dataclass(frozen=True, slots=True)
class ReviewModel:
    """A model for files.

    Args:
        judge: its description in results and reports.
        classifier: makes a classifier for each file; thread-safe.
        heat_maps: its heat maps.
    """

    judge: ModelFacts
    classifier: Callable[[], Classifier]
    heat_maps: HeatMaps = field(default_factory=lambda: HeatMaps(None))


@dataclass(frozen=True, slots=True)
class ReviewModels:
    """The detector and the models for files, shared by all of them. Thread-safe.

    Args:
        models: run side by side; at least one.
        detector: makes a face detector for each file.
        settings: settings of the examination.
    """

    models: tuple[ReviewModel, ...]
    detector: Callable[[], Detector]
    settings: ExaminationSettings

    def only(self, name: str) -> "ReviewModels":
        """The same detector with only one of the models.

        Raises:
            BundleError: there is no model of that name.
        """
        for model in self.models:
            if model.judge.name == name:
                return ReviewModels((model,), self.detector, self.settings)
        raise BundleError(f"expected one of {', '.join(m.judge.name for m in self.models)}, received {name!r}")


class ReviewModelLoader:
    """Loads the detector and each model once, and a model again if its bundle has changed.

    Thread-safe.

    Args:
        registry: finds the bundles.
        settings: settings of the examinations.
    """

    def __init__(self, registry: Registry, settings: ExaminationSettings) -> None:
        self._registry = registry
        self._settings = settings
        self._lock = Lock()
        self._loaded: dict[str, tuple[Bundle, ReviewModel]] = {}

    def load(self, names: Sequence[str]) -> ReviewModels:
        """Loads the models, each once, in the order of their names, and the face detector.

        Args:
            names: names of the bundles; if empty, the one in the settings.

        Raises:
            BundleError: a bundle is missing or damaged.
            AnalysisError: the face detector's model cannot be loaded.
        """
        wanted = tuple(dict.fromkeys(names)) or (self._settings.model.name,)
        with self._lock:
            models = tuple(self._model(name) for name in wanted)
            return ReviewModels(models, self._detector.sibling, self._settings)

    @cached_property
    def _detector(self) -> FaceSearch:
        return FaceSearch(self._settings.faces)

    def _model(self, name: str) -> ReviewModel:
        bundle = self._registry.load(name)  # reads and verifies the files, so a changed bundle is recognised
        held, model = self._loaded.pop(name, (None, None))
        if model is None or held != bundle:
            model = load_review_model(bundle, self._settings.model)
        self._loaded[name] = bundle, model
        if len(self._loaded) > _KEPT_MODELS:
            del self._loaded[next(iter(self._loaded))]
        return model


def load_review_models(registry: Registry, names: Sequence[str], settings: ExaminationSettings) -> ReviewModels:
    """Loads all models; see `ReviewModelLoader`."""
    return ReviewModelLoader(registry, settings).load(names)


def load_review_model(bundle: Bundle, settings: ModelSettings) -> ReviewModel:
    """Loads the model of a bundle.

    Args:
        bundle: verified.
        settings: backend, threads and precision.

    Raises:
        BundleError: the backend cannot load it.
    """

    def halves() -> Halves:
        from stream_detect.models.openvino import OpenVinoHalves  # noqa: PLC0415 - only when a map is drawn

        return OpenVinoHalves(bundle)

    loaded = load_model(bundle, settings.backend, settings.threads, settings.precision)
    return ReviewModel(ModelFacts.of(bundle), loaded.classifier, HeatMaps(halves))
