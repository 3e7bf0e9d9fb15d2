"""`stream-detect purge` deletes exactly the selected evidence with its files, after asking."""

import os
import time

import pytest
from typer.testing import CliRunner

from stream_detect.cli import app
from stream_detect.evidence.folder import EvidenceFolder
from stream_detect.settings import EvidenceSettings, StorageSettings
from stream_detect.storage.database import Database
from stream_detect.storage.events import Events
from stream_detect.storage.records import Event, Evidence

DAY_S = 86_400


@pytest.fixture
def purge(tmp_path, monkeypatch):
    """Runs the command on the test's folder."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("STREAM_DETECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STREAM_DETECT_STORAGE__FOLDER", str(tmp_path))
    return lambda *arguments, answer="y\n": CliRunner().invoke(app, ["purge", *arguments], input=answer)


@pytest.fixture
def kept(tmp_path):
    """Existing evidence by (camera, age in days); the age of an ongoing event is None."""
    storage = StorageSettings(folder=tmp_path)
    folder = EvidenceFolder.of(storage, EvidenceSettings(min_free_bytes=0))
    ages = {("door", 0.0): 0.0, ("door", 1.0): 1.0, ("door", 40.0): 40.0, ("yard", 40.0): 40.0, ("door", None): 2.0}
    with Database.open(storage) as database:
        events = Events(database)
        for number, ((camera, age), days) in enumerate(ages.items()):
            began_s = time.time() - days * DAY_S
            name = f"{number:032x}-picture.jpg"
            folder.write(name, 4, lambda path: path.write_bytes(b"jpeg"))
            ended_s = None if age is None else began_s + 1
            evidence = Evidence(picture=name, bytes=4)
            events.begin(Event(f"{number:032x}", camera, "fake", began_s, ended_s, "why", evidence=evidence))

    def left() -> set:
        with Database.open(storage) as database:
            referenced = {
                number
                for number in range(len(ages))
                if Events(database).get(f"{number:032x}").evidence.picture is not None
            }
        files = {int(path.name.partition("-")[0], 16) for path in (tmp_path / "evidence").iterdir()}
        assert files == referenced
        return {key for number, key in enumerate(ages) if number in files}

    return left


ALL = {("door", 0.0), ("door", 1.0), ("door", 40.0), ("yard", 40.0), ("door", None)}


@pytest.mark.parametrize(
    ("arguments", "gone"),
    [
        ((), {("door", 40.0), ("yard", 40.0)}),
        (("--days", "0.5"), {("door", 1.0), ("door", 40.0), ("yard", 40.0)}),
        (("--all-evidence",), {("door", 1.0), ("door", 40.0), ("yard", 40.0)}),
        (("--camera", "door"), {("door", 40.0)}),
        (("--camera", "shed"), set()),
    ],
)
def test_what_was_meant_goes(purge, kept, arguments, gone):
    outcome = purge("--yes", *arguments)
    assert outcome.exit_code == 0, outcome.output
    assert kept() == ALL - gone
    assert (f"{len(gone)} events" in outcome.output) == bool(gone)
    assert ("The evidence of ongoing events" in outcome.output) != bool(gone)  # explains why some evidence remains


def test_it_asks_before(purge, kept):
    outcome = purge(answer="n\n")
    assert (outcome.exit_code, kept()) == (1, ALL)
    assert "2 events" in outcome.output
    assert purge(answer="y\n").exit_code == 0
    assert len(kept()) == 3


def test_one_age_is_enough(purge, kept):
    assert purge("--all-evidence", "--days", "3").exit_code == 2
    assert kept() == ALL
