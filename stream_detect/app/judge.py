"""Who judges: a bundle's name enters, the running server judges by it from the next frames on; no stream is dropped."""

import asyncio
from collections.abc import Callable

from stream_detect.analysis.engine import Engine
from stream_detect.api.schemas import JudgeBody
from stream_detect.errors import BundleError, NotFoundError
from stream_detect.models.backend import load_model
from stream_detect.models.bundle import Bundle
from stream_detect.models.registry import Registry
from stream_detect.settings import ModelSettings
from stream_detect.types import Classifier


class Judging:
    """The model that judges, and how to change it. Lives on the event loop.

    Args:
        judge: the one that judges now, as clients are told of it.
        engine: runs it.
        load: gives a bundle's judge and classifiers by its name; called off the loop.
    """

    def __init__(
        self, judge: JudgeBody, engine: Engine, load: Callable[[str], tuple[JudgeBody, Callable[[], Classifier]]]
    ) -> None:
        self.judge = judge
        self.engine = engine
        self._load = load
        self._one_at_a_time = asyncio.Lock()
        self.on_change: Callable[[JudgeBody], None] = lambda _: None
        """Called on the loop with the one that judges from now on."""

    async def use(self, name: str) -> JudgeBody:
        """Judges by the bundle of that name; when it cannot be loaded, the one before goes on judging.

        Raises:
            NotFoundError: there is no bundle of that name.
            BundleError: it is broken.
        """
        async with self._one_at_a_time:
            judge, classifier_factory = await asyncio.to_thread(self._load, name)
            self.engine.judge_by(classifier_factory)
            self.judge = judge
            self.on_change(judge)
        return judge


def loader(
    registry: Registry, settings: ModelSettings, judge_of: Callable[[Bundle], JudgeBody]
) -> Callable[[str], tuple[JudgeBody, Callable[[], Classifier]]]:
    """What loads bundles by name, with the settings' backend and threads.

    Args:
        registry: where they are found.
        settings: backend and threads.
        judge_of: how clients are told of one.
    """

    def load(name: str) -> tuple[JudgeBody, Callable[[], Classifier]]:
        try:
            registry.folder_of(name)
        except BundleError as error:
            raise NotFoundError(str(error)) from error
        bundle = registry.load(name)
        return judge_of(bundle), load_model(bundle, settings.backend, settings.threads, settings.precision).classifier

    return load
