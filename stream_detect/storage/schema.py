"""Brings a database to the tables of this program: an open connection enters, nothing leaves."""

from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from stream_detect.errors import StorageError

MIGRATIONS = Path(__file__).parent / "migrations"
ONE_AT_A_TIME = 0x53_44_4D_49  # "SDMI": PostgreSQL's advisory lock of whoever migrates


def migrate(connection: Connection, target: str = "head") -> None:
    """Run the steps between what is there and what this program needs, all of them or none.

    Args:
        connection: inside a transaction, which the caller commits.
        target: revision to arrive at, up or down; "base" is an empty database.

    Raises:
        StorageError: the database was made by a newer program.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))  # steps may take long on a large table
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_AT_A_TIME})
    script = ScriptDirectory(str(MIGRATIONS))
    known = {step.revision for step in script.walk_revisions()}
    there = MigrationContext.configure(connection).get_current_heads()
    if unknown := set(there) - known:
        raise StorageError(
            f"expected a database of revision {script.get_current_head()} or older, received {', '.join(unknown)}: "
            "a newer stream-detect made it; update this one, or restore a backup from before the update"
        )

    def steps(here: tuple[str, ...], _context: MigrationContext) -> list[RevisionStep]:
        current = here[0] if here else "base"
        rise = target != "base" and (target == "head" or current == "base" or target > current)
        return (script._upgrade_revs if rise else script._downgrade_revs)(target, current)  # noqa: SLF001 - as alembic.command

    with EnvironmentContext(Config(), script, fn=steps) as context:
        context.configure(connection=connection, transactional_ddl=True)
        context.run_migrations()
