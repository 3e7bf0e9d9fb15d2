"""SIGKILL during writes, a full disk, and a PostgreSQL that stops and returns."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from stream_detect.errors import DiskFullError, StorageError
from stream_detect.settings import StorageSettings
from stream_detect.storage.database import Database
from stream_detect.storage.deliveries import Deliveries
from stream_detect.storage.events import Events
from stream_detect.storage.history import History
from stream_detect.storage.records import Event, EventFilter, Score
from tests.patience import in_time, until

ROOT = Path(__file__).parents[2]
WRITER = """
import sys
from pathlib import Path
from pydantic import SecretStr
from stream_detect.settings import StorageSettings
from stream_detect.storage.database import Database
from stream_detect.storage.events import Events
from stream_detect.storage.history import History
from stream_detect.storage.records import Delivery, Event, Score
url = SecretStr(sys.argv[2]) if sys.argv[2] else None
database = Database.open(StorageSettings(folder=Path(sys.argv[1]), database_url=url))
for number in range(1, 1_000_000):
    name = f"{number:032x}"
    Events(database).begin(Event(name, "door", "fake", 1.0, None, "r" * 500), [Delivery(name, "w", name, "{}", 0, 0.0)])
    print(name, flush=True)
    History(database).add_scores([Score("door", number * 100 + at, .5, .5, .5, "fake", 1) for at in range(100)])
"""


def wait_for_others_to_leave(database: Database) -> None:
    """Waits until PostgreSQL has ended the transactions of a killed client."""
    query = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")

    def alone() -> bool:
        with database.reading() as session:
            return not session.scalar(query)

    if database.dialect == "postgresql":
        until(alone)


def open_ones(events: Events) -> Iterator[Event]:
    """All of them: a busy machine may let the writer go on for a while."""
    cursor = None
    while True:
        page = events.page(EventFilter(open=True), cursor, 500)
        yield from page.items
        cursor = page.next
        if cursor is None:
            return


@pytest.mark.parametrize("after", [1, 7, 23])
def test_kill_9_loses_no_event_that_was_announced(settings, after):
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    command = [sys.executable, "-c", WRITER, str(settings.folder), url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        announced = [writer.stdout.readline().strip() for _ in range(after)]
        writer.send_signal(signal.SIGKILL)
        announced += writer.stdout.read().split()
    assert writer.returncode == -signal.SIGKILL
    with Database.open(settings) as database:
        wait_for_others_to_leave(database)
        events = Events(database)
        kept = [event.id for event in open_ones(events)]
        assert set(kept) >= set(announced)
        assert len(kept) <= len(announced) + 1  # committed, and killed before it could report that
        waiting = [delivery.event_id for delivery in Deliveries(database).due(1.0, 1_000_000)]
        assert waiting == sorted(kept)
        assert len(History(database).scores("door", 0, 1e9, 1)) % 100 == 0  # a batch is complete or absent
        if database.dialect == "sqlite":
            with database.reading() as session:
                assert session.scalar(text("PRAGMA integrity_check")) == "ok"
        assert len(events.interrupted(2.0)) == len(kept)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB; None if it cannot be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True, timeout=60).returncode == 0
    yield folder if mounted else None
    if mounted:
        subprocess.run(["/bin/umount", "-l", str(folder)], check=True, timeout=60)


def fill(database: Database, make_event) -> None:
    """Writes until the disk is full."""
    for number in range(1000):
        Events(database).begin(make_event(float(number), reason="r" * 20_000))


def test_a_full_disk_is_reported_and_writing_continues_when_there_is_space(small_disk, tmp_path, make_event):
    with Database.open(StorageSettings(folder=small_disk or tmp_path)) as database:
        ballast = (small_disk or tmp_path) / "ballast"
        ballast.write_bytes(bytes(300_000))
        if not small_disk:
            with database.reading() as session:
                session.execute(text("PRAGMA max_page_count = 200"))
        with pytest.raises(DiskFullError, match=r"free some space.*max_bytes"):
            fill(database, make_event)
        kept = Events(database).page(EventFilter(), limit=500).items  # reading still works
        assert kept
        with pytest.raises(DiskFullError):
            fill(database, make_event)
        if small_disk:
            ballast.unlink()
        else:
            with database.reading() as session:
                session.execute(text("PRAGMA max_page_count = 1000000"))
        event = make_event(1e6, reason="r" * 20_000)
        Events(database).begin(event)
        assert Events(database).get(event.id) == event
        assert set(kept) < set(Events(database).page(EventFilter(), limit=500).items)
        with database.reading() as session:
            assert session.scalar(text("PRAGMA integrity_check")) == "ok"


@pytest.mark.parametrize("left_bytes", [0, 8_192, 16_384, 45_056])  # for nothing; the lock; the file; its log
def test_a_disk_without_room_is_reported_at_the_start(small_disk, left_bytes):
    if not small_disk:
        pytest.xfail("no file system can be mounted here")
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError):  # as much as there is space
        ballast.write_bytes(bytes(2_000_000))
    os.truncate(ballast, ballast.stat().st_size - left_bytes)
    with pytest.raises(DiskFullError):
        Database.open(StorageSettings(folder=small_disk / "data"))
    ballast.unlink()
    Database.open(StorageSettings(folder=small_disk / "data")).close()


def test_a_full_postgresql_is_a_full_disk(cluster, tmp_path, make_event):
    settings = StorageSettings(folder=tmp_path, database_url=SecretStr(cluster.new()))
    with Database.open(settings) as database:
        with database.writing() as session:
            session.execute(text(
                "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS "
                "$$BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END$$"
            ))  # fmt: skip
            session.execute(text("CREATE TRIGGER no_room BEFORE INSERT ON events EXECUTE FUNCTION no_room()"))
        with pytest.raises(DiskFullError, match="the disk of PostgreSQL database"):
            Events(database).begin(make_event())
        with database.writing() as session:
            session.execute(text("DROP TRIGGER no_room ON events"))
        Events(database).begin(make_event())


def test_postgresql_may_restart(cluster, tmp_path, make_event):
    settings = StorageSettings(folder=tmp_path, database_url=SecretStr(cluster.new()))
    with Database.open(settings) as database:
        events, event = Events(database), make_event()
        events.begin(event)
        cluster.stop()
        try:
            for call in (database.check, lambda: events.begin(make_event()), lambda: events.get(event.id)):
                with in_time(), pytest.raises(StorageError, match="cannot be used"):
                    call()
        finally:
            cluster.start()
        assert events.get(event.id) == event  # the first call after its return
        assert events.end(replace(event, ended_s=2000.0))


def test_a_restart_without_queries_is_not_noticed(cluster, tmp_path, make_event):
    settings = StorageSettings(folder=tmp_path, database_url=SecretStr(cluster.new()))
    with Database.open(settings) as database:
        Events(database).begin(make_event())
        cluster.stop()
        cluster.start()
        Events(database).begin(make_event())


def cut_inside_a_transaction(database: Database) -> None:
    with database.writing() as session:
        process = session.scalar(text("SELECT pg_backend_pid()"))
        with database.writing() as other:
            other.execute(text("SELECT pg_terminate_backend(:process)"), {"process": process})
        session.execute(text("SELECT 1"))


def test_a_connection_that_breaks_inside_a_transaction_is_replaced(cluster, tmp_path, make_event):
    settings = StorageSettings(folder=tmp_path, database_url=SecretStr(cluster.new()))
    with Database.open(settings) as database:
        with pytest.raises(StorageError):
            cut_inside_a_transaction(database)
        Events(database).begin(make_event())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda url: url.replace("tests", "wrong"), "password authentication failed"),
        (lambda url: url.replace("tester", "hunter2-of-tests"), r"failed for user \"\*\*\*\""),
        (lambda url: url.replace("/postgres?", "/nowhere?"), "does not exist"),
        (lambda url: url.split("?")[0] + "?host=/nowhere", "No such file"),
        (lambda url: url.replace("@/", "@127.0.0.1:1/").split("?")[0], "refused"),
        (lambda url: url.replace("postgresql:", "mysql:"), "begin with postgresql://, received mysql://"),
        (lambda url: url.replace("@/", "@host:port/"), "expected storage.database_url as postgresql://"),
        (lambda url: url.replace("://", ""), "expected storage.database_url as postgresql://"),
        (lambda url: url + "&colour=red", "cannot be used"),
    ],
)
def test_an_address_that_does_not_work_is_explained_without_its_password(cluster, tmp_path, change, message):
    url = SecretStr(change(cluster.url()))
    with pytest.raises(StorageError, match=message) as caught:
        Database.open(StorageSettings(folder=tmp_path, database_url=url))
    assert "hunter2" not in str(caught.value)


def test_row_contents_in_database_errors_are_not_shown(database):
    with pytest.raises(StorageError) as caught, database.writing() as session:
        session.execute(
            text("INSERT INTO cameras (name, settings) SELECT :name, CAST(:held AS TEXT) || nonsense"),
            {"name": "yard", "held": "hunter2"},
        )
    assert "hunter2" not in str(caught.value)


def test_a_batch_of_scores_of_fifty_cameras_is_one_transaction(database):
    scores = [Score(f"camera{number}", 60, 0.1, 0.2, 0.3, "real", 5) for number in range(50)]
    History(database).add_scores(scores)
    assert all(History(database).scores(score.camera, 60, 61, 1) == [score] for score in scores)
