"""The cameras that were added by the API, with their passwords; not those in the settings file."""

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

    def all(self) -> list[CameraSettings]:
        """All cameras, by name.

        Raises:
            StorageError: the settings of one are invalid for this version.
        """
        with self._database.reading() as session:
            return [_value(row) for row in session.scalars(select(CameraRow).order_by(CameraRow.name))]

    def put(self, camera: CameraSettings) -> None:
        """Inserts a camera, or replaces the one of its name."""
        settings = camera.model_dump(mode="json", exclude={"name", "url"}) | {"url": camera.url.get_secret_value()}
        with self._database.writing() as session:
            session.merge(CameraRow(name=camera.name, settings=settings))

    def delete(self, name: str) -> None:
        """Deletes a camera if it exists; its events and scores are kept."""
        with self._database.writing() as session:
            session.execute(delete(CameraRow).where(CameraRow.name == name))


def _value(row: CameraRow) -> CameraSettings:
    try:
        return CameraSettings.model_validate({**row.settings, "name": row.name})
    except ValidationError as error:
        parts = ", ".join(".".join(map(str, part["loc"])) for part in error.errors())
        raise StorageError(
            f"expected settings of camera {row.name} that this program knows, received others "
            f"({parts}): remove and add it again"
        ) from None  # pydantic's message contains the address
