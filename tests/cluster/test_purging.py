"""`stream-detect purge` on the nodes of a cluster, which share a database and have files of their own."""

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
def nodes(tmp_path, postgresql, monkeypatch):
    """Two nodes with evidence of one event each; runs the command on one of them."""
    url, began_s = postgresql.new(), time.time() - DAY_S
    folders = {name: tmp_path / name for name in ("north", "south")}
    with Database.open(StorageSettings(database_url=url)) as database:
        for number, path in enumerate(folders.values()):
            name = f"{number:032x}-picture.jpg"
            path.mkdir()
            folder = EvidenceFolder.of(StorageSettings(folder=path), EvidenceSettings(min_free_bytes=0))
            folder.write(name, 4, lambda file: file.write_bytes(b"jpeg"))
            evidence = Evidence(picture=name, bytes=4)
            events = Events(database)
            events.begin(Event(f"{number:032x}", "door", "fake", began_s, began_s + 1, "why", evidence=evidence))

    def purge(node: str) -> tuple[str, list[str]]:
        """What it says, and the nodes that still have files."""
        monkeypatch.setenv("STREAM_DETECT_STORAGE__FOLDER", str(folders[node]))
        monkeypatch.setenv("STREAM_DETECT_STORAGE__DATABASE_URL", url)
        done = CliRunner().invoke(app, ["purge", "--all-evidence", "--yes"])
        assert done.exit_code == 0, done.output
        return done.output, [name for name, path in folders.items() if list((path / "evidence").iterdir())]

    return purge


def test_a_node_deletes_its_own_evidence_and_says_how_much_others_have(nodes):
    said, left = nodes("south")
    assert left == ["north"]
    assert "Deleted: 1 events" in said
    assert "evidence of 1 events is not in" in said
    said, left = nodes("north")
    assert left == []
    assert "Deleted: 1 events" in said
    assert "is not in" not in said
