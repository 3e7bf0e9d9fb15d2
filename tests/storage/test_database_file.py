"""Opening and migrating the database, and the errors when it cannot be used."""

import json
import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import inspect, text

from stream_detect.errors import StorageError
from stream_detect.settings import CameraSettings, StorageSettings
from stream_detect.storage.cameras import StoredCameras
from stream_detect.storage.database import FILE_NAME, Database
from stream_detect.storage.events import Events
from stream_detect.storage.history import History
from stream_detect.storage.migrations import MIGRATIONS, migrate
from stream_detect.storage.records import Delivery, EventFilter, Score
from stream_detect.storage.tables import Table
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
SECRET_URL = "rtsp://viewer:s3cr3t@10.0.0.5/stream"


def differences(database: Database) -> list[object]:
    with database._engine.connect() as connection:
        return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), Table.metadata)


def tables(database: Database) -> set[str]:
    return set(inspect(database._engine).get_table_names()) - {"alembic_version"}


def indices(database: Database) -> set[str]:
    """The constraints in the database's own words, including conditions, which the comparison ignores."""
    queries = {
        "sqlite": "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
        "postgresql": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'",
    }
    with database.reading() as session:
        return set(session.scalars(text(queries[database.dialect])))


def test_the_migrations_end_at_the_tables_of_this_program(database):
    assert differences(database) == []
    migrated = indices(database)
    assert any("ended_s IS NULL" in index for index in migrated)
    with database._writing.begin() as connection:
        migrate(connection, "base")
        Table.metadata.create_all(connection)
    assert indices(database) == migrated


def test_every_migration_can_be_reverted_and_applied_again(database):
    steps = [step.revision for step in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]  # the newest first
    for target in [*steps[1:], "base"]:
        with database._writing.begin() as connection:
            migrate(connection, target)
    assert tables(database) == set()
    for target in reversed(steps):
        with database._writing.begin() as connection:
            migrate(connection, target)
    assert differences(database) == []


def test_a_migration_that_fails_leaves_the_database_as_it_was(database, monkeypatch):
    with database._writing.begin() as connection:
        migrate(connection, "base")
    monkeypatch.setattr("alembic.op.create_index", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError), database._writing.begin() as connection:
        migrate(connection)
    assert tables(database) == set()
    monkeypatch.undo()
    with database._writing.begin() as connection:
        migrate(connection)
    assert differences(database) == []


def test_a_database_is_opened_again_with_what_it_held(settings, make_event):
    event = make_event()
    with Database.open(settings) as database:
        Events(database).begin(event)
    with Database.open(settings) as database:
        database.check()
        assert Events(database).get(event.id) == event


def test_a_database_of_a_newer_program_is_refused(settings):
    with Database.open(settings) as database, database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match=r"received 9999: a newer stream-detect created it; update"):
        Database.open(settings)
    with pytest.raises(StorageError, match="9999"):  # and the folder was released
        Database.open(settings)


def test_a_command_does_not_change_the_tables_of_a_server_that_runs(settings):
    before = ScriptDirectory(str(MIGRATIONS)).get_revision("head").down_revision
    with Database.open(settings) as server:
        with server.writing() as session:
            migrate(session.connection(), before)
        with pytest.raises(StorageError, match="restart it with this version"):
            Database.open(settings, alone=False)
        with server.reading() as session:
            assert session.scalar(text("SELECT version_num FROM alembic_version")) == before
    with Database.open(settings, alone=False) as database:
        assert differences(database) == []


def test_only_its_owner_reads_the_files(tmp_path):
    folder = tmp_path / "new" / "data"
    with Database.open(StorageSettings(folder=folder)) as database:
        History(database).add_scores([Score("a", 1, None, None, None, "no_face", 1)])
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(modes) == 5  # the file, its log, the log's index, the lock, the last noted time
    assert set(modes.values()) == {0o600}
    (folder / FILE_NAME).chmod(0o644)
    Database.open(StorageSettings(folder=folder)).close()
    assert stat.S_IMODE((folder / FILE_NAME).stat().st_mode) == 0o600


def test_sqlite_is_durable_and_writers_never_deadlock(tmp_path):
    with Database.open(StorageSettings(folder=tmp_path)) as database, database.writing() as session:
        found = {name: session.scalar(text(f"PRAGMA {name}")) for name in
                 ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")}  # fmt: skip
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 2_500}


def test_a_second_server_on_a_folder_is_refused_and_a_command_is_not(settings):
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    code = (
        "import sys; from pathlib import Path; from stream_detect.settings import StorageSettings as S\n"
        "from stream_detect.storage.database import Database\n"
        "Database.open(S(folder=Path(sys.argv[1]), database_url=sys.argv[2] or None))\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(settings.folder), url]
    first = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with first:
        try:
            assert first.stdout.readline() == "ready\n"
            with pytest.raises(StorageError, match=f"but process {first.pid} uses it: stop that process"):
                Database.open(settings)
            with Database.open(settings, alone=False) as beside:
                beside.check()
        finally:
            first.kill()
    Database.open(settings).close()  # however the first one ended


def test_many_threads_write_and_read_at_once(database, make_event):
    events, history = Events(database), History(database)
    failures: list[BaseException] = []

    def work(camera: str) -> None:
        try:
            for number in range(12):
                event = make_event(float(number), camera=camera)
                events.begin(event, [Delivery(event.id, "desk", event.id, "{}", 0, 0.0)])
                history.add_scores([Score(name, number, 0.5, 0.5, 0.5, "real", 1) for name in ("b", camera, "a")])
                events.page(EventFilter(camera=camera))
                events.update(event.id, peak=0.5)
                if number % 2:
                    events.delete(event.id)  # reads first, then writes
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            failures.append(error)

    threads = [threading.Thread(target=work, args=(f"camera{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * PATIENCE_S)
    assert failures == []
    assert [score.samples for score in history.scores("a", 0, 12, 1)] == [6] * 12
    assert len(events.page(EventFilter(), limit=500).items) == 36


def test_a_change_of_sqlite_waits_for_its_turn_but_not_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr("stream_detect.storage.database.BUSY_S", 0.05)
    with Database.open(StorageSettings(folder=tmp_path)) as database, ThreadPoolExecutor(1) as other:
        with database.writing(), pytest.raises(StorageError, match="another change takes too long"):
            other.submit(StoredCameras(database).delete, "door").result()
        assert other.submit(StoredCameras(database).delete, "door").result() is False


def test_added_cameras_are_kept_whole(database):
    cameras = StoredCameras(database)
    yard = CameraSettings(name="yard", url=SecretStr(SECRET_URL), title="Yard", transport="udp", rate_hz=2.5)
    door = CameraSettings(name="door", url=SecretStr("whip:"), enabled=False, evidence=True)
    for camera in (yard, door):
        cameras.put(camera)
    assert cameras.all() == [door, yard]
    changed = yard.model_copy(update={"title": "Garden"})
    cameras.put(changed)
    assert [cameras.delete("door"), cameras.delete("door")] == [True, False]
    assert cameras.all() == [changed]
    assert cameras.all()[0].url.get_secret_value() == SECRET_URL


@pytest.mark.parametrize(
    "held", [{"url": SECRET_URL, "colour": "red"}, {"url": SECRET_URL, "rate_hz": 0}, {}, {"url": 5}]
)
def test_a_camera_of_another_program_is_named_without_its_address(database, held):
    with database.writing() as session:
        session.execute(text("INSERT INTO cameras (name, settings) VALUES ('yard', :held)"), {"held": json.dumps(held)})
    with pytest.raises(StorageError, match="camera yard") as caught:
        StoredCameras(database).all()
    assert "s3cr3t" not in str(caught.value)
    door = CameraSettings(name="door", url=SecretStr("whip:"))
    StoredCameras(database).put(door)
    skipped: list[StorageError] = []
    assert StoredCameras(database).all(skipped.append) == [door]
    assert [str(error) for error in skipped] == [str(caught.value)]


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: folder.write_text("no folder"), "readable and writable"),
        (lambda folder: (folder / FILE_NAME).mkdir(parents=True), "writable"),
        (lambda folder: (folder.mkdir(), (folder / FILE_NAME).write_text("text " * 1000)), "restore a backup"),
    ],
)
def test_a_file_that_is_no_database_is_explained(tmp_path, prepare, message):
    folder = tmp_path / "data"
    prepare(folder)
    with pytest.raises(StorageError, match=message):
        Database.open(StorageSettings(folder=folder))


def test_another_program_that_keeps_the_file_is_explained(tmp_path, monkeypatch, make_event):
    monkeypatch.setattr("stream_detect.storage.database.BUSY_S", 0.05)
    with (
        Database.open(StorageSettings(folder=tmp_path)) as database,
        closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="another process kept it locked"):
            Events(database).begin(make_event())
        assert not Events(database).page(EventFilter()).items  # readers never wait
        other.execute("ROLLBACK")
        Events(database).begin(make_event())


def test_the_package_carries_its_migrations():
    """Only folders with an __init__.py are installed."""
    assert all((folder / "__init__.py").is_file() for folder in (MIGRATIONS, MIGRATIONS / "versions"))
