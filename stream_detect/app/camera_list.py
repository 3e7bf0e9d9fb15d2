"""The list of cameras: those in the settings file and those added over HTTP, in one fleet.

A camera in the file can be changed in the file only; if both have the same name, the one in the file is used. Changes
block until cameras have stopped, and are made one after another; reads never wait for them.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from stream_detect.api.schemas.cameras import CameraBody, CameraChange, Origin, shown
from stream_detect.cameras.fleet import Applied, Fleet
from stream_detect.cameras.status import CameraStatus
from stream_detect.errors import AddressError, CapacityError, ConflictError, NotFoundError, SettingsError
from stream_detect.settings import CameraSettings, Settings
from stream_detect.sources.address import Address, parse_address
from stream_detect.storage.cameras import StoredCameras

MAX_CHANGES = 8
"""Changes that may wait for each other: each occupies one of forty threads for all requests."""

CHANGE_WITHIN_S = 3.0
RETRY_AFTER_S = 5
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reloaded:
    """Result of reloading the settings file.

    Args:
        cameras: added, restarted and removed cameras.
        after_restart: other changed sections, which take effect after a restart.
    """

    cameras: Applied
    after_restart: tuple[str, ...]

    @property
    def summary(self) -> str:
        """What changed, for the logs."""
        applied = self.cameras
        named = [("added", applied.added), ("changed", applied.changed), ("removed", applied.removed)]
        cameras = ", ".join(f"{what} {', '.join(names) or 'none'}" for what, names in named)
        return f"{cameras}; after a restart: {', '.join(self.after_restart)}" if self.after_restart else cameras


@dataclass(frozen=True, slots=True)
class ChangedCamera:
    """A camera whose settings were replaced.

    Args:
        body: the camera now.
        settings: names of the settings that have other values than before.
    """

    body: CameraBody
    settings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reload:
    """How settings are reloaded while the server runs.

    Args:
        read: reads the current settings.
        take: applies what needs no restart, except for cameras.
    """

    read: Callable[[], Settings]
    take: Callable[[Settings], None] = lambda _settings: None


class CameraList:
    """All cameras of this server.

    Args:
        fleet: watches the cameras.
        stored: cameras in the database, which were added over HTTP.
        settings: settings with which the server started.
        reload: reloads the settings.
        leave: called with the names of changed and of removed cameras, to end their sessions.
    """

    def __init__(
        self,
        fleet: Fleet,
        stored: StoredCameras,
        settings: Settings,
        reload: Reload,
        leave: Callable[[Sequence[str], Sequence[str]], None] = lambda _changed, _removed: None,
    ) -> None:
        self._fleet = fleet
        self._stored = stored
        self._settings = settings
        self._reload = reload
        self._leave = leave
        self._waiting = threading.BoundedSemaphore(MAX_CHANGES)
        self._changing = threading.Lock()
        self._of_file: frozenset[str] = frozenset()

    def start(self) -> None:
        """Starts to watch all cameras. A camera added over HTTP that can no longer be watched is skipped and logged.

        Raises:
            AddressError: the address of a camera in the settings file is invalid.
            SettingsError: the rate of a camera in the settings file is invalid.
            StorageError: cameras added over HTTP cannot be read.
        """
        stored = self._usable()
        with self._one_at_a_time():
            self._check(self._settings.cameras)
            self._apply(self._settings.cameras, stored)

    def bodies(self) -> list[CameraBody]:
        """All cameras, by name."""
        bodies = []
        for status in self._fleet.statuses():
            with contextlib.suppress(NotFoundError):  # removed since
                bodies.append(self._body(status))
        return bodies

    def body(self, name: str) -> CameraBody:
        """Returns a camera.

        Raises:
            NotFoundError: there is no such camera.
        """
        return self._body(self.status(name))

    def status(self, name: str) -> CameraStatus:
        """Returns the status of a camera.

        Raises:
            NotFoundError: there is no such camera.
        """
        return self._fleet.camera(name).status()

    def add(self, settings: CameraSettings) -> CameraBody:
        """Adds a camera and starts to watch it.

        Raises:
            AddressError: its address cannot be used on this server.
            SettingsError: its rate is invalid.
            ConflictError: the name is taken, or the maximum number is reached.
            StorageError: it cannot be stored.
        """
        with self._one_at_a_time():
            if settings.name in self._fleet.names():
                raise ConflictError(f"there is already a camera named {settings.name}; choose another name")
            self._fleet.check(settings, from_settings_file=False)
            self._fleet.check_room(len(self._fleet.names()) + 1)
            self._stored.put(settings)
            self._fleet.add(settings)
        return self.body(settings.name)

    def change(self, name: str, wanted: CameraChange) -> ChangedCamera:
        """Changes the title, the address or other settings of a camera.

        Raises:
            NotFoundError: there is no such camera.
            ConflictError: it is in the settings file, or the name would change.
            AddressError: its address cannot be used on this server.
            SettingsError: its rate is invalid.
            StorageError: it cannot be stored.
        """
        with self._one_at_a_time():
            before = self._own(name)
            if wanted.name not in {None, name}:
                raise ConflictError(f"a camera cannot be renamed: expected {name}, received {wanted.name}")
            settings = wanted.settings(name, _address(wanted, before, "api"))
            self._fleet.check(settings, from_settings_file=False)
            self._stored.put(settings)
            self._fleet.change(settings)
            self._leave((name,), ())
        other = (one for one in CameraSettings.model_fields if getattr(settings, one) != getattr(before, one))
        return ChangedCamera(self.body(name), tuple(other))

    def remove(self, name: str) -> None:
        """Removes a camera, also one that was skipped at the start; its events are kept.

        Raises:
            NotFoundError: there is no such camera.
            ConflictError: it is in the settings file.
            StorageError: the list cannot be written.
        """
        with self._one_at_a_time():
            if name not in self._fleet.names() and self._stored.delete(name):
                return
            self._own(name)
            self._stored.delete(name)
            self._fleet.remove(name)
            self._leave((), (name,))

    def switch(self, name: str, *, on: bool) -> CameraBody:
        """Stops or starts a camera; for cameras added over HTTP this survives a restart.

        One that is started already goes on undisturbed.

        Raises:
            NotFoundError: there is no such camera.
            StorageError: the list cannot be written.
        """
        with self._one_at_a_time():
            camera = self._fleet.camera(name)
            settings = camera.settings.model_copy(update={"enabled": on})
            switches = name not in self._of_file and settings != camera.settings
            if switches:
                self._stored.put(settings)
            if not on:
                camera.stop()
            if switches:
                self._fleet.change(settings)
                self._leave((name,), ())
            elif on:
                camera.start()
        return self.body(name)

    def reload(self) -> Reloaded:
        """Reloads the settings file and applies its cameras; if it is invalid, nothing changes.

        The token is replaced although the database is away, which cameras need, and cameras are applied although the
        rest fails.

        Raises:
            SettingsError: the file is invalid.
            AddressError: the address of one of its cameras is invalid.
            ConflictError: there are more cameras than this server was started for.
            StorageError: cameras added over HTTP cannot be read; the cameras are as before.
            CapacityError: other changes are in progress.
        """
        with self._one_at_a_time():
            settings = self._reload.read()
            self._check(settings.cameras)
            self._fleet.check_room(len(settings.cameras))
            try:
                self._reload.take(settings)
            finally:
                applied = self._apply(settings.cameras, self._usable())
                self._leave(applied.changed, applied.removed)
        later = tuple(
            section
            for section in Settings.model_fields
            if section != "cameras" and _unapplied(settings, section) != _unapplied(self._settings, section)
        )
        for section in later:
            _log.warning("settings: %s changed; the change takes effect after a restart", section)
        return Reloaded(applied, later)

    def to_try(self, wanted: CameraChange) -> tuple[CameraSettings, Address]:
        """A camera to test, and its address; if only a name is given, that of an existing camera.

        Raises:
            NotFoundError: there is no such camera, and no address is given.
            AddressError: the address cannot be used on this server.
        """
        before = self._settings_of(wanted.name) if wanted.name in self._fleet.names() else None
        if wanted.url is None and before is None:
            raise NotFoundError("expected a url to test, or the name of an existing camera")
        origin: Origin = "api" if before is None else self._origin(before.name)
        url = _address(wanted, before, origin)
        own = before is not None and url == before.url
        address = parse_address(url.get_secret_value(), from_settings_file=own and origin == "file")
        return wanted.settings(wanted.name or "trial", url), address

    @contextlib.contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Waits for other changes, up to a number and a time limit.

        Raises:
            CapacityError: too many wait, or the current one takes too long.
        """
        if not self._waiting.acquire(blocking=False):
            raise CapacityError(f"{MAX_CHANGES} changes of cameras are already waiting; try again later", RETRY_AFTER_S)
        try:
            if not self._changing.acquire(timeout=CHANGE_WITHIN_S):
                raise CapacityError("another change of cameras is taking long; try again later", RETRY_AFTER_S)
            try:
                yield
            finally:
                self._changing.release()
        finally:
            self._waiting.release()

    def _usable(self) -> list[CameraSettings]:
        """Cameras added over HTTP. One that can no longer be watched is skipped and logged."""
        usable = []
        for settings in self._stored.all(lambda error: _log.error("a camera added over HTTP is skipped: %s", error)):
            try:
                self._fleet.check(settings, from_settings_file=False)
                usable.append(settings)
            except (AddressError, SettingsError) as error:
                _log.error("camera %s, added over HTTP, is skipped: %s", settings.name, error)
        return usable

    def _check(self, of_file: Sequence[CameraSettings]) -> None:
        for camera in of_file:
            try:
                self._fleet.check(camera, from_settings_file=True)
            except (AddressError, SettingsError) as error:
                raise type(error)(f"camera {camera.name} of the settings file: {error}") from None

    def _apply(self, of_file: Sequence[CameraSettings], added_here: Sequence[CameraSettings]) -> Applied:
        """Applies all cameras of the file, which were checked, and those added over HTTP."""
        names = frozenset(camera.name for camera in of_file)
        for camera in added_here:
            if camera.name in names:
                _log.warning(
                    "camera %s, added over HTTP, is not started: the settings file has a camera of that name",
                    camera.name,
                )
        added = [camera for camera in added_here if camera.name not in names]
        room = max(self._fleet.max_cameras - len(of_file), 0)
        for camera in added[room:]:
            _log.error(
                "camera %s, added over HTTP, is not started: at most %d cameras are allowed (monitoring.max_cameras)",
                camera.name,
                self._fleet.max_cameras,
            )
        applied = self._fleet.apply([*of_file, *added[:room]])
        self._of_file = names
        return applied

    def _body(self, status: CameraStatus) -> CameraBody:
        return CameraBody.of(self._settings_of(status.name), self._origin(status.name), status)

    def _settings_of(self, name: str) -> CameraSettings:
        return self._fleet.camera(name).settings

    def _origin(self, name: str) -> Origin:
        return "file" if name in self._of_file else "api"

    def _own(self, name: str) -> CameraSettings:
        """Settings of a camera that may be changed over HTTP."""
        settings = self._settings_of(name)
        if name in self._of_file:
            raise ConflictError(f"the camera {name} is defined in the settings file: change it there, then reload")
        return settings


def _unapplied(settings: Settings, section: str) -> object:
    """The part of a section that a reload does not apply: an access token takes effect at once."""
    if section == "server":
        return settings.server.model_copy(update={"token": settings.server.token is None})
    return getattr(settings, section)


def _address(wanted: CameraChange, before: CameraSettings | None, origin: Origin) -> SecretStr:
    """The new address; if it is missing or equals the shown one, it is the previous one."""
    if before is not None and (wanted.url is None or wanted.url.get_secret_value() == shown(before, origin).url):
        return before.url
    if wanted.url is None:
        raise AddressError("expected a url")
    if ":***@" in wanted.url.get_secret_value():
        raise AddressError(
            "expected the password instead of ***: it is kept only if the rest of the address is unchanged"
        )
    return wanted.url
