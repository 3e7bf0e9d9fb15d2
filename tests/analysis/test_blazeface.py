"""BlazeFace's computations without the network: anchors, letterbox, decoding, non-maximum suppression."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_detect.analysis.blazeface import GRAPHS, Candidates, Letterbox, decode, suppress, to_faces
from stream_detect.analysis.tracks import overlaps
from stream_detect.errors import AnalysisError

ANCHORS = np.float32(((10, 10), (50, 10), (10, 50)))
WHOLE = Letterbox((192, 192), 0, 0, (1.0, 1.0))


def raw(x=0.0, y=0.0, w=20.0, h=20.0):
    """One anchor's 16 values: box centre and size, then six key points at the anchor plus 1 ... 6."""
    return np.float32((x, y, w, h, *(value for i in range(1, 7) for value in (i, -i))))


def candidates(*boxes_and_scores):
    points = np.zeros((len(boxes_and_scores), 8, 2), np.float32)
    for i, (box, _) in enumerate(boxes_and_scores):
        points[i, :2] = np.reshape(box, (2, 2))
        points[i, 2:] = np.reshape(box[:2], (1, 2))
    return Candidates(points, np.float32([score for _, score in boxes_and_scores]))


@pytest.mark.parametrize(
    ("kind", "count", "places"),
    [
        ("full", 2304, {0: (2, 2), 1: (6, 2), 48: (2, 6), 2303: (190, 190)}),
        ("short", 896, {0: (4, 4), 1: (4, 4), 2: (12, 4), 511: (124, 124), 512: (8, 8), 517: (8, 8), 518: (24, 8)}),
    ],
)
def test_anchors_lie_where_the_published_graph_puts_them(kind, count, places):
    anchors = GRAPHS[kind].anchors()
    assert anchors.shape == (count, 2)
    for i, place in places.items():
        assert tuple(anchors[i]) == place


@pytest.mark.parametrize(
    ("frame_wh", "wh", "left", "top"),
    [
        ((640, 480), (192, 144), 0, 24),
        ((480, 640), (144, 192), 24, 0),
        ((1920, 1080), (192, 108), 0, 42),
        ((641, 359), (192, 108), 0, 42),
        ((100, 100), (192, 192), 0, 0),
        ((5000, 3), (192, 1), 0, 95),
    ],
)
def test_letterbox_keeps_the_aspect_ratio_in_the_middle(frame_wh, wh, left, top):
    letterbox = Letterbox.fit(frame_wh, 192)
    assert (letterbox.wh, letterbox.left, letterbox.top) == (wh, left, top)


@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from([128, 192]))
def test_letterbox_maps_the_corners_to_the_frames_corners(w, h, input_px):
    box = Letterbox.fit((w, h), input_px)
    assert 0 <= box.left <= box.left + box.wh[0] <= input_px
    assert 0 <= box.top <= box.top + box.wh[1] <= input_px
    corners = np.float32(((box.left, box.top), (box.left + box.wh[0], box.top + box.wh[1])))
    assert box.to_frame(corners) == pytest.approx(np.float32(((0, 0), (w, h))), rel=1e-5)


def test_decoding_reads_centre_size_and_points_relative_to_the_anchor():
    found = decode(np.stack((raw(), raw(2, 3, 30, 10), raw())), np.float32((-5, 4, -5)), ANCHORS, 0.5)
    assert found.scores == pytest.approx([0.982], abs=1e-3)
    assert found.points[0, :2].tolist() == [[52 - 15, 13 - 5], [52 + 15, 13 + 5]]
    assert found.points[0, 2:].tolist() == [[50 + i, 10 - i] for i in range(1, 7)]


@pytest.mark.parametrize(("min_score", "expected"), [(0.0, 3), (0.5, 2), (0.6, 1), (0.9, 0), (1.0, 0)])
def test_decoding_leaves_out_weak_anchors_and_sorts_the_others(min_score, expected):
    found = decode(np.stack([raw()] * 3), np.float32((-90, 0.1, 2.0)), ANCHORS, min_score)
    assert len(found.scores) == len(found.points) == expected
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)


def test_numbers_that_are_not_finite_are_an_error():
    with pytest.raises(AnalysisError, match="finite"):
        decode(np.stack([raw()] * 3), np.float32((0, np.nan, 0)), ANCHORS, 0.5)
    with pytest.raises(AnalysisError, match="finite"):
        decode(np.stack([raw(), raw(x=np.inf), raw()]), np.float32((-9, 9, -9)), ANCHORS, 0.5)


def test_suppression_means_what_agrees_by_its_score_and_keeps_the_best_score():
    found = suppress(candidates(((0, 0, 40, 40), 0.9), ((4, 0, 44, 40), 0.6), ((100, 100, 140, 140), 0.7)))
    assert found.scores == pytest.approx([0.9, 0.7])
    assert found.points[0, :2].ravel() == pytest.approx([1.6, 0, 41.6, 40])
    assert found.points[0, 2] == pytest.approx([1.6, 0])
    assert found.points[1, :2].ravel() == pytest.approx([100, 100, 140, 140])


def test_suppression_leaves_neighbours_apart():
    assert len(suppress(candidates(((0, 0, 40, 40), 0.9), ((25, 0, 65, 40), 0.8))).scores) == 2


def test_suppression_ends_with_boxes_that_have_no_area():
    assert len(suppress(candidates(((5, 5, 5, 5), 0.9), ((5, 5, 5, 5), 0.8), ((9, 9, 5, 5), 0.7))).scores) == 3
    assert suppress(candidates()).points.shape == (0, 8, 2)


def test_the_largest_faces_are_kept_and_come_best_first():
    found = candidates(((0, 0, 10, 10), 0.9), ((20, 0, 50, 30), 0.8), ((60, 0, 100, 40), 0.7))
    faces = to_faces(found, WHOLE, 2)
    assert [face.xyxy for face in faces] == [(20, 0, 50, 30), (60, 0, 100, 40)]
    assert [face.score for face in faces] == pytest.approx([0.8, 0.7])


def test_faces_are_in_frame_pixels():
    (face,) = to_faces(candidates(((0, 42, 19.2, 61.2), 0.9)), Letterbox.fit((1920, 1080), 192), 8)
    assert face.xyxy == pytest.approx((0, 0, 192, 192), abs=1e-3)
    assert face.keypoints.dtype == np.float32
    assert face.keypoints[0] == pytest.approx((0, 0), abs=1e-3)


def test_overlaps_of_known_boxes():
    shares = overlaps(
        np.float64(((0, 0, 10, 10), (0, 0, 0, 0))), np.float64(((0, 0, 10, 10), (5, 0, 15, 10), (20, 20, 30, 30)))
    )
    assert shares == pytest.approx(np.array(((1, 1 / 3, 0), (0, 0, 0))))
