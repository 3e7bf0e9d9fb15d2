"""Migrations of the tables, run by Alembic: one module of `versions` per step, in order when a database is opened.

A step is never changed once it is released. Each names the one before it (`down_revision`) and has a `downgrade`.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from stream_detect.errors import StorageError

MIGRATIONS = Path(__file__).parent
ONE_AT_A_TIME = 0x53_44_4D_49  # "SDMI": PostgreSQL's advisory lock for migrations


def migrate(connection: Connection, target: str = "head") -> None:
    """Runs the migrations to the version that this program needs, all or none.

    Args:
        connection: in a transaction, which the caller commits.
        target: revision to upgrade or downgrade to; "base" is an empty database.

    Raises:
        StorageError: the database was made by a newer version.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))  # migrations of a large table may take long
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_AT_A_TIME})
    there = known_revision(connection)
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    current = there or "base"
    rise = target != "base" and (target == "head" or current == "base" or target > current)
    (command.upgrade if rise else command.downgrade)(config, target)


def known_revision(connection: Connection) -> str | None:
    """Revision of a database; None if it has no tables.

    Raises:
        StorageError: the database was made by a newer version.
    """
    script = ScriptDirectory(str(MIGRATIONS))
    known = {step.revision for step in script.walk_revisions()}
    there = MigrationContext.configure(connection).get_current_heads()
    if unknown := set(there) - known:
        raise StorageError(
            f"expected a database of revision {script.get_current_head()} or older, received {', '.join(unknown)}: "
            "a newer stream-detect created it; update this one, or restore a backup from before the update"
        )
    return there[0] if there else None
