"""For any boxes, drawing neither raises nor writes outside the frame."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_detect.media.planes import Planes
from stream_detect.overlay.layout import features_of, place
from stream_detect.overlay.overlay import Overlay
from stream_detect.types import Thresholds, VerdictState

ANY_NUMBER = st.one_of(st.floats(-700, 1400), st.floats(), st.sampled_from([0.0, 1e9, -1e9, 1e308, -1e308]))
BOXES = st.lists(st.tuples(ANY_NUMBER, ANY_NUMBER, ANY_NUMBER, ANY_NUMBER), max_size=4)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(boxes=BOXES, case=st.tuples(st.integers(1, 200), st.integers(1, 200), st.floats(0, 3)))
def test_any_box_is_drawn_safely(flat, track, result, boxes, case):
    w, h, now_s = case[0] * 2, case[1] * 2, case[2]
    frame = flat(w, h)
    guard = [np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:, plane.width :] for plane in frame.planes]
    for padding in guard:
        padding[:] = 77
    states = list(VerdictState)
    overlay = Overlay(Thresholds(), 1.0)
    for sequence in (1, 2):
        tracks = [track(box, states[number % 5], number=number) for number, box in enumerate(boxes, 1)]
        overlay.draw(frame, result(*tracks, wh=(w, h), sequence=sequence, time_s=sequence * 0.1), now_s)
    assert all((padding == 77).all() for padding in guard)
    assert Planes.of(frame).y.shape == (h, w)


FINITE = st.floats(-2000, 2000)


@given(
    badge=st.tuples(st.integers(1, 100), st.integers(1, 40)),
    corner=st.tuples(FINITE, FINITE),
    size=st.tuples(st.floats(0, 1500), st.floats(0, 1500)),
    side=st.integers(0, 5),
)
def test_a_badge_is_wholly_inside_the_picture_on_an_even_pixel(badge, corner, size, side):
    box = (*corner, corner[0] + size[0], corner[1] + size[1])
    spot = place(badge, box, (320, 240), [], side)
    assert 0 <= spot.x <= 320 - badge[0]
    assert 0 <= spot.y <= 240 - badge[1]
    assert spot.x % 2 == spot.y % 2 == 0


@given(left=st.floats(0, 400), top=st.floats(0, 280), side_px=st.floats(80, 200))
def test_a_face_inside_the_picture_keeps_its_features_uncovered(left, top, side_px):
    box = (left, top, left + side_px, top + side_px)
    spot = place((160, 60), box, (640, 480), [])
    x0, y0, x1, y1 = features_of(box)
    apart = spot.x + 160 <= x0 or spot.x >= x1 or spot.y + 60 <= y0 or spot.y >= y1
    assert apart


def test_a_badge_stays_on_its_side_while_it_can_and_avoids_the_others():
    box = (100.0, 64.0, 260.0, 224.0)
    above, below = place((100, 40), box, (640, 480), []), place((100, 40), box, (640, 480), [], side=1)
    assert above.y < 64
    assert below.y > 224
    taken = [(above.x, above.y, above.x + 100, above.y + 40)]
    assert place((100, 40), box, (640, 480), taken).side == 1
