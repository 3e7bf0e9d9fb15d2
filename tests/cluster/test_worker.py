"""A worker: its start, which leaves nothing behind if it fails, and its orders while its lease holds."""

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest

from stream_detect import __version__
from stream_detect.cluster.messages import Assignment, ModelOrder, Orders, Refusal, WorkerState
from stream_detect.cluster.worker import orders as orders_module
from stream_detect.cluster.worker import worker as module
from stream_detect.cluster.worker.hosting import ANALYSES_FOLDER, WorkerSettings
from stream_detect.cluster.worker.orders import NOT_RENEWED, OrderKeeper, WorkerLease
from stream_detect.cluster.worker.outbox import Outbox
from stream_detect.models.registry import Registry
from stream_detect.settings import CameraSettings
from stream_detect.types import CameraState, StateChange, Thresholds
from stream_detect.webrtc.ice_servers import IceServers
from tests.patience import PATIENCE_S, soon, until

LEASE_S = 5.0
MODEL = ModelOrder("scripted", "ab" * 32, Thresholds())


class Cameras:
    """A fleet whose cameras report their states; removing cameras takes until the test permits it."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.watched: list[str] = []
        self.stops = 0
        self.fails = False
        self.removing, self.may_go_on = threading.Event(), threading.Event()

    def apply(self, wanted: Sequence[CameraSettings]) -> None:
        names = [one.name for one in wanted]
        if len(names) < len(self.watched):
            self.removing.set()
            assert self.may_go_on.wait(PATIENCE_S)
        for name in set(names) - set(self.watched):
            self._say(name, CameraState.CONNECTING, "")
        self.watched = names

    def stop_all(self, reason: str) -> None:
        self.stops += 1
        if self.fails and self.stops == 1:
            raise RuntimeError("a defect")
        for name in self.watched:
            self._say(name, CameraState.STOPPED, reason)
        self.watched = []

    def _say(self, name: str, state: CameraState, reason: str) -> None:
        self._outbox.state(StateChange(name, state, reason, 1.0))


class Ordered:
    """The orders of a worker, by a clock that tests set."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.looked: set[str] = set()
        """Names of the threads that have looked at the lease."""
        self.has_model, self.asked = True, list[ModelOrder]()
        self.outbox = Outbox()
        self.cameras = Cameras(self.outbox)
        lease = WorkerLease(LEASE_S, self._clock)
        self.orders = OrderKeeper(self.cameras, self.outbox, lease, self._use, lambda _camera: None)
        self.orders.renew(0.0)
        self.orders.start()

    def _use(self, model: ModelOrder) -> bool:
        self.asked.append(model)
        return self.has_model

    def _clock(self) -> float:
        self.looked.add(threading.current_thread().name)
        return self.now_s

    def order(self, revision: int, *numbers: int) -> None:
        """Orders a camera for each lease number."""
        cameras = (CameraSettings(name=f"c{at}", url="rtsp://192.0.2.1/a") for at in range(len(numbers)))
        self.orders.take(Orders(revision, tuple(map(Assignment, cameras, numbers)), MODEL))

    def said(self) -> list[tuple[int, CameraState]]:
        _, states, _ = self.outbox.take(0, frozenset())
        return [(one.number, one.change.state) for one in states if isinstance(one, WorkerState)]


@pytest.fixture
def worker() -> Iterator[Ordered]:
    made = Ordered()
    yield made
    made.cameras.may_go_on.set()
    made.orders.close()


def test_a_lease_that_expires_during_a_restart_does_not_switch_the_camera_off(worker):
    worker.order(1, 7)
    until(lambda: worker.orders.revision == 1)
    worker.order(2, 8)
    assert worker.cameras.removing.wait(PATIENCE_S)
    worker.now_s = LEASE_S
    until(lambda: worker.cameras.stops)
    worker.cameras.may_go_on.set()
    until(lambda: worker.orders.revision == 2)
    assert worker.orders.hosted == {}
    assert worker.cameras.watched == []
    assert CameraState.STOPPED not in {state for _, state in worker.said()}
    worker.orders.renew(LEASE_S)
    worker.order(3, 9)
    until(lambda: (9, CameraState.CONNECTING) in worker.said())


def test_a_worker_that_was_frozen_and_is_renewed_before_it_looks_ends_its_checks_all_the_same(worker):
    ended = threading.Event()
    worker.orders.on_expired = ended.set
    worker.order(1, 7)
    until(lambda: worker.orders.revision == 1 and "lease" in worker.looked)
    worker.looked.clear()
    until(lambda: "lease" in worker.looked)
    worker.now_s = 10 * LEASE_S
    worker.orders.renew(10 * LEASE_S)
    assert ended.wait(PATIENCE_S), "the server has given up the checks, and cannot end them any more"
    ended.clear()
    worker.orders.renew(10 * LEASE_S + 1)
    worker.looked.clear()
    until(lambda: "lease" in worker.looked)
    assert not ended.is_set()


@pytest.mark.parametrize("failing", ["cameras", "checks"])
def test_an_exception_does_not_end_the_watch_over_the_lease(worker, caplog, failing):
    def breaks() -> None:
        raise RuntimeError("a defect")

    worker.cameras.fails = failing == "cameras"
    if failing == "checks":
        worker.orders.on_expired = breaks
    worker.order(1, 7, 7)
    until(lambda: worker.orders.hosted and worker.orders.revision == 1 and "lease" in worker.looked)
    worker.now_s = LEASE_S
    until(lambda: not worker.orders.hosted)
    assert worker.cameras.watched == []
    assert NOT_RENEWED in caplog.text
    assert "a defect" in caplog.text


def test_a_model_that_cannot_be_used_is_tried_again(worker, monkeypatch):
    monkeypatch.setattr(orders_module, "USE_AGAIN_S", 0.01)
    worker.has_model = False
    worker.order(1, 7)
    until(lambda: len(worker.asked) > 2)
    assert worker.cameras.watched == ["c0"]  # with the model before
    worker.has_model = True
    until(lambda: worker.orders._unused is None)
    asked = len(worker.asked)
    worker.order(2, 7, 8)
    until(lambda: worker.orders.revision == 2)
    assert len(worker.asked) == asked + 1


async def test_a_worker_that_cannot_start_leaves_nothing_running(tmp_path):
    (tmp_path / ANALYSES_FOLDER).write_text("no folder")
    settings = WorkerSettings(storage={"folder": tmp_path})
    bundle = Registry.of(settings.model.folder).load(settings.model.name)
    threads, tasks = set(threading.enumerate()), asyncio.all_tasks()
    refused = await module.Worker().begin(
        __version__, settings.model_dump(), (bundle.card.name, bundle.card.contract_sha256)
    )
    assert isinstance(refused, Refusal)
    assert ANALYSES_FOLDER in refused.message
    left = [one.name for one in set(threading.enumerate()) - threads if not one.name.startswith("asyncio")]
    assert left == []
    assert asyncio.all_tasks() == tasks


async def test_a_slow_start_is_not_repeated(monkeypatch):
    may_go_on, made = threading.Event(), []

    def load(*_of_it: object) -> object:
        made.append(object())
        assert may_go_on.wait(PATIENCE_S)
        return made[-1]

    monkeypatch.setattr(module, "WorkerHosting", load)
    worker, begin = module.Worker(), (__version__, WorkerSettings().model_dump(), ("scripted", "ab" * 32))
    first = asyncio.create_task(worker.begin(*begin))
    await soon(lambda: made)
    first.cancel()  # the server's time limit
    second = asyncio.create_task(worker.begin(*begin))
    await asyncio.wait([first])
    may_go_on.set()
    assert isinstance(await second, str)
    assert worker._hosting is made[0]
    assert len(made) == 1


async def test_an_exception_does_not_end_the_trial_of_ice_servers(tmp_path, monkeypatch):
    trials = []

    async def watch(_servers: IceServers) -> None:
        trials.append(len(trials))
        if trials == [0]:
            raise RuntimeError("a defect")
        await asyncio.Event().wait()

    monkeypatch.setattr(IceServers, "watch", watch)
    settings, worker = WorkerSettings(storage={"folder": tmp_path}), module.Worker()
    bundle = Registry.of(settings.model.folder).load(settings.model.name)
    await worker.begin(__version__, settings.model_dump(), (bundle.card.name, bundle.card.contract_sha256))
    await soon(lambda: len(trials) == 2)
    await worker.close()
