"""The model in use, and the switch to another one while streams continue."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from stream_detect.analysis.engine import Engine
from stream_detect.api.schemas.status import JudgeBody
from stream_detect.errors import BundleError, NotFoundError
from stream_detect.models.backend import load_model
from stream_detect.models.bundle import Bundle
from stream_detect.models.registry import Registry
from stream_detect.settings import ModelSettings
from stream_detect.types import Classifier

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A bundle that may be used.

    Args:
        judge: its description for clients.
        contract_sha256: `Card.contract_sha256` of the bundle.
        start: loads it and returns a function that makes classifiers; blocks.
    """

    judge: JudgeBody
    contract_sha256: str
    start: Callable[[], Callable[[], Classifier]]


class ModelInUse:
    """The model for live streams. Used on the event loop.

    Args:
        judge: description of the model in use for clients.
        contract_sha256: `Card.contract_sha256` of its bundle.
        engine: runs it.
        find: finds a bundle by name; raises NotFoundError or BundleError. Called off the event loop.
    """

    def __init__(
        self, judge: JudgeBody, contract_sha256: str, engine: Engine, find: Callable[[str], Candidate]
    ) -> None:
        self.judge = judge
        self.contract_sha256 = contract_sha256
        self.engine = engine
        self._find = find
        self._one_at_a_time = asyncio.Lock()
        self._earlier: dict[str, JudgeBody] = {}
        self.on_change: Callable[[JudgeBody], None] = lambda _: None
        """Called on the event loop with the new model."""

    def judge_of(self, sha256: str) -> JudgeBody:
        """The model with that sha256, if it was in use since the start; otherwise the current one. Thread-safe."""
        judge = self.judge
        return judge if judge.sha256 == sha256 else self._earlier.get(sha256, judge)

    async def use(self, name: str) -> JudgeBody:
        """Changes to the bundle of that name. Nothing changes if it is in use already, or cannot be loaded.

        Raises:
            NotFoundError: there is no bundle of that name.
            BundleError: it is damaged.
        """
        async with self._one_at_a_time:
            candidate = await asyncio.to_thread(self._find, name)
            if (candidate.judge, candidate.contract_sha256) == (self.judge, self.contract_sha256):
                _log.info("model %s was chosen, and is already in use", name)
                return self.judge
            classifier = await asyncio.to_thread(candidate.start)
            self._earlier[self.judge.sha256] = self.judge
            self.engine.judge_by(classifier, candidate.judge.sha256)
            self.judge, self.contract_sha256 = candidate.judge, candidate.contract_sha256
            self.on_change(candidate.judge)
        _log.info("model %s, sha256 %s, is in use from now on", name, self.judge.sha256[:12])
        return self.judge


def finder(
    registry: Registry, settings: ModelSettings, judge_of: Callable[[Bundle], JudgeBody]
) -> Callable[[str], Candidate]:
    """Returns a function that finds bundles by name, to be run according to the settings.

    Args:
        registry: registry of the bundles.
        settings: backend and threads.
        judge_of: describes a bundle for clients.
    """

    def find(name: str) -> Candidate:
        try:
            registry.folder_of(name)
        except BundleError as error:
            raise NotFoundError(str(error)) from error
        bundle = registry.load(name)

        def start() -> Callable[[], Classifier]:
            return load_model(bundle, settings.backend, settings.threads, settings.precision).classifier

        return Candidate(judge_of(bundle), bundle.card.contract_sha256, start)

    return find
