"""The manifest: accepted rows, and refused ones with their line."""

import pytest

from stream_detect.errors import DatasetError
from stream_detect.evaluation.manifest import read_manifest


@pytest.fixture
def written(tmp_path):
    def write(text, encoding="utf-8"):
        file = tmp_path / "m.csv"
        file.write_bytes(text.encode(encoding))
        return file

    return write


def test_rows_keep_their_order_and_further_columns(written):
    manifest = written("set,file,label,group\nold,a.jpg,real,g1\nnew,b/c.mp4, FAKE ,\n", "utf-8-sig")
    first, second = read_manifest(manifest, {}, "set")
    assert (first.line, first.file, first.label, first.fake, first.group) == (2, "a.jpg", "real", False, "g1")
    assert (second.line, second.label, second.fake, second.group) == (3, "fake", True, "b/c.mp4")
    assert second.columns["set"] == "new"


def test_rows_are_chosen_by_columns(written):
    manifest = written("file,label,split\na,real,val\nb,fake,train\nc,fake,val\n")
    assert [e.file for e in read_manifest(manifest, {"split": "val"}, None)] == ["a", "c"]
    with pytest.raises(DatasetError, match=r"rows in .*m.csv with split=test, received none"):
        read_manifest(manifest, {"split": "test"}, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the column file in .*m.csv, received an empty file"),
        ("file,set\na,b\n", "the column label in .*m.csv, received file, set"),
        ("file,label\n", "rows in .*m.csv, received none"),
        ("file,label\na,real\nb,maybe\n", r"real or fake in row 3 of .*m.csv \(b\), received 'maybe'"),
        ("file,label\na,real\nb\n", r"real or fake in row 3 .*received ''"),
        ("file,label\n,real\n", "below the root, relative to it, in row 2 .*received ''"),
        ("file,label\n/etc/passwd,real\n", "below the root, relative to it, in row 2"),
        ("file,label\n../a,real\n", "below the root, relative to it, in row 2"),
        ("file,label\na,real,b\n", "as many values as columns in row 2"),
        ("file,label\na,real\nb,real\n", r"real and fake files in .*received real ones only .*row 2"),
    ],
)
def test_what_makes_no_sense_is_reported_with_its_row(written, text, message):
    with pytest.raises(DatasetError, match=message):
        read_manifest(written(text), {}, None)


def test_a_missing_column_to_measure_by_is_reported(written):
    with pytest.raises(DatasetError, match="the column source in"):
        read_manifest(written("file,label\na,real\nb,fake\n"), {}, "source")


def test_no_table_is_reported(tmp_path, written):
    with pytest.raises(DatasetError, match=r"gone\.csv, but it cannot be read"):
        read_manifest(tmp_path / "gone.csv", {}, None)
    with pytest.raises(DatasetError, match="CSV in UTF-8"):
        read_manifest(written("file,label\nä,real\n", "latin-1"), {}, None)
