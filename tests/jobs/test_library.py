"""The files of analyses: upload, our own names, sharing and clean-up; and how jobs yield to live streams."""

import errno
import hashlib
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from stream_detect.errors import BodyTooLargeError, DiskFullError, NotFoundError, StorageError
from stream_detect.jobs.incoming import MAX_NAME, IncomingFile, ReceivedFile, shown_name
from stream_detect.jobs.library import ORIGINAL, RESULTS, Library, flagged_name
from stream_detect.jobs.progress import MAX_REST_S, RestBesideLive
from stream_detect.settings import ReviewSettings
from tests.files import files_in

ONE, TWO = "1" * 32, "2" * 32


@pytest.fixture
def library(tmp_path) -> Library:
    return Library(tmp_path / "analyses", ReviewSettings(min_free_bytes=0, max_upload_bytes=1000))


def take(library: Library, analysis_id: str, content: bytes = b"abc") -> ReceivedFile:
    incoming = library.incoming("a.mp4")
    incoming.write(content)
    received = incoming.finish()
    library.take(received, analysis_id)
    return received


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in files_in(folder))


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("clip.mp4", "clip.mp4"),
        ("../../etc/passwd", "passwd"),
        (r"C:\Users\x\clip.mp4", "clip.mp4"),
        ("a\0b\r\nc\x1b[31m.mp4", "ab c[31m.mp4"),
        ("cod\u202e4pm.exe", "cod4pm.exe"),
        ("  a \t b  ", "a b"),
        ("\ud800x", "x"),
        ("Ünïcödé 映像.webm", "Ünïcödé 映像.webm"),
        ("", "unnamed"),
        ("..", ".."),
        ("x/", "unnamed"),
        ("n" * 5000, "n" * MAX_NAME),
    ],
)
def test_names_are_shown_without_what_hides_or_turns(sent, shown):
    assert shown_name(sent) == shown


def test_a_received_file_has_its_length_and_sha256(library, tmp_path):
    received = take(library, ONE, b"x" * 700)
    assert (received.bytes, received.sha256) == (700, hashlib.sha256(b"x" * 700).hexdigest())
    assert library.path(ONE, ORIGINAL).read_bytes() == b"x" * 700
    assert library.path(ONE, ORIGINAL).stat().st_mode & 0o077 == 0
    assert files(tmp_path / "analyses") == [f"{ONE}/original"]
    assert (tmp_path / "analyses").stat().st_mode & 0o077 == 0
    assert (tmp_path / "analyses" / ONE).stat().st_mode & 0o077 == 0


def test_a_too_large_file_is_refused_while_it_arrives(library, tmp_path):
    incoming = library.incoming("a.mp4")
    incoming.write(b"x" * 1000)
    with pytest.raises(BodyTooLargeError, match=r"0\.001 MB \(review.max_upload_bytes\), a.mp4 is longer"):
        incoming.write(b"x")
    incoming.discard()
    assert files(tmp_path) == []


def test_no_room_is_reported_before_the_disk_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5_000_000))
    library = Library(tmp_path / "analyses", ReviewSettings(min_free_bytes=6_000_000))
    incoming = library.incoming("a.mp4")
    with pytest.raises(DiskFullError, match=r"5 MB are free, 6 MB must stay free \(review.min_free_bytes\)"):
        incoming.write(b"x")
    incoming.discard()
    with pytest.raises(DiskFullError):
        library.write(ONE, RESULTS, lambda path: path.write_bytes(b"{}"))


def test_a_disk_that_is_full_is_distinguished_from_one_that_cannot_be_written(tmp_path):
    incoming = IncomingFile("a", tmp_path / "a", 1000, lambda: None)
    incoming._file.close()
    full = os.open("/dev/full", os.O_WRONLY)
    incoming._file = os.fdopen(full, "wb", buffering=0)
    with pytest.raises(DiskFullError, match="the disk with"):
        incoming.write(b"x")
    incoming.discard()
    with pytest.raises(StorageError):
        IncomingFile("a", tmp_path / "absent" / "a", 1000, lambda: None)


def test_a_written_file_is_complete_or_absent(library, tmp_path):
    take(library, ONE)

    def half(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(DiskFullError):
        library.write(ONE, RESULTS, half)
    assert files(tmp_path / "analyses" / ONE) == ["original"]
    with pytest.raises(StorageError):  # deleted files do not come back
        library.write(TWO, RESULTS, lambda path: path.write_bytes(b"{}"))
    assert not (tmp_path / "analyses" / TWO).exists()


def test_a_file_that_is_not_there_is_not_found(library):
    take(library, ONE)
    for analysis_id, name in ((ONE, RESULTS), (TWO, ORIGINAL), (ONE, flagged_name(0, 1))):
        with pytest.raises(NotFoundError):
            library.path(analysis_id, name)


@pytest.mark.parametrize("links", [True, False])
def test_shared_files_outlive_either_of_the_two(library, monkeypatch, links):
    if not links:

        def none(*_: object) -> None:
            raise OSError(errno.EPERM, "no links here")

        monkeypatch.setattr(os, "link", none)
    for analysis_id in (ONE, TWO):
        take(library, analysis_id)
    library.write(ONE, flagged_name(0, 1), lambda path: path.write_bytes(b"jpeg"))
    library.write(ONE, RESULTS, lambda path: path.write_bytes(b"{}"))
    library.write(ONE, "annotated-0.mp4", lambda path: path.write_bytes(b"mp4"))
    library.share(ONE, TWO)
    library.delete(ONE)
    library.delete(ONE)
    assert library.path(TWO, flagged_name(0, 1)).read_bytes() == b"jpeg"
    assert library.path(TWO, ORIGINAL).read_bytes() == b"abc"
    assert library.bytes_of(TWO) == 7
    with pytest.raises(StorageError):
        library.share(ONE, TWO)


def test_a_start_removes_files_without_an_owner(library, tmp_path):
    take(library, ONE)
    take(library, TWO)
    half = library.incoming("a.mp4")
    half.write(b"half")
    half.finish()
    (tmp_path / "analyses" / ONE / ".results.json.part").write_bytes(b"half")
    library.sweep({ONE})
    assert files(tmp_path / "analyses") == [f"{ONE}/original"]
    Library(tmp_path / "nothing here", ReviewSettings()).sweep(())


def test_a_start_leaves_alone_what_is_not_its_own(library, tmp_path):
    take(library, ONE)
    (tmp_path / "analyses" / "lost+found").mkdir()
    (tmp_path / "analyses" / "lost+found" / "#12").write_bytes(b"")
    (tmp_path / "analyses" / ".nfs0001").write_bytes(b"")
    library.sweep(())
    assert files(tmp_path / "analyses") == [".nfs0001", "lost+found/#12"]


class Rests:
    """A stop event that records how long it was waited for, and advances the clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.rested_s: list[float] = []

    def wait(self, timeout_s: float) -> bool:
        self.rested_s.append(timeout_s)
        self.now_s += timeout_s
        return False


@pytest.mark.parametrize(
    ("busy", "share", "worked_s", "rest_s"),
    [
        (True, 0.25, 0.1, 0.3),
        (True, 0.5, 0.1, 0.1),
        (True, 1.0, 0.1, 0.0),
        (True, 0.1, 100.0, MAX_REST_S),
        (False, 0.1, 0.1, None),
    ],
)
def test_while_streams_are_live_a_job_works_its_share_of_the_time(busy, share, worked_s, rest_s):
    rests = Rests()
    pace = RestBesideLive(lambda: busy, share, rests.wait, lambda: rests.now_s)
    for _ in range(3):
        rests.now_s += worked_s
        pace.give_way()
    assert rests.rested_s == ([] if rest_s is None else pytest.approx([rest_s] * 3))


def test_who_is_live_is_asked_twice_a_second():
    rests, asked = Rests(), []
    pace = RestBesideLive(lambda: bool(asked.append(rests.now_s)), 0.25, rests.wait, lambda: rests.now_s)
    for _ in range(100):
        rests.now_s += 0.02
        pace.give_way()
    assert len(asked) in {4, 5}
