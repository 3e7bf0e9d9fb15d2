"""Files: recognised by content, found in folders and tars, sampled as in a live check, or refused with a reason."""

import io
import socket
import struct
import tarfile

import cv2
import numpy as np
import pytest

from stream_detect.errors import DatasetError, MediaError
from stream_detect.evaluation.media import Files, frames, sampled
from stream_detect.sources.stills import decode_still, is_still


@pytest.mark.parametrize("kind", [".jpg", ".png", ".bmp", ".tiff", ".webp", ".ppm"])
def test_pictures_are_recognised_by_their_content(folder, crop, kind):
    folder.picture(f"a{kind}", crop, "real")
    (folder.root / f"a{kind}").rename(folder.root / "a.mp4")
    loaded = Files(folder.root).load("a.mp4")
    assert loaded.shape == crop.shape
    assert np.abs(loaded.astype(int) - crop).mean() < 4  # red stays red


def test_a_video_called_jpg_is_a_video(folder, crop):
    folder.video("a.mp4", [crop] * 3, "real")
    (folder.root / "a.mp4").rename(folder.root / "a.jpg")
    loaded = Files(folder.root).load("a.jpg")
    assert not isinstance(loaded, np.ndarray)
    (first, _, _) = frames(loaded)
    assert np.abs(first.image.astype(int) - crop).mean() < 8


def test_a_video_from_a_phone_held_upright_is_turned(folder, crop):
    # The camera's picture is rotated; the matrix in the track header says to turn it clockwise.
    folder.video("a.mp4", [np.ascontiguousarray(np.rot90(crop))] * 2, "real")
    content = bytearray((folder.root / "a.mp4").read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 224 << 16, 0, 1 << 30)
    (folder.root / "a.mp4").write_bytes(content)
    (first, _) = frames(folder.root / "a.mp4")
    assert np.abs(first.image.astype(int) - crop).mean() < 8


def test_frames_are_sampled_by_stream_time(folder, crop):
    folder.video("a.mp4", [crop] * 20, "real")
    times = [frame.time_s for frame in sampled(frames(folder.root / "a.mp4"), 5)]
    assert len(times) == 10
    assert np.diff(times) == pytest.approx(0.2)


def test_files_may_lie_in_tars(folder, crop):
    folder.picture("a.png", crop, "real")
    folder.video("b.mp4", [crop] * 4, "real")
    with tarfile.open(folder.root / "some.tar", "w") as tar:
        for name in ("a.png", "b.mp4"):
            tar.add(folder.root / name, f"in/{name}")
    files = Files(folder.root)
    assert np.array_equal(files.load("in/a.png"), crop)
    assert isinstance(video := files.load("in/b.mp4"), io.BytesIO)
    assert len(list(frames(video))) == 4


def test_a_file_of_several_tars_is_read_from_the_one_of_its_row(folder, crop):
    for tar_name, shade in (("train-real", 1.0), ("val-fake", 0.5)):
        folder.picture("a.png", (crop * shade).astype(np.uint8), "real")
        with tarfile.open(folder.root / f"{tar_name}.tar", "w") as tar:
            tar.add(folder.root / "a.png", "in/a.png")
    files = Files(folder.root)
    assert np.array_equal(files.load("in/a.png", "train-real.tar"), crop)
    assert np.array_equal(files.load("in/a.png", "val-fake.tar"), (crop * 0.5).astype(np.uint8))
    with pytest.raises(MediaError, match=r"in several tars: train-real\.tar, val-fake\.tar"):
        files.load("in/a.png", "-real.tar")


def test_missing_and_damaged_files_have_a_reason(folder, crop):
    folder.picture("cut.jpg", crop, "real")
    folder.video("cut.mp4", [crop] * 10, "real")
    for name in ("cut.jpg", "cut.mp4"):
        (folder.root / name).write_bytes((folder.root / name).read_bytes()[:100])
    (folder.root / "empty").touch()
    files = Files(folder.root)
    with pytest.raises(MediaError, match="file is missing"):
        files.load("gone.jpg")
    with pytest.raises(MediaError, match="picture cannot be decoded"):
        files.load("cut.jpg")
    for name in ("cut.mp4", "empty"):
        with pytest.raises(MediaError, match="neither a picture nor a video"):
            list(frames(files.load(name)))


def test_a_video_damaged_on_the_way_is_seen_that_far(folder, crop):
    rng = np.random.default_rng(1)
    noisy = [np.clip(crop + rng.normal(0, 20, crop.shape), 0, 255).astype(np.uint8) for _ in range(30)]
    folder.video("a.mkv", noisy, "real")
    content = (folder.root / "a.mkv").read_bytes()
    (folder.root / "a.mkv").write_bytes(content[: len(content) // 2])
    assert 5 < len(list(frames(folder.root / "a.mkv"))) < 30


def test_a_playlist_fetches_nothing(folder):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        (folder.root / "list.m3u8").write_text(f"#EXTM3U\n#EXTINF:1,\n{address}\n#EXT-X-ENDLIST\n", encoding="utf-8")
        with pytest.raises(MediaError):
            list(frames(folder.root / "list.m3u8"))
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_no_root_and_a_broken_tar_are_reported(tmp_path):
    with pytest.raises(DatasetError, match="correct --root"):
        Files(tmp_path / "gone")
    (tmp_path / "bad.tar").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match=r"bad\.tar"):
        Files(tmp_path).index()


def test_an_exif_turn_is_followed(crop):
    encoded = cv2.imencode(".jpg", np.ascontiguousarray(crop[:100, ::-1]))[1].tobytes()
    # APP1 with one entry: orientation 6, "turn right".
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"
    body = b"Exif\0\0MM\0*\0\0\0\x08\x00\x01" + entry + b"\0\0\0\0"
    marker = b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
    assert decode_still(io.BytesIO(encoded[:2] + marker + encoded[2:])).image.shape == (224, 100, 3)
    assert is_still(encoded[:16])
