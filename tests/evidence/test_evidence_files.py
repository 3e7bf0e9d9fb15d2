"""Evidence files: complete or absent, accessible only by their names, deleted in time."""

import errno
import os
from pathlib import Path

import pytest

from stream_detect.errors import DiskFullError, NotFoundError
from stream_detect.evidence.folder import EvidenceFolder
from stream_detect.evidence.retention import purge
from stream_detect.storage.events import Events
from stream_detect.storage.records import Evidence
from tests.scenes import WALL_S, kept


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path):
    folder = EvidenceFolder(tmp_path / "evidence", 0)

    def half(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DiskFullError, match="the disk with"):
        folder.write("a-picture.jpg", 4, half)
    assert list((tmp_path / "evidence").iterdir()) == []
    with pytest.raises(NotFoundError):
        folder.path("a-picture.jpg")
    assert folder.write("a-picture.jpg", 5, lambda path: path.write_bytes(b"whole") and None) == 5
    assert folder.path("a-picture.jpg").read_bytes() == b"whole"


def test_a_file_gets_its_name_when_it_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The order of writes survives a SIGKILL and a power failure."""
    done = []
    fsync, replaced = os.fsync, Path.replace

    def flushed(handle: int) -> None:
        done.append(("flushed", Path(f"/proc/self/fd/{handle}").readlink().name))
        fsync(handle)

    def named(path: Path, target: Path) -> Path:
        done.append(("named", target.name))
        return replaced(path, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", named)
    folder = EvidenceFolder(tmp_path / "evidence", 0)
    folder.write("a-picture.jpg", 5, lambda path: path.write_bytes(b"whole") and None)
    assert done == [("flushed", ".a-picture.jpg.part"), ("named", "a-picture.jpg"), ("flushed", "evidence")]


@pytest.mark.parametrize(
    "name", ["../stream-detect.sqlite3", "/etc/passwd", "..", ".", "", ".hidden", "sub/file", "none"]
)
def test_no_other_file_is_given_away(tmp_path: Path, name: str):
    folder = tmp_path / "evidence"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file").touch()
    (folder / ".hidden").touch()
    (tmp_path / "stream-detect.sqlite3").touch()
    with pytest.raises(NotFoundError):
        EvidenceFolder(folder, 0).path(name)
    EvidenceFolder(folder, 0).delete(Evidence(picture=name))
    assert (folder / "sub" / "file").exists()
    assert (tmp_path / "stream-detect.sqlite3").exists()


def test_retention_deletes_old_evidence(events: Events, tmp_path: Path):
    folder = tmp_path / "evidence"
    old, new = (kept(events, folder, WALL_S + begin, 1000) for begin in (0, 100))
    gone = purge(EvidenceFolder(folder, 0).delete, events, WALL_S + 50, 10**9)
    assert (gone.events, gone.bytes) == (1, 1000)
    assert [path.name for path in folder.iterdir()] == [new.evidence.picture]
    assert events.get(old.id).evidence == Evidence(problem="evidence was deleted: it was too old (evidence.days)")
    assert events.get(new.id).evidence == new.evidence


def test_retention_deletes_the_oldest_beyond_a_size(events: Events, tmp_path: Path):
    folder = tmp_path / "evidence"
    ones = [kept(events, folder, WALL_S + begin, 1000) for begin in range(125)]
    assert purge(EvidenceFolder(folder, 0).delete, events, WALL_S - 1, 125_000).events == 0
    gone = purge(EvidenceFolder(folder, 0).delete, events, WALL_S - 1, 20_000)
    assert gone.events == 107, "down to nine tenths, so that not each event deletes another one"
    assert {path.name for path in folder.iterdir()} == {one.evidence.picture for one in ones[107:]}
    assert events.evidence_bytes() == 18_000
    assert purge(EvidenceFolder(folder, 0).delete, events, WALL_S + 1e6, 100_000).events == 18
    assert list(folder.iterdir()) == []
