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
"""Loaded at any time by one `ReviewModelLoader`; the one that was asked for longest ago goes."""


class ExaminationSettings(AnalysisSettings):
    """The sections by which files are examined, and annotated videos drawn.

    Args:
        model: the one that judges where no other is asked for, and how models are run.
        video: how annotated videos are encoded.
        review: limits of each file.
    """

    model: ModelSettings = ModelSettings()
    video: VideoSettings = VideoSettings()
    review: ReviewSettings = ReviewSettings()


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What results and reports say of a model.

    Args:
        name: of the bundle.
        title: for people.
        sha256: of its weights.
        terms: of their use.
        limits: what it is known not to do, in sentences.
        thresholds: where its verdict changes.
    """

    name: str
    title: str
    sha256: str
    terms: str
    limits: tuple[str, ...]
    thresholds: Thresholds

    @classmethod
    def of(cls, bundle: Bundle) -> "Self":
        """As the bundle's card says."""
        card = bundle.card
        return cls(card.name, card.title, bundle.sha256, card.training.terms, card.limits, card.hysteresis())


class HeatMaps:
    """Draws where a model looked; safe to use from many threads, one map at a time.

    Args:
        load: gives the model's halves, at the first map; None for a model that none can be drawn of.
    """

    def __init__(self, load: Callable[[], Halves] | None) -> None:
        self._load = load
        self._lock = Lock()

    @cached_property
    def _halves(self) -> Halves | None:
        try:
            return self._load() if self._load else None
        except BundleError:  # no convolution in it: a score without a map is still a score
            return None

    def draw(self, crop: Image) -> Image | None:
        """The crop with what spoke for a fake in orange; None where no map can be drawn.

        Args:
            crop: RGB uint8 (h, w, 3), as the model is given it.
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
    """A model that judges files.

    Args:
        judge: what results and reports say of it.
        classifier: makes a classifier, one for each file; from any thread.
        heat_maps: where it looked.
    """

    judge: ModelFacts
    classifier: Callable[[], Classifier]
    heat_maps: HeatMaps = field(default_factory=lambda: HeatMaps(None))


@dataclass(frozen=True, slots=True)
class ReviewModels:
    """All that judges files: shared by them, safe to use from many threads.

    Args:
        models: judge side by side; at least one.
        detector: makes a face detector, one for each file.
        settings: of the examination.
    """

    models: tuple[ReviewModel, ...]
    detector: Callable[[], Detector]
    settings: ExaminationSettings

    def only(self, name: str) -> "ReviewModels":
        """The same with one of its models.

        Raises:
            BundleError: it has none of that name.
        """
        for model in self.models:
            if model.judge.name == name:
                return ReviewModels((model,), self.detector, self.settings)
        raise BundleError(f"expected one of {', '.join(m.judge.name for m in self.models)}, received {name!r}")


class ReviewModelLoader:
    """Makes loader; the detector and each model are loaded once, a model anew when its bundle is another than before.

    Safe to use from many threads.

    Args:
        registry: where the bundles are found.
        settings: of the examinations.
    """

    def __init__(self, registry: Registry, settings: ExaminationSettings) -> None:
        self._registry = registry
        self._settings = settings
        self._lock = Lock()
        self._loaded: dict[str, tuple[Bundle, ReviewModel]] = {}

    def load(self, names: Sequence[str]) -> ReviewModels:
        """The models, each once, in the order of their names, and the face detector.

        Args:
            names: of the bundles; the one that judges by the settings if there are none.

        Raises:
            BundleError: a bundle is absent or broken.
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
        bundle = self._registry.load(name)  # reads and verifies the files: a bundle that was changed is another
        held, model = self._loaded.pop(name, (None, None))
        if model is None or held != bundle:
            model = load_review_model(bundle, self._settings.model)
        self._loaded[name] = bundle, model
        if len(self._loaded) > _KEPT_MODELS:
            del self._loaded[next(iter(self._loaded))]
        return model


def load_review_models(registry: Registry, names: Sequence[str], settings: ExaminationSettings) -> ReviewModels:
    """All of them; see `ReviewModelLoader`."""
    return ReviewModelLoader(registry, settings).load(names)


def load_review_model(bundle: Bundle, settings: ModelSettings) -> ReviewModel:
    """A bundle that judges.

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
