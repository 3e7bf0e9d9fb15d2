"""The table and the crops of labelled faces: good data, and an error for every kind of bad data."""

import os
import time

import numpy as np
import pytest

from stream_detect.errors import DatasetError
from stream_detect.evaluation import crops
from stream_detect.evaluation.crops import cache_key, load_faces, load_joined
from stream_detect.evaluation.dataset import read_table
from stream_detect.evaluation.manifest import LABELS, SPLITS
from stream_detect.types import CropPolicy

POLICY = CropPolicy((64, 64))


def test_a_split_gives_its_faces_cut_by_the_policy(training_data, tmp_path):
    faces = load_faces(training_data.write(), "train", POLICY, tmp_path / "cache")
    assert faces.crops.shape == (8, 64, 64, 3)
    assert faces.crops.dtype == np.uint8
    assert sorted(row.file for row in faces.rows) == sorted(row[0] for row in training_data.rows if row[4] == "train")
    assert faces.fake.sum() == 4
    assert set(faces.groups) == {f"train{i}" for i in range(4)}
    assert set(faces.sources) == {"astronaut"}


def test_the_face_is_cut_where_serving_would_cut_it(training_data, face, tmp_path):
    faces = load_faces(training_data.write(), "val", CropPolicy((64, 64)), tmp_path / "cache")
    darker, brighter = (faces.crops[[row.file for row in faces.rows].index(f"real/val{i}.jpg")] for i in (0, 3))
    assert brighter.mean() > darker.mean() * 1.2  # rows and crops match
    # The nose tip, of the brightest skin, is in the middle: the middle is face, the lower corner is the orange suit.
    middle = brighter[28:36, 28:36].mean(axis=(0, 1))
    assert middle[0] > middle[2] > 60


def test_a_picture_without_a_face_is_left_out_and_reported(training_data, tmp_path):
    training_data.add(np.full((224, 224, 3), 90, np.uint8), "real/train_wall.jpg", "wall")
    faces = load_faces(training_data.write(), "train", POLICY, tmp_path / "cache")
    assert faces.not_found == ("real/train_wall.jpg",)
    assert len(faces.rows) == len(faces.crops) == 8


def test_the_second_time_comes_from_the_cache(training_data, tmp_path, monkeypatch):
    path, calls = training_data.write(), []
    first = load_faces(path, "val", POLICY, tmp_path / "cache", lambda *done: calls.append(done))
    assert calls[-1] == (8, 8)
    monkeypatch.setattr(crops, "Cutter", None)  # cutting crops again would fail
    second = load_faces(path, "val", POLICY, tmp_path / "cache")
    assert np.array_equal(first.crops, second.crops)
    assert first.rows == second.rows


def test_two_commands_may_cut_the_same_faces_at_once(training_data, tmp_path):
    path, others = training_data.write(), []

    def meanwhile(done: int, _total: int) -> None:
        if done == 4:
            others.append(load_faces(path, "val", POLICY, tmp_path / "cache"))

    first = load_faces(path, "val", POLICY, tmp_path / "cache", meanwhile)
    assert np.array_equal(first.crops, others[0].crops)
    (cache,) = (tmp_path / "cache").iterdir()
    assert sorted(each.name for each in cache.iterdir()) == ["val.json", "val.npy"]
    (cache / "val.npy").unlink()  # to save space: cut again
    assert np.array_equal(load_faces(path, "val", POLICY, tmp_path / "cache").crops, others[0].crops)


def test_crops_that_a_killed_command_left_are_deleted(training_data, tmp_path):
    path = training_data.write()
    cache = tmp_path / "cache" / cache_key(read_table(path), POLICY)
    cache.mkdir(parents=True)
    for name, age_s in (("killed.part", 7200), ("running.part", 60)):
        (cache / name).touch()
        os.utime(cache / name, (time.time() - age_s,) * 2)
    load_faces(path, "val", POLICY, tmp_path / "cache")
    assert sorted(each.name for each in cache.iterdir()) == ["running.part", "val.json", "val.npy"]


def test_another_table_or_policy_is_cut_again(training_data, tmp_path):
    path = training_data.write()
    before = cache_key(read_table(path), POLICY)
    assert cache_key(read_table(path), CropPolicy((64, 64), side_factor=2.0)) != before
    training_data.rows.pop()
    training_data.write()
    assert cache_key(read_table(path), POLICY) != before


def test_an_interrupted_run_leaves_no_valid_cache(training_data, face, tmp_path):
    training_data.tars["val-fake.tar"]["fake/val3.jpg"] = b"not a picture"
    with pytest.raises(DatasetError, match=r"but row \d+ \(fake/val3\.jpg\) cannot be decoded"):
        load_faces(training_data.write(), "val", POLICY, tmp_path / "cache")
    training_data.rows = [row for row in training_data.rows if row[0] != "fake/val3.jpg"]
    assert len(load_faces(training_data.write(), "val", POLICY, tmp_path / "cache").rows) == 7


def test_no_folder(tmp_path):
    with pytest.raises(DatasetError, match=r"faces\.csv"):
        read_table(tmp_path)


def test_missing_tar_is_named(training_data, tmp_path):
    path = training_data.write()
    (path / "val-fake.tar").unlink()
    with pytest.raises(DatasetError, match=r"val-fake\.tar"):
        load_faces(path, "val", POLICY, tmp_path / "cache")


def test_something_else_than_a_tar_is_named(training_data, tmp_path):
    path = training_data.write()
    (path / "val-real.tar").write_bytes(b"x" * 2000)
    with pytest.raises(DatasetError, match=r"val-real\.tar"):
        load_faces(path, "val", POLICY, tmp_path / "cache")


def test_picture_that_no_tar_holds_is_named(training_data, tmp_path):
    del training_data.tars["train-real.tar"]["real/train2.jpg"]
    with pytest.raises(DatasetError, match=r"1 more pictures .*train-real\.tar, row 4 \(real/train2\.jpg\)"):
        load_faces(training_data.write(), "train", POLICY, tmp_path / "cache")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [(3, "val0", "val0 is in both"), (1, "maybe", "'maybe'"), (4, "test", "'test'")],
    ids=["group in both splits", "unknown label", "unknown split"],
)
def test_bad_row_is_reported(training_data, column, value, message):
    training_data.rows[0][column] = value
    with pytest.raises(DatasetError, match=message):
        read_table(training_data.write())


def test_one_class_only_is_reported(training_data):
    training_data.rows = [row for row in training_data.rows if not row[0].startswith("fake/val")]
    with pytest.raises(DatasetError, match=r"split val .*received 4 real and 0 fake"):
        read_table(training_data.write())


def test_missing_column_is_reported(tmp_path):
    (tmp_path / "faces.csv").write_text("file,source\na.jpg,real\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="the column label"):
        read_table(tmp_path)


def test_tars_need_their_splits_in_the_table(training_data):
    training_data.rows[3][4] = ""
    with pytest.raises(DatasetError, match="column split of every row"):
        read_table(training_data.write())


def test_several_tables_are_read_as_one(training_data, face, tmp_path):
    first = training_data.write()
    second = type(training_data)(tmp_path / "more", face).write()
    whole = load_joined([first, second], "train", POLICY, tmp_path / "cache")
    alone = load_faces(first, "train", POLICY, tmp_path / "cache")
    assert whole.crops.shape == (16, 64, 64, 3)
    assert len(whole.crops) == len(whole.rows) == 16
    assert whole.tables == (first / "faces.csv", second / "faces.csv")
    assert np.array_equal(whole.crops[:8], alone.crops)
    assert np.array_equal(whole.crops[-1], alone.crops[-1])  # both tables are alike
    assert np.array_equal(whole.crops[6:11:2], np.stack([alone.crops[6], alone.crops[0], alone.crops[2]]))
    assert whole.crops[3:3].shape == (0, 64, 64, 3)
    with pytest.raises(IndexError):
        whole.crops[16]


def test_a_group_in_both_splits_of_two_tables_is_reported(training_data, face, tmp_path):
    first = training_data.write()
    other = type(training_data)(tmp_path / "more", face)
    other.rows = [[*row[:3], "train0" if row[3] == "val0" else row[3], row[4]] for row in other.rows]
    other.rows = [row for row in other.rows if not (row[3] == "train0" and row[4] == "train")]
    with pytest.raises(
        DatasetError, match=r"train0 is in split train of .*faces/faces\.csv and in split val of .*more"
    ):
        load_joined([first, other.write()], "train", POLICY, tmp_path / "cache")


@pytest.mark.parametrize(
    ("source", "column", "family"),
    [("dfdc", "", "dfdc"), ("sdfd_sd21", "none", "diffusion"), ("mine", "", "mine"), ("dfdc", "swap", "swap")],
)
def test_a_fake_s_family_is_the_table_s_or_that_of_its_source(source, column, family, tmp_path):
    rows = [f"{split}{label}.jpg,{label},{source},{split},{column}" for split in SPLITS for label in LABELS]
    (tmp_path / "faces.csv").write_text("\n".join(["file,label,source,split,family", *rows]), encoding="utf-8")
    found = {(each.row.label, each.row.family) for each in read_table(tmp_path).listed}
    assert found == {("real", ""), ("fake", family)}
