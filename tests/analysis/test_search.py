"""The search for faces: small faces in large frames, faces that fill the frame, and its maximum cost."""

import itertools

import cv2
import numpy as np
import pytest
import skimage.data

from stream_detect.analysis.frame_parts import LEAST_INPUT_PX, MAX_PARTS, parts_of
from stream_detect.analysis.quality import QualityGate
from stream_detect.analysis.scripted import upright_face
from stream_detect.analysis.search import FaceSearch, merged
from stream_detect.settings import FaceSettings, QualitySettings

ASTRONAUT = np.ascontiguousarray(skimage.data.astronaut())
HEAD = np.ascontiguousarray(ASTRONAUT[0:220, 120:330])
"""Its face is some 90 px wide."""


@pytest.fixture(scope="module")
def networks():
    return FaceSearch(FaceSettings())


@pytest.fixture
def search(networks):
    return networks.sibling()


def crowd(wh, face_px, spots):
    """A frame with the astronaut's face centred at each (x, y), with a box about `face_px` wide."""
    noise = np.random.default_rng(1).integers(-25, 25, (wh[1] // 40, wh[0] // 40, 3)).astype(np.float32)
    image = np.clip(np.float32((150, 160, 170)) + cv2.resize(noise, wh), 0, 255).astype(np.uint8)
    head = cv2.resize(HEAD, None, fx=face_px / 90, fy=face_px / 90, interpolation=cv2.INTER_AREA)
    for x, y in spots:
        left, top = int(x - head.shape[1] / 2), int(y - head.shape[0] / 2)
        image[top : top + head.shape[0], left : left + head.shape[1]] = head
    return image


def filled(wh, share):
    """A frame with the astronaut's face, whose height is the given share of the frame's."""
    scale = share * wh[1] / 105  # the box is some 105 px high
    matrix = np.float32([[scale, 0, wh[0] / 2 - scale * 222], [0, scale, wh[1] / 2 - scale * 118]])
    return cv2.warpAffine(ASTRONAUT, matrix, wh, borderMode=cv2.BORDER_REPLICATE)


def grid(wh, count):
    return [((i + 0.5) * wh[0] / count, (j + 0.5) * wh[1] / count) for j in range(count) for i in range(count)]


def seen(faces, spots):
    boxes = [face.xyxy for face in faces]
    return [any(left < x < right and top < y < bottom for left, top, right, bottom in boxes) for x, y in spots]


@pytest.mark.parametrize("wh", [(1280, 720), (1920, 1080), (1080, 1920), (3840, 2160), (4032, 3024), (9000, 600)])
def test_parts_cover_the_frame_and_overlap_by_what_the_larger_ones_miss(wh):
    parts = parts_of(wh, 192)
    assert 0 < len(parts) <= MAX_PARTS
    sides = sorted({part.xyxy[2] - part.xyxy[0] for part in parts}, reverse=True)
    larger = max(wh)
    for side in sides:
        rows = [part.xyxy for part in parts if part.xyxy[2] - part.xyxy[0] == side]
        covered = np.zeros((wh[1], wh[0]), bool)
        for left, top, right, bottom in rows:
            covered[top:bottom, left:right] = True
        assert covered.all()
        missed = min(larger * LEAST_INPUT_PX / 192, side / 2)
        lefts = sorted({box[0] for box in rows})
        assert all(before + side - after >= missed for before, after in itertools.pairwise(lefts))
        larger = side


@pytest.mark.parametrize("wh", [(160, 120), (640, 480), (640, 360), (480, 640)])
def test_a_webcam_s_frame_is_searched_as_a_whole(wh):
    assert parts_of(wh, 192) == []


@pytest.mark.parametrize("count", [3, 4, 5])
def test_every_face_of_a_call_grid_is_found(search, count):
    wh = (1920, 1080)
    spots = grid(wh, count)
    image = crowd(wh, 0.3 * 1080 / count, spots)
    for _ in range(12):
        faces = search.detect(image)
        assert all(seen(faces, spots))
        assert len(faces) == len(spots)
        assert any(face.fresh for face in faces)


@pytest.mark.parametrize("face_px", [150, 200, 250, 400])
def test_faces_of_a_group_photo_of_12_megapixels_are_found(search, face_px):
    wh = (4032, 3024)
    spots = [((i + 0.5) * wh[0] / 3, 0.45 * wh[1]) for i in range(3)]
    assert all(seen(search.detect(crowd(wh, face_px, spots)), spots))


@pytest.mark.parametrize(("wh", "face_px"), [((1920, 1080), 30), ((1920, 1080), 44), ((3840, 2160), 44)])
def test_a_far_face_is_found_and_refused_as_too_small(search, wh, face_px):
    spots = [(0.3 * wh[0], 0.6 * wh[1])]
    image = crowd(wh, face_px, spots)
    faces = search.detect(image)
    assert seen(faces, spots) == [True]
    assert QualityGate(QualitySettings()).reject(image, faces[0]) == "face too small"


def test_a_new_face_in_a_large_frame_is_found_soon(search):
    wh = (1920, 1080)
    empty, spots = crowd(wh, 90, []), [(1500.0, 700.0)]
    for _ in range(3):
        assert search.detect(empty) == []
    image = crowd(wh, 90, spots)
    waited = next(sample for sample in range(400) if any(seen(search.detect(image), spots)))
    assert waited <= 34 * 5  # every part once


def test_a_change_of_scene_is_searched_wholly_within_seconds(search):
    wh = (1920, 1080)
    spots = grid(wh, 5)
    for _ in range(25):
        search.detect(np.full((1080, 1920, 3), 40, np.uint8))
    image = crowd(wh, 60, spots)
    assert any(all(seen(search.detect(image), spots)) for _ in range(10))


def test_a_face_that_a_sample_misses_is_given_as_it_was_and_searched_again(search):
    wh = (1920, 1080)
    spots = grid(wh, 2)
    image = crowd(wh, 210, spots)  # the whole frame shows them
    for _ in range(3):
        search.detect(image)
    hidden = image.copy()
    hidden[:540, :960] = 150
    for _ in range(2):
        faces = search.detect(hidden)
        assert all(seen(faces, spots))
        assert [face.fresh for face in faces if seen([face], spots)[0]] == [False]
    assert [face.fresh for face in search.detect(image)] == [True] * 4
    assert [seen(search.detect(hidden), spots)[0] for _ in range(5)][-1] is False


def test_a_face_that_moved_is_not_given_twice(search):
    wh = (1920, 1080)
    for x in range(400, 1500, 150):
        assert len(search.detect(crowd(wh, 210, [(float(x), 540.0)]))) == 1


def test_an_unclear_face_is_looked_at_closer(search):
    wh = (1920, 1080)
    image = (cv2.GaussianBlur(crowd(wh, 36, [(900.0, 700.0)]), (0, 0), 1.5) * 0.3).astype(np.uint8)
    scores = [face.score for part in parts_of(wh, 192) for face in search._found_in(image, part)]
    assert max(scores) < FaceSettings().begin_score
    (face,) = search.detect(image)
    assert face.score >= FaceSettings().begin_score


@pytest.mark.parametrize("count", [4, 5])
def test_all_faces_of_a_grid_are_searched_again_within_a_second(search, count):
    wh = (1920, 1080)
    spots = grid(wh, count)
    image = crowd(wh, 60, spots)
    search.detect(image)
    fresh = np.zeros(len(spots), bool)
    for _ in range(10):
        fresh |= seen([face for face in search.detect(image) if face.fresh], spots)
    assert fresh.all()


def test_a_face_that_left_is_forgotten(search):
    wh = (1920, 1080)
    spots = [(1500.0, 700.0)]
    for _ in range(3):
        search.detect(crowd(wh, 90, spots))
    empty = crowd(wh, 90, [])
    assert not [search.detect(empty) for _ in range(10)][-1]


@pytest.mark.parametrize("wh", [(640, 480), (360, 640)])
@pytest.mark.parametrize("share", [0.6, 0.75, 0.9, 1.0])
def test_a_face_that_fills_the_frame_is_found(search, wh, share):
    faces = search.detect(filled(wh, share))
    assert len(faces) == 1
    assert faces[0].score >= FaceSettings().begin_score


def test_max_faces_keeps_the_largest(networks):
    search = FaceSearch(FaceSettings(max_faces=2))
    wh = (1920, 1080)
    image = crowd(wh, 120, [(400.0, 300.0)])
    image[500:1000, 800:1600] = crowd((800, 500), 200, [(400.0, 250.0)])
    image[0:400, 1400:1900] = crowd((500, 400), 160, [(250.0, 200.0)])
    assert seen(search.detect(image), [(400.0, 300.0), (1200.0, 750.0), (1650.0, 200.0)]) == [False, True, True]


def test_parts_are_not_searched_if_disabled():
    search = FaceSearch(FaceSettings(parts_per_sample=0))
    assert search.detect(crowd((1920, 1080), 44, [(700.0, 600.0)])) == []


def test_a_face_seen_twice_is_one_face_and_the_fresh_view_counts():
    whole = upright_face((100, 100, 160, 160), score=0.7)
    part = upright_face((102, 98, 162, 158), score=0.9)
    assert merged([], [part], [whole]) == [part]
    assert merged([whole], [part], []) == [whole]
    apart = upright_face((400, 100, 460, 160))
    assert merged([whole], [part, apart], []) == [whole, apart]


def test_a_face_that_keeps_filling_the_frame_costs_one_network_run(networks, monkeypatch):
    search = networks.sibling()
    frame = filled((640, 480), 0.9)
    search.detect(frame)
    search.detect(frame)
    borders = []
    for network in (search._finder, search._close):
        monkeypatch.setattr(network, "detect", counted(network.detect, borders))
    assert all(search.detect(frame) for _ in range(5))
    assert borders == [0.5] * 5


def test_a_face_that_appears_beside_a_large_one_is_found(search):
    for _ in range(3):
        search.detect(filled((640, 480), 0.9))
    assert len(search.detect(crowd((640, 480), 90, [(160, 240), (480, 240)]))) == 2


def counted(detect, borders):
    def detected(image, border=0.0):
        borders.append(border)
        return detect(image, border)

    return detected
