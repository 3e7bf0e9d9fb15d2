"""The fleet: all cameras of a server, which it adds, changes, removes, and checks several times a second.

Its maker of cameras decides where they run: `hosted_here` makes cameras in this process, `cluster` makes cameras on
workers. Both are a `HostedCamera`, and the users of the fleet do not know which.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, RLock, Thread
from typing import Protocol

from av import VideoFrame

from stream_detect.analysis.challenge_control import ChallengeActions
from stream_detect.analysis.engine import Engine
from stream_detect.backoff import Outage
from stream_detect.cameras.camera import Camera, CameraParts, check
from stream_detect.cameras.observer import Observer, Viewing
from stream_detect.cameras.status import CameraStatus
from stream_detect.errors import ConflictError, NotFoundError
from stream_detect.settings import CameraSettings, MonitoringSettings
from stream_detect.sources.reader import PacketTap
from stream_detect.types import Result

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


class HostedCamera(Protocol):
    """A camera, wherever it runs: see `Camera`, which has all of it. Thread-safe."""

    @property
    def settings(self) -> CameraSettings:
        """Of the camera."""
        ...

    @property
    def name(self) -> str:
        """Of the camera."""
        ...

    @property
    def challenge(self) -> ChallengeActions:
        """The challenge of the person before it.

        Raises:
            ConflictError: it is not live.
        """
        ...

    def start(self) -> None:
        """Begins to watch; returns at once."""
        ...

    def stop(self, reason: str = ...) -> None:
        """Ends watching within 5 s, for a reason in words."""
        ...

    def status(self) -> CameraStatus:
        """What is known now; takes no lock."""
        ...

    def look(self) -> None:
        """Does what is due; called several times a second."""
        ...

    def snapshot(self) -> tuple[VideoFrame, Result | None] | None:
        """The newest frame and result, where they are in this process; else None."""
        ...

    def judged(self) -> tuple[VideoFrame, Result | None] | None:
        """The frame that the newest result is of, where it is in this process; else None."""
        ...

    def push(self, frame: VideoFrame, codec: str, *, gap: bool = False, arrived_s: float | None = None) -> None:
        """Takes a publisher's next frame.

        Raises:
            ConflictError: this camera takes no publisher in this process.
        """
        ...

    def publisher_left(self, reason: str) -> None:
        """The publisher has gone.

        Raises:
            ConflictError: this camera takes no publisher in this process.
        """
        ...


MakeCamera = Callable[[CameraSettings, bool], HostedCamera]
"""Settings, and whether the settings file names the camera -> a camera that is stopped."""


def hosted_here(  # noqa: PLR0913, PLR0917 - what all cameras share, and one for tests
    engine: Engine,
    monitoring: MonitoringSettings,
    observer: Observer,
    viewing: Callable[[str], Viewing],
    taps: Callable[[str], Sequence[PacketTap]],
    make_parts: Callable[..., CameraParts] = CameraParts,
) -> MakeCamera:
    """What makes cameras that run in this process.

    Args:
        engine: gives each an analysis.
        monitoring: how they are watched.
        observer: is notified of all of them.
        viewing: where a camera's frames go, by its name.
        taps: who wants a camera's packets, by its name.
        make_parts: completes these to what a camera is made of.
    """

    def make(settings: CameraSettings, from_settings_file: bool) -> HostedCamera:  # noqa: FBT001 - see MakeCamera
        parts = make_parts(engine, monitoring, observer, viewing(settings.name), taps)
        return Camera(settings, parts, from_settings_file=from_settings_file)

    return make


class Fleet:
    """All cameras of a server. Thread-safe; calls that stop cameras take up to 5 s: call them off the event loop.

    Args:
        make: makes a camera of settings that were checked.
        engine: says which rates are usable.
        observer: is notified when a camera is removed.
        max_cameras: how many there may be.
    """

    def __init__(self, make: MakeCamera, engine: Engine, observer: Observer, max_cameras: int) -> None:
        self.max_cameras = max_cameras
        """How many there may be."""
        self._make = make
        self._engine = engine
        self._observer = observer
        self._cameras: dict[str, HostedCamera] = {}
        self._changing = RLock()  # one change of the list at a time
        self._closing = Event()
        self._clockwork = Thread(target=self._look, name="cameras", daemon=True)
        self._clockwork.start()

    def names(self) -> list[str]:
        """Of all cameras, sorted."""
        return sorted(self._cameras)

    def camera(self, name: str) -> HostedCamera:
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

    def add(self, settings: CameraSettings) -> HostedCamera:
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

    def change(self, settings: CameraSettings) -> HostedCamera:
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

    def stop_all(self, reason: str) -> None:
        """Stops all cameras at once, within 5 s; they stay in the list. Waits for no change of the list.

        Args:
            reason: one short sentence, for people.
        """
        _stop(list(self._cameras.copy().values()), reason)

    def close(self) -> None:
        """Stops all cameras at once, within 5 s."""
        self._closing.set()
        with self._changing:
            _stop(self._cameras.values(), "the server stopped")
        self._clockwork.join(1.0)

    def _made(self, settings: CameraSettings, *, from_settings_file: bool = False) -> HostedCamera:
        """A camera; of settings that are refused nothing is left, nor what would have shown its frames."""
        self.check(settings, from_settings_file=from_settings_file)
        return self._make(settings, from_settings_file)

    def _put(self, camera: HostedCamera) -> None:
        self._cameras[camera.name] = camera
        if camera.settings.enabled and not self._closing.is_set():
            camera.start()

    def _take_off(self, cameras: Sequence[HostedCamera]) -> None:
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


def _stop(cameras: Iterable[HostedCamera], reason: str) -> None:
    """Stops these, all at once: each may take some seconds."""
    stopping = list(cameras)
    if stopping:
        with ThreadPoolExecutor(len(stopping), "stop camera") as threads:
            list(threads.map(lambda camera: camera.stop(reason), stopping))
