"""A folder of the user's own pictures and videos: the face crops, and an error for every kind of bad file."""

import csv
import os
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from stream_detect.errors import DatasetError
from stream_detect.evaluation.crops import FRAMES_A_VIDEO, cache_key, load_faces
from stream_detect.evaluation.dataset import read_table
from stream_detect.evaluation.media import spread
from stream_detect.types import CropPolicy

POLICY = CropPolicy((32, 32))
PHOTO = np.ascontiguousarray(astronaut()[:400, :400])


def write_video(file, images, form="mp4"):
    with av.open(str(file), "w", format=form) as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, 10)
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture
def own(tmp_path):
    """Writes a table, and a picture for each row without a file; by default two rows of each split and label."""

    def write(rows=None, columns=("file", "label", "split")):
        rows = rows or [(f"{s}-{k}{i}.png", k, s) for s in ("train", "val") for k in ("real", "fake") for i in range(2)]
        for file, *_ in rows:
            if file and not (tmp_path / file).exists():
                cv2.imwrite(str(tmp_path / file), PHOTO[..., ::-1])
        with (tmp_path / "faces.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([columns, *rows])
        return tmp_path

    return write


def test_a_video_gives_crops_spread_over_it_and_pictures_one_each(own, tmp_path):
    shades = [(PHOTO * (0.5 + 0.02 * i)).astype(np.uint8) for i in range(24)]
    write_video(tmp_path / "train-real0.png", shades)  # recognised by its content
    faces = load_faces(own(), "train", POLICY, tmp_path / "cache")
    of_video = [row.file == "train-real0.png" for row in faces.rows]
    assert sum(of_video) == FRAMES_A_VIDEO
    assert len(faces.rows) == len(faces.crops) == FRAMES_A_VIDEO + 3
    light = faces.crops[of_video].mean(axis=(1, 2, 3))
    assert (np.diff(light) > 0).all()
    assert light[-1] > 1.6 * light[0]  # the first frame has .5 of the light, the 22nd .92
    assert {row.group for row, yes in zip(faces.rows, of_video, strict=True) if yes} == {"train-real0.png"}
    assert set(faces.sources) == {"own"}


def test_a_table_may_be_named_itself(own, tmp_path):
    (own() / "faces.csv").rename(tmp_path / "mine.csv")
    assert len(load_faces(tmp_path / "mine.csv", "val", POLICY, tmp_path / "cache").rows) == 4


@pytest.mark.parametrize(("n", "form", "given"), [(24, "h264", 8), (24, "mp4", 8), (3, "mp4", 3), (1, "mp4", 1)])
def test_videos_without_a_length_and_short_ones(tmp_path, n, form, given):
    file = tmp_path / "a"
    write_video(file, [np.full((64, 64, 3), 10 * i, np.uint8) for i in range(n)], form)
    means = [image.mean() for image in spread(file, 8)]
    assert len(means) == given
    assert n < 8 or means[-1] - means[0] > 180  # over its full length


def test_a_file_without_a_face_is_counted(own, tmp_path):
    cv2.imwrite(str(tmp_path / "val-real0.png"), np.full((90, 90, 3), 90, np.uint8))
    assert load_faces(own(), "val", POLICY, tmp_path / "cache").not_found == ("val-real0.png",)


def test_groups_are_split_without_being_asked_and_stay_where_they_were(own):
    rows = [(f"{i}.png", ("real", "fake")[i % 2], f"g{i // 2}") for i in range(160)]
    table = own_table(own, rows)
    split = {each.row.group: each.row.split for each in table.listed}
    assert len(split) == 80
    assert 2 <= sum(value == "val" for value in split.values()) <= 16
    fewer = own_table(own, rows[: len(rows) // 2])
    assert all(split[each.row.group] == each.row.split for each in fewer.listed)


def own_table(own, rows):
    folder = own([("a.png", "real", "")])
    with (folder / "faces.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("file", "label", "group"), *rows])
    return read_table(folder)


def test_a_row_without_a_split_follows_its_group(own):
    both = [(f"{s}{k}.png", k, s, f"{s}{k}") for s in ("train", "val") for k in ("real", "fake")]
    rows = [*both, *((f"more{i}.png", "fake", "", "valreal") for i in range(3))]
    assert len(read_table(own(rows, ("file", "label", "split", "group"))).of("val")) == 5


def test_a_changed_file_is_cut_again(own):
    folder = own()
    before = cache_key(read_table(folder), POLICY)
    assert cache_key(read_table(folder), POLICY) == before
    os.utime(folder / "val-real1.png", (1, 1))
    assert cache_key(read_table(folder), POLICY) != before


@pytest.mark.parametrize(
    ("name", "content"), [("val-real1.png", b"no picture"), ("val-real1.png", b"\x89PNG cut"), ("val-real1.png", b"")]
)
def test_a_broken_file_is_named_with_its_row(own, tmp_path, name, content):
    (tmp_path / name).write_bytes(content or b"")
    with pytest.raises(DatasetError, match=r"row 7 \(val-real1\.png\) cannot be decoded.*remove its row"):
        load_faces(own(), "val", POLICY, tmp_path / "cache")


def test_a_missing_file_and_a_folder_are_named_with_their_rows(own, tmp_path):
    folder = own()
    (folder / "val-fake0.png").unlink()
    with pytest.raises(DatasetError, match=r"val-fake0\.png, named in row 8 of .*faces\.csv: No such file"):
        load_faces(folder, "train", POLICY, tmp_path / "cache")
    (folder / "val-fake0.png").mkdir()
    with pytest.raises(DatasetError, match=r"row 8 of .*is not a file"):
        load_faces(folder, "train", POLICY, tmp_path / "cache")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a.png", "maybe", "val")], r"real or fake in row 2 .*'maybe'"),
        ([("a.png", "real", "test")], r"train or val in row 2 .*'test'"),
        ([("a.png", "real", "train"), ("a.png", "fake", "train")], r"once; row 3 \(a\.png\) stands in row 2 too"),
        ([("a.png", "real", "train"), ("b.png", "fake", "train")], r"split val .*0 real and 0 fake .*column split"),
        ([("../a.png", "real", "val")], r"below the root, relative to it, in row 2"),
    ],
)
def test_bad_rows_are_reported(own, tmp_path, rows, message):
    (tmp_path / "in").mkdir()
    folder = own([("x.png", "real", "val")])
    with (folder / "faces.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("file", "label", "split"), *rows])
    with pytest.raises(DatasetError, match=message):
        read_table(folder)


def test_an_empty_table_is_reported(tmp_path):
    (tmp_path / "faces.csv").write_text("file,label\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="received 0 real and 0 fake"):
        read_table(tmp_path)
