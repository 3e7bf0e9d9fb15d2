"""The training data: what a good folder gives, and what each kind of broken folder is told."""

import numpy as np
import pytest

from stream_detect.errors import DatasetError
from stream_detect.evaluation import crops
from stream_detect.evaluation.crops import cache_key, load_faces
from stream_detect.evaluation.dataset import read_table
from stream_detect.types import CropPolicy

POLICY = CropPolicy((64, 64))


def test_a_split_gives_its_faces_cut_by_the_policy(folder, tmp_path):
    faces = load_faces(folder.write(), "train", POLICY, tmp_path / "cache")
    assert faces.crops.shape == (8, 64, 64, 3)
    assert faces.crops.dtype == np.uint8
    assert sorted(row.file for row in faces.rows) == sorted(row[0] for row in folder.rows if row[4] == "train")
    assert faces.fake.sum() == 4
    assert set(faces.groups) == {f"train{i}" for i in range(4)}
    assert set(faces.sources) == {"astronaut"}


def test_the_face_is_cut_where_serving_would_cut_it(folder, face, tmp_path):
    faces = load_faces(folder.write(), "val", CropPolicy((64, 64)), tmp_path / "cache")
    darker, brighter = (faces.crops[[row.file for row in faces.rows].index(f"real/val{i}.jpg")] for i in (0, 3))
    assert brighter.mean() > darker.mean() * 1.2  # rows and crops are not mixed up
    # The nose tip, of the brightest skin, is in the middle: the middle is face, the lower corner is the orange suit.
    middle = brighter[28:36, 28:36].mean(axis=(0, 1))
    assert middle[0] > middle[2] > 60


def test_a_picture_without_a_face_is_left_out_and_told(folder, tmp_path):
    folder.add(np.full((224, 224, 3), 90, np.uint8), "real/train_wall.jpg", "wall")
    faces = load_faces(folder.write(), "train", POLICY, tmp_path / "cache")
    assert faces.not_found == ("real/train_wall.jpg",)
    assert len(faces.rows) == len(faces.crops) == 8


def test_the_second_time_comes_from_the_cache(folder, tmp_path, monkeypatch):
    path, calls = folder.write(), []
    first = load_faces(path, "val", POLICY, tmp_path / "cache", lambda *done: calls.append(done))
    assert calls[-1] == (8, 8)
    monkeypatch.setattr(crops, "Cutter", None)  # cutting again would fail
    second = load_faces(path, "val", POLICY, tmp_path / "cache")
    assert np.array_equal(first.crops, second.crops)
    assert first.rows == second.rows


def test_another_table_or_policy_is_cut_anew(folder, tmp_path):
    path = folder.write()
    before = cache_key(read_table(path), POLICY)
    assert cache_key(read_table(path), CropPolicy((64, 64), side_factor=2.0)) != before
    folder.rows.pop()
    folder.write()
    assert cache_key(read_table(path), POLICY) != before


def test_a_run_broken_off_leaves_no_cache_that_counts(folder, face, tmp_path):
    folder.tars["val-fake.tar"]["fake/val3.jpg"] = b"not a picture"
    with pytest.raises(DatasetError, match=r"cannot decode row \d+ \(fake/val3\.jpg\)"):
        load_faces(folder.write(), "val", POLICY, tmp_path / "cache")
    folder.rows = [row for row in folder.rows if row[0] != "fake/val3.jpg"]
    assert len(load_faces(folder.write(), "val", POLICY, tmp_path / "cache").rows) == 7


def test_no_folder(tmp_path):
    with pytest.raises(DatasetError, match=r"faces\.csv"):
        read_table(tmp_path)


def test_missing_tar_is_named(folder, tmp_path):
    path = folder.write()
    (path / "val-fake.tar").unlink()
    with pytest.raises(DatasetError, match=r"val-fake\.tar"):
        load_faces(path, "val", POLICY, tmp_path / "cache")


def test_something_else_than_a_tar_is_named(folder, tmp_path):
    path = folder.write()
    (path / "val-real.tar").write_bytes(b"x" * 2000)
    with pytest.raises(DatasetError, match=r"val-real\.tar"):
        load_faces(path, "val", POLICY, tmp_path / "cache")


def test_picture_that_no_tar_holds_is_named(folder, tmp_path):
    del folder.tars["train-real.tar"]["real/train2.jpg"]
    with pytest.raises(DatasetError, match=r"1 more pictures .*train-real\.tar, row 4 \(real/train2\.jpg\)"):
        load_faces(folder.write(), "train", POLICY, tmp_path / "cache")


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [(3, "val0", "val0 is in both"), (1, "maybe", "'maybe'"), (4, "test", "'test'")],
    ids=["group in both splits", "unknown label", "unknown split"],
)
def test_bad_row_is_told(folder, column, value, told):
    folder.rows[0][column] = value
    with pytest.raises(DatasetError, match=told):
        read_table(folder.write())


def test_one_class_only_is_told(folder):
    folder.rows = [row for row in folder.rows if not row[0].startswith("fake/val")]
    with pytest.raises(DatasetError, match=r"split val .*received 4 real and 0 fake"):
        read_table(folder.write())


def test_missing_column_is_told(tmp_path):
    (tmp_path / "faces.csv").write_text("file,source\na.jpg,real\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="the column label"):
        read_table(tmp_path)


def test_tars_need_their_splits_in_the_table(folder):
    folder.rows[3][4] = ""
    with pytest.raises(DatasetError, match="column split of every row"):
        read_table(folder.write())
