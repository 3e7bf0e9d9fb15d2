"""The cameras that were added by the API, with their passwords; not those in the settings file."""

from collections.abc import Callable

from pydantic import ValidationError
from sqlalchemy import delete, select

from stream_detect.errors import StorageError
from stream_detect.settings import CameraSettings
from stream_detect.storage.database import Database
from stream_detect.storage.tables import CameraRow


class StoredCameras:
    """Settings of cameras, by name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, skip: Callable[[StorageError], None] | None = None) -> list[CameraSettings]:
        """All cameras, by name.

        Args:
            skip: called with the error of each camera whose settings are invalid for this version; None to raise it.

        Raises:
            StorageError: the settings of one are invalid for this version, or the table cannot be read.
        """
        with self._database.reading() as session:
            rows = session.scalars(select(CameraRow).order_by(CameraRow.name)).all()
        known = []
        for row in rows:
            try:
                known.append(_value(row))
            except StorageError as error:
                if skip is None:
                    raise
                skip(error)
        return known

    def put(self, camera: CameraSettings) -> None:
        """Inserts a camera, or replaces the one of its name."""
        settings = camera.model_dump(mode="json", exclude={"name", "url"}) | {"url": camera.url.get_secret_value()}
        with self._database.writing() as session:
            session.merge(CameraRow(name=camera.name, settings=settings))

    def delete(self, name: str) -> bool:
        """Deletes a camera; its events and scores are kept.

        Returns:
            Whether there was one.
        """
        with self._database.writing() as session:
            deleted = session.execute(delete(CameraRow).where(CameraRow.name == name).returning(CameraRow.name))
            return deleted.first() is not None


def _value(row: CameraRow) -> CameraSettings:
    try:
        return CameraSettings.model_validate({**row.settings, "name": row.name})
    except ValidationError as error:
        parts = ", ".join(".".join(map(str, part["loc"])) for part in error.errors())
        raise StorageError(
            f"expected settings of camera {row.name} that this program knows, received others "
            f"({parts}): remove and add it again"
        ) from None  # pydantic's message contains the address
