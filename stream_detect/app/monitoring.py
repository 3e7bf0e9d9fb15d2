"""The services that monitor cameras: made, started and ended.

fleet ──results, states──> recorder ──> database ──committed──> alerts, listeners
  │            └──────────> alerts (MQTT), listeners, latencies
  └──frames──> viewers (WHEP)           publishers (WHIP) ──frames──> fleet
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Sequence

from stream_detect.alerts.notifiers import Alerts
from stream_detect.api.metrics import LatencyObserver
from stream_detect.api.schemas.status import JudgeBody
from stream_detect.app.camera_list import CameraList, Reload
from stream_detect.app.camera_trials import CameraTrials
from stream_detect.app.hosting import HostedByWorkers, HostedHere, Hosting
from stream_detect.app.listeners import CameraListeners
from stream_detect.app.model_in_use import ModelInUse
from stream_detect.backoff import keep_running
from stream_detect.cameras.observer import Observers
from stream_detect.errors import NotFoundError
from stream_detect.events.journal import Ledger
from stream_detect.events.recorder import Recorder
from stream_detect.evidence.folder import EvidenceFolder
from stream_detect.evidence.keeper import EvidenceKeeper, EvidenceSources
from stream_detect.off_loop import off_loop
from stream_detect.settings import Settings
from stream_detect.sources.address import parse_address
from stream_detect.storage.cameras import StoredCameras
from stream_detect.storage.checks import Checks
from stream_detect.storage.database import Database
from stream_detect.storage.deliveries import Deliveries
from stream_detect.storage.events import Events
from stream_detect.storage.history import History
from stream_detect.storage.records import Judge
from stream_detect.types import CameraState
from stream_detect.webrtc.network import Network

_CAMERAS_CLOSE_S = 3.4
_CLOSE_S = 4.5
"""Time limits of closing, from its start: for the cameras, and for everything. Whatever hangs ends with the process."""

_LEAVE_S = 3.0

_log = logging.getLogger(__name__)


class Monitoring:
    """The services around the cameras: created, started, then `open` and `close` on the event loop.

    Args:
        settings: all sections.
        model: the model in use and its engine.
        reload: reloads the settings.

    Raises:
        StorageError: the database cannot be used.
        SettingsError: the certificate or the key that signs evidence cannot be used.
        MissingExtraError: the C2PA library is not installed.
    """

    def __init__(self, settings: Settings, model: ModelInUse, reload: Reload) -> None:
        self._settings = settings
        self._model = model
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listing: asyncio.Task[None] | None = None
        self.database = database = Database.open(settings.storage)
        self.events, self.history, self.checks = Events(database), History(database), Checks(database)
        self.listeners, self.latency = CameraListeners(), LatencyObserver()
        self.network = Network.of(settings.webrtc)
        self._watching_servers: asyncio.Task[None] | None = None
        self.alerts = Alerts(settings.alerts, settings.webhooks, settings.mqtt, Deliveries(database), self._title_of)
        sources = EvidenceSources(
            wants=lambda name: self.fleet.camera(name).settings.evidence,
            picture_of=lambda name: self.fleet.camera(name).judged(),
        )
        folder = EvidenceFolder.of(settings.storage, settings.evidence)
        keeper = EvidenceKeeper(folder, settings.evidence, self.events, sources)
        self.hosting: Hosting = (
            HostedByWorkers(settings, model, database, keeper, self.listeners.listened)
            if settings.cluster.enabled
            else HostedHere(settings, model, keeper, self.network)
        )
        self.keeper, self.viewers, self.publishers = (
            self.hosting.evidence,
            self.hosting.viewers,
            self.hosting.publishers,
        )
        announcers = (self.alerts, self.listeners)
        ledger = Ledger(
            self.events,
            self.history,
            self.checks,
            settings.storage,
            self.alerts.deliveries_for,
            announcers,
            self._judge,
        )
        self.recorder = Recorder(ledger, settings.monitoring, self._judge, self.keeper)
        self.fleet = self.hosting.fleet_for(Observers((self.recorder, self.alerts, self.listeners, self.latency)))
        self.trials = CameraTrials(settings.monitoring)
        self.cameras = CameraList(self.fleet, StoredCameras(database), settings, reload, self._leave)

    def start(self) -> None:
        """Starts to record, to notify and to watch.

        Raises:
            AddressError: the address of a camera in the settings file is invalid.
            SettingsError: the rate of a camera in the settings file is invalid.
            StorageError: the database cannot be used.
        """
        self.recorder.start()
        self.alerts.start()
        try:
            self.hosting.start()
            self.cameras.start()
            self.alerts.clear_others()
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Ends what was started, if the server cannot start. Blocks."""
        self.fleet.close()
        self._close_memory()

    def open(self) -> None:
        """Accepts listeners and WebRTC sessions from now on; called on the event loop."""
        self._loop = asyncio.get_running_loop()
        listing = keep_running(
            _log, "the listing of cameras to listeners", lambda: self.listeners.list_cameras(self.cameras.bodies)
        )
        self._listing = self._loop.create_task(listing)
        watching = keep_running(_log, "the trial of ICE servers", self.network.servers.watch)
        self._watching_servers = self._loop.create_task(watching)

    def watches(self) -> bool:
        """Whether a camera is sending frames."""
        return any(status.change.state is CameraState.LIVE for status in self.fleet.statuses())

    @property
    def storage_problem(self) -> str:
        """Why nothing can be written to the database now; empty if all is well."""
        problem = self.recorder.problem  # or that of the keeper
        return "" if problem == self.keeper.problem else problem

    @property
    def problems(self) -> tuple[str, ...]:
        """Current problems, in sentences."""
        problems = self.storage_problem, self.keeper.problem, *self.hosting.problems
        ours = tuple(problem for problem in problems if problem)
        ice = (*self.network.servers.problems, *self.hosting.ice_problems)
        return (*ours, *(f"ICE server {problem}" for problem in ice))

    def use(self, judge: JudgeBody) -> None:
        """Draws the thresholds of the new model from now on."""
        self.hosting.use(judge)

    def shut_down(self) -> None:
        """Ends, on the event loop, responses that would continue: the server begins to stop."""
        self.listeners.close()
        self.trials.close()

    async def close(self) -> None:
        """Stops watching, notifying and recording, in this order, within five seconds."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + _CLOSE_S
        self.shut_down()
        for task in (self._listing, self._watching_servers):
            if task is not None:
                task.cancel()
        await asyncio.gather(
            _within(_CAMERAS_CLOSE_S, off_loop(self.fleet.close, "close-cameras"), "cameras"),
            _within(_CAMERAS_CLOSE_S, self.hosting.close_sessions(), "viewers and publishers"),
        )
        await _within(until_s - loop.time(), off_loop(self._close_memory, "close-memory"), "the database")

    def _close_memory(self) -> None:
        with contextlib.ExitStack() as in_reverse_order:
            in_reverse_order.callback(self.database.close)
            in_reverse_order.callback(self.alerts.close)
            in_reverse_order.callback(self.recorder.close)
            in_reverse_order.callback(self.hosting.close)

    def _leave(self, changed: Sequence[str], removed: Sequence[str]) -> None:
        """Ends the WebRTC sessions of changed and removed cameras, and waits for it. Not for the event loop."""
        if self._loop is None or not (changed or removed):
            return

        gone = (*removed, *(name for name in changed if not self._is_pushed(name)))
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self.hosting.leave(gone, removed), self._loop).result(_LEAVE_S)

    def _is_pushed(self, name: str) -> bool:
        url = self.fleet.camera(name).settings.url.get_secret_value()
        return parse_address(url, from_settings_file=True).is_pushed

    def _title_of(self, name: str) -> str:
        try:
            return self.fleet.camera(name).settings.title or name
        except NotFoundError:
            return name

    def _judge(self, sha256: str | None = None) -> Judge:
        judge = self._model.judge if sha256 is None else self._model.judge_of(sha256)
        return Judge(judge.name, judge.sha256, **judge.thresholds.model_dump())


async def _within(seconds: float, work: Awaitable[None], what: str) -> None:
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        _log.warning("%s did not close within %.1f s; the process ends anyway", what, seconds)
    except Exception:  # noqa: BLE001 - the end of the server: the other parts, and the database last, close all the same
        _log.exception("%s did not close", what)
