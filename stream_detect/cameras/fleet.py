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
"""Interval at which each camera is checked; stalls and attempts are late by at most this time."""

CHANGED = "its settings were changed"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Applied:
    """Changes made by a new list, as camera names.

    Args:
        added: new cameras.
        changed: cameras with new settings, which were restarted.
        removed: removed cameras.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


class HostedCamera(Protocol):
    """A camera, wherever it runs; `Camera` has all these members. Thread-safe."""

    @property
    def settings(self) -> CameraSettings:
        """Settings of the camera."""
        ...

    @property
    def name(self) -> str:
        """Name of the camera."""
        ...

    @property
    def challenge(self) -> ChallengeActions:
        """The challenge of the person in front of it.

        Raises:
            ConflictError: it is not live.
        """
        ...

    def start(self) -> None:
        """Starts to watch; returns at once."""
        ...

    def stop(self, reason: str = ...) -> None:
        """Stops watching within 5 s, for a reason in words."""
        ...

    def status(self) -> CameraStatus:
        """Current status; takes no lock."""
        ...

    def look(self) -> None:
        """Does what is due; called several times a second."""
        ...

    def snapshot(self) -> tuple[VideoFrame, Result | None, float] | None:
        """The newest frame and result, and when the frame arrived, if they are in this process; otherwise None."""
        ...

    def judged(self) -> tuple[VideoFrame, Result | None] | None:
        """The newest result and its frame, if they are in this process; otherwise None."""
        ...

    def push(self, frame: VideoFrame, codec: str, *, gap: bool = False, arrived_s: float | None = None) -> None:
        """Accepts a publisher's next frame.

        Raises:
            ConflictError: this camera does not accept publishers in this process.
        """
        ...

    def publisher_left(self, reason: str) -> None:
        """Called when the publisher has left.

        Raises:
            ConflictError: this camera does not accept publishers in this process.
        """
        ...


MakeCamera = Callable[[CameraSettings, bool], HostedCamera]
"""Makes a stopped camera from its settings, and whether they come from the settings file."""


def hosted_here(  # noqa: PLR0913, PLR0917 - what all cameras share, and one for tests
    engine: Engine,
    monitoring: MonitoringSettings,
    observer: Observer,
    viewing: Callable[[str], Viewing],
    taps: Callable[[str], Sequence[PacketTap]],
    make_parts: Callable[..., CameraParts] = CameraParts,
) -> MakeCamera:
    """Returns a function that makes cameras in this process.

    Args:
        engine: makes the analysis of each.
        monitoring: time-outs and pauses.
        observer: is notified of all cameras.
        viewing: returns the receiver of a camera's frames, by its name.
        taps: returns the receivers of a camera's packets, by its name.
        make_parts: makes the parts of a camera from these.
    """

    def make(settings: CameraSettings, from_settings_file: bool) -> HostedCamera:  # noqa: FBT001 - see MakeCamera
        parts = make_parts(engine, monitoring, observer, viewing(settings.name), taps)
        return Camera(settings, parts, from_settings_file=from_settings_file)

    return make


class Fleet:
    """All cameras of a server. Thread-safe; calls that stop cameras take up to 5 s: not for the event loop.

    Args:
        make: makes a camera from checked settings.
        engine: checks sampling rates.
        observer: is notified of cameras that are not started, and when a camera is removed.
        max_cameras: maximum number of cameras.
    """

    def __init__(self, make: MakeCamera, engine: Engine, observer: Observer, max_cameras: int) -> None:
        self.max_cameras = max_cameras
        """Maximum number of cameras."""
        self._make = make
        self._engine = engine
        self._observer = observer
        self._cameras: dict[str, HostedCamera] = {}
        self._changing = RLock()  # held while the list changes
        self._closing = Event()
        self._clockwork = Thread(target=self._look, name="cameras", daemon=True)
        self._clockwork.start()

    def names(self) -> list[str]:
        """Names of all cameras, sorted."""
        return sorted(self._cameras)

    def camera(self, name: str) -> HostedCamera:
        """Returns the camera of this name.

        Raises:
            NotFoundError: there is no such camera.
        """
        camera = self._cameras.get(name)
        if camera is None:
            raise NotFoundError(f"there is no camera named {name}")
        return camera

    def statuses(self) -> list[CameraStatus]:
        """Status of all cameras, by name."""
        return [camera.status() for _, camera in sorted(self._cameras.copy().items())]

    def check(self, settings: CameraSettings, *, from_settings_file: bool) -> None:
        """Checks the settings of a camera to be added or changed.

        Raises:
            AddressError: its address is malformed or not permitted.
            SettingsError: at its rate no verdict could be reached.
        """
        check(settings, self._engine, from_settings_file=from_settings_file)

    def check_room(self, cameras: int) -> None:
        """Checks the number of cameras.

        Raises:
            ConflictError: there may not be so many.
        """
        if cameras > self.max_cameras:
            raise ConflictError(
                f"expected at most {self.max_cameras} cameras (monitoring.max_cameras), received {cameras}: "
                "remove some, or raise the setting if the machine can handle more"
            )

    def add(self, settings: CameraSettings) -> HostedCamera:
        """Adds a camera on a user's request, so without files and devices; starts it if it is enabled.

        Raises:
            ConflictError: the name is taken, or the maximum number is reached.
            AddressError: its address is malformed or not permitted.
            SettingsError: at its rate no verdict could be reached.
        """
        with self._changing:
            if settings.name in self._cameras:
                raise ConflictError(f"there is already a camera named {settings.name}")
            self.check_room(len(self._cameras) + 1)
            camera = self._made(settings)
            self._put(camera)
            return camera

    def change(self, settings: CameraSettings) -> HostedCamera:
        """Changes the settings of the camera of that name and restarts it; after an error it is unchanged.

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
        """Stops and removes a camera.

        Raises:
            NotFoundError: there is no such camera.
        """
        with self._changing:
            self._take_off([self.camera(name)])

    def apply(self, wanted: Sequence[CameraSettings]) -> Applied:
        """Replaces the list of cameras, all or nothing; only changed cameras are restarted.

        Args:
            wanted: cameras of the settings file, which may use files and devices; call `check` for others first.

        Raises:
            AddressError: an address is malformed.
            ConflictError: there are too many.
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
        """Stops all cameras in parallel, within 5 s; they stay in the list. Does not wait for changes of the list.

        Args:
            reason: one short sentence, for people.
        """
        _stop(list(self._cameras.copy().values()), reason)

    def close(self) -> None:
        """Stops all cameras in parallel, within 5 s."""
        self._closing.set()
        with self._changing:
            _stop(self._cameras.values(), "the server stopped")
        self._clockwork.join(1.0)

    def _made(self, settings: CameraSettings, *, from_settings_file: bool = False) -> HostedCamera:
        """Makes a camera; if its settings are rejected, nothing is left of it, nor of its viewing."""
        self.check(settings, from_settings_file=from_settings_file)
        return self._make(settings, from_settings_file)

    def _put(self, camera: HostedCamera) -> None:
        self._cameras[camera.name] = camera
        if self._closing.is_set():
            return
        if camera.settings.enabled:
            camera.start()
        else:  # whoever follows the cameras may know it in another state, from before a restart
            self._observer.state(camera.status().change)

    def _take_off(self, cameras: Sequence[HostedCamera]) -> None:
        _stop(cameras, "removed")
        for camera in cameras:
            del self._cameras[camera.name]
            self._observer.removed(camera.name)

    def _look(self) -> None:
        """Thread that calls `look` of each camera."""
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
    """Stops these cameras in parallel, because each may take some seconds."""
    stopping = list(cameras)
    if stopping:
        with ThreadPoolExecutor(len(stopping), "stop camera") as threads:
            list(threads.map(lambda camera: camera.stop(reason), stopping))
