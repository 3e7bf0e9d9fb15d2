"""Atomic writes: a file is complete or absent, and has the right permissions."""

import os
import stat

import pytest

from stream_detect.errors import StorageError
from stream_detect.media.files import PART, put_folder, put_whole


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(("private", "mode"), [(True, 0o600), (False, 0o644)])
@pytest.mark.parametrize("exists", [False, True])
def test_permissions(tmp_path, private, mode, exists):
    file = tmp_path / "file"
    if exists:
        file.write_bytes(b"the earlier content")
        file.chmod(0o640)
    assert put_whole(file, lambda part: part.write_bytes(b"content"), private=private) == len(b"content")
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"content", mode)


@pytest.mark.parametrize("private", [True, False])
def test_a_failed_write_leaves_the_earlier_file_and_nothing_else(tmp_path, private):
    file = tmp_path / "file"
    file.write_bytes(b"the earlier content")

    def fails(part):
        part.write_bytes(b"half of the con")
        raise PermissionError(13, "Permission denied")

    with pytest.raises(StorageError, match="Permission denied"):
        put_whole(file, fails, private=private)
    assert file.read_bytes() == b"the earlier content"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_folder_replaces_another_one_or_leaves_it(tmp_path):
    new, to = tmp_path / "new", tmp_path / "to"
    for content in ("first", "second"):
        new.mkdir()
        (new / "file").write_text(content)
        put_folder(new, to)
        assert [each.name for each in tmp_path.iterdir()] == ["to"]
        assert (to / "file").read_text() == content
    with pytest.raises(FileNotFoundError):
        put_folder(new, to)
    assert [each.name for each in tmp_path.iterdir()] == ["to"]
    assert (to / "file").read_text() == "second"


def test_a_file_is_complete_before_it_gets_its_name(tmp_path):
    file = tmp_path / "file"

    def put(part):
        assert part.name == f".file{PART}"
        part.write_bytes(b"content")
        assert not file.exists()

    put_whole(file, put)
    assert file.read_bytes() == b"content"
