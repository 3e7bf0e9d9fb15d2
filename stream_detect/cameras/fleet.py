"""All cameras of this process: adds, changes and removes them, and looks after each several times a second."""

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, RLock, Thread

from stream_detect.analysis.engine import Engine
from stream_detect.backoff import Outage
from stream_detect.cameras.camera import Camera, CameraParts, check
from stream_detect.cameras.observer import Observer, Viewing
from stream_detect.cameras.status import CameraStatus
from stream_detect.errors import ConflictError, NotFoundError
from stream_detect.settings import CameraSettings, MonitoringSettings
from stream_detect.sources.reader import PacketTap

LOOK_S = 0.2
"""How often each camera is looked after; a stall is noticed, and an attempt made, at most so much late."""

CHANGED = "its settings were changed"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Applied:
    """What a new list changed; names of cameras.

    Args:
        added: were not there before.
        changed: have other settings, and were restarted.
        removed: are no more.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


class Fleet:
    """All cameras of this process. Thread-safe; calls that stop cameras take up to 5 s: call them off the event loop.

    Args:
        engine: gives each an analysis.
        monitoring: how they are watched, and how many there may be.
        observer: is notified of all of them.
        viewing: where a camera's frames go, by its name.
        taps: who wants a camera's packets, by its name.
        make_parts: completes these to what a camera is made of.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what all cameras share, and one for tests
        self,
        engine: Engine,
        monitoring: MonitoringSettings,
        observer: Observer,
        viewing: Callable[[str], Viewing],
        taps: Callable[[str], Sequence[PacketTap]],
        make_parts: Callable[..., CameraParts] = CameraParts,
    ) -> None:
        self.max_cameras = monitoring.max_cameras
        """How many there may be."""
        self._engine = engine
        self._observer = observer
        self._parts: Callable[[str], CameraParts] = lambda name: make_parts(
            engine, monitoring, observer, viewing(name), taps
        )
        self._cameras: dict[str, Camera] = {}
        self._changing = RLock()  # one change of the list at a time
        self._closing = Event()
        self._clockwork = Thread(target=self._look, name="cameras", daemon=True)
        self._clockwork.start()

    def names(self) -> list[str]:
        """Of all cameras, sorted."""
        return sorted(self._cameras)

    def camera(self, name: str) -> Camera:
        """The camera of this name.

        Raises:
            NotFoundError: there is none.
        """
        camera = self._cameras.get(name)
        if camera is None:
            raise NotFoundError(f"no camera is called {name}")
        return camera

    def statuses(self) -> list[CameraStatus]:
        """Of all cameras, by name."""
        return [camera.status() for _, camera in sorted(self._cameras.copy().items())]

    def check(self, settings: CameraSettings, *, from_settings_file: bool) -> None:
        """Checks the settings of a camera that is to be added or changed.

        Raises:
            AddressError: its address is malformed or not permitted.
            SettingsError: at its rate no verdict could be reached.
        """
        check(settings, self._engine, from_settings_file=from_settings_file)

    def check_room(self, cameras: int) -> None:
        """Whether there may be so many cameras.

        Raises:
            ConflictError: there may not.
        """
        if cameras > self.max_cameras:
            raise ConflictError(
                f"expected at most {self.max_cameras} cameras (monitoring.max_cameras), received {cameras}: "
                "remove some, or raise the setting on a machine that carries more"
            )

    def add(self, settings: CameraSettings) -> Camera:
        """Adds a camera on somebody's wish, so no file and no device; starts it if it is enabled.

        Raises:
            ConflictError: the name is taken, or there are as many cameras as there may be.
            AddressError: its address is malformed or not permitted.
            SettingsError: at its rate no verdict could be reached.
        """
        with self._changing:
            if settings.name in self._cameras:
                raise ConflictError(f"a camera is called {settings.name} already")
            self.check_room(len(self._cameras) + 1)
            camera = self._made(settings)
            self._put(camera)
            return camera

    def change(self, settings: CameraSettings) -> Camera:
        """Gives the camera of that name other settings, and starts it anew; after an error it goes on as it was.

        Raises:
            NotFoundError: there is no such camera.
            AddressError: its address is malformed or not permitted.
            SettingsError: at its rate no verdict could be reached.
        """
        with self._changing:
            before, camera = self.camera(settings.name), self._made(settings)
            before.stop(CHANGED)
            self._put(camera)
            return camera

    def remove(self, name: str) -> None:
        """Stops a camera and takes it off the list.

        Raises:
            NotFoundError: there is none.
        """
        with self._changing:
            self._take_off([self.camera(name)])

    def apply(self, wanted: Sequence[CameraSettings]) -> Applied:
        """Makes the cameras be these; only changed ones are restarted. All of it, or nothing.

        Args:
            wanted: of the settings file, which may name files and devices; `check` others before.

        Raises:
            AddressError: an address is malformed.
            ConflictError: these are more than there may be.
            SettingsError: at a camera's rate no verdict could be reached.
        """
        self.check_room(len(wanted))
        with self._changing:
            present = self._cameras
            added = [settings for settings in wanted if settings.name not in present]
            changed = [
                settings
                for settings in wanted
                if settings.name in present and settings != present[settings.name].settings
            ]
            names = {settings.name for settings in wanted}
            removed = [camera for name, camera in present.items() if name not in names]
            for settings in (*added, *changed):
                self.check(settings, from_settings_file=True)
            cameras = [self._made(settings, from_settings_file=True) for settings in (*added, *changed)]
            _stop([present[settings.name] for settings in changed], CHANGED)
            self._take_off(removed)
            for camera in cameras:
                self._put(camera)
        return Applied(
            tuple(settings.name for settings in added),
            tuple(settings.name for settings in changed),
            tuple(camera.name for camera in removed),
        )

    def close(self) -> None:
        """Stops all cameras at once, within 5 s."""
        self._closing.set()
        with self._changing:
            _stop(self._cameras.values(), "the server stopped")
        self._clockwork.join(1.0)

    def _made(self, settings: CameraSettings, *, from_settings_file: bool = False) -> Camera:
        """A camera; of settings that are refused nothing is left, nor what would have shown its frames."""
        self.check(settings, from_settings_file=from_settings_file)
        return Camera(settings, self._parts(settings.name), from_settings_file=from_settings_file)

    def _put(self, camera: Camera) -> None:
        self._cameras[camera.name] = camera
        if camera.settings.enabled and not self._closing.is_set():
            camera.start()

    def _take_off(self, cameras: Sequence[Camera]) -> None:
        _stop(cameras, "removed")
        for camera in cameras:
            del self._cameras[camera.name]
            self._observer.removed(camera.name)

    def _look(self) -> None:
        """The clockwork's thread."""
        outage = Outage(log, "the supervision of cameras")
        while not self._closing.wait(LOOK_S):
            failing = False
            for camera in self._cameras.copy().values():
                try:
                    camera.look()
                except Exception as error:  # noqa: BLE001 - the thread's edge: the others must not be left unwatched
                    failing = True
                    outage.failed(f"camera {camera.name} could not be looked after", error)
            if not failing:
                outage.ended()


def _stop(cameras: Iterable[Camera], reason: str) -> None:
    """Stops these, all at once: each may take some seconds."""
    stopping = list(cameras)
    if stopping:
        with ThreadPoolExecutor(len(stopping), "stop camera") as threads:
            list(threads.map(lambda camera: camera.stop(reason), stopping))
