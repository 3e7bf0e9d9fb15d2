import dataclasses
import itertools
import math
import time

import av
import cv2
import numpy as np
import pytest

from stream_detect.errors import MediaError
from stream_detect.media.encoder import H264Encoder
from stream_detect.media.planes import Planes, copy_yuv420p, to_rgb
from stream_detect.overlay import sprite as palette
from stream_detect.overlay.layout import features_of
from stream_detect.overlay.overlay import annotated
from stream_detect.types import Thresholds, VerdictState

BOX = (200.0, 150.0, 400.0, 400.0)
JUDGED = {VerdictState.REAL: 0.08, VerdictState.UNCERTAIN: 0.47, VerdictState.FAKE: 0.91}


def share_of(image, rgb, tolerance=10):
    """Share of the pixels of an RGB image with a colour."""
    return float((np.abs(image.astype(int) - rgb).max(-1) <= tolerance).mean())


def header(image, box=BOX):
    """The header above a box at 640x480: the badge is 60 px high, its header 24."""
    top = int(box[1]) - 4 - 60
    return image[top + 2 : top + 22, int(box[0]) + 2 : int(box[0]) + 160]


@pytest.mark.parametrize("state", [*JUDGED, VerdictState.GATHERING])
def test_a_badge_has_its_states_colour_and_readable_words_on_any_ground(flat, overlay, track, result, state):
    for ground in ((128, 128, 128), (255, 255, 255), (0, 0, 0), (200, 30, 30)):
        frame = flat(rgb=ground)
        overlay.draw(frame, result(track(BOX, state, JUDGED.get(state))), 0.02)
        seen = header(to_rgb(frame))
        assert share_of(seen, palette.STATE_RGB[state]) > 0.5
        assert share_of(seen, palette.text_on(palette.STATE_RGB[state]), 60) > 0.08


@pytest.mark.parametrize("state", JUDGED)
def test_a_badge_is_still_known_by_its_colour_after_encoding_at_a_low_bitrate(moving, overlay, track, result, state):
    decoder, seen = av.CodecContext.create("h264", "r"), []
    with H264Encoder(200_000, 300_000, 1_000_000) as encoder:
        for frame in moving(40, 640, 480):
            overlay.draw(frame, result(track(BOX, state, JUDGED[state])), 0.02)
            seen += [picture for packet in encoder.encode(frame) for picture in decoder.decode(packet)]
    assert share_of(header(to_rgb(seen[-1])), palette.STATE_RGB[state], 30) > 0.5


def test_every_state_has_its_own_shape(flat, overlay, track, result):
    icons = []
    for sequence, state in enumerate([*JUDGED, VerdictState.GATHERING], 1):
        frame = flat()
        overlay.draw(frame, result(track(BOX, state), sequence=sequence), 0.02)
        luma = Planes.of(frame).y[86:110, 206:224].astype(int)
        icons.append(np.abs(luma - palette.STATE_YUV[state][0]) > 30)
    for first in range(4):
        for second in range(first):
            assert (icons[first] != icons[second]).sum() > 25


def test_the_box_is_drawn_in_the_states_colour(flat, overlay, track, result):
    frame = flat(rgb=(255, 255, 255))
    overlay.draw(frame, result(track(BOX, VerdictState.FAKE, 0.9)), 0.02)
    assert share_of(to_rgb(frame)[385:404, 215:235], palette.VERMILION, 40) > 0.08


def test_the_marker_moves_with_the_probability_between_the_two_thresholds(flat, overlay, track, result):
    places = []
    for sequence, probability in enumerate((0.0, 0.2, 0.5, 0.8, 1.0), 1):
        frame = flat()
        overlay.draw(frame, result(track(BOX, VerdictState.UNCERTAIN, probability, ()), sequence=sequence), 0.02)
        just_above_the_ticks = Planes.of(frame).y[86 + 24 + 7 - 3, 200:400]
        places.append(float(np.flatnonzero(just_above_the_ticks > 220).mean()))
    assert places == sorted(places)
    assert places[4] - places[0] > 130
    assert places[2] - places[0] == pytest.approx(places[4] - places[2], abs=3)


def test_gaps_of_the_trace_are_gaps(flat, overlay, track, result):
    def columns_with_line(trace):
        frame = flat()
        overlay.draw(frame, result(track(BOX, trace=trace, probability=None)), 0.02)
        return (Planes.of(frame).y[86 + 44 : 86 + 57, 208:358] > 150).any(0)

    whole, gap = columns_with_line((0.5,) * 50), columns_with_line((0.5,) * 20 + (math.nan,) * 10 + (0.5,) * 20)
    assert whole[5:-15].mean() > 0.97
    assert 0.6 < gap.sum() / whole.sum() < 0.9


@pytest.mark.parametrize("known", [True, False])
def test_without_a_result_all_turns_hatched_grey(flat, overlay, track, result, known):
    newest = result(track(BOX, VerdictState.FAKE, 0.9)) if known else None
    overlay.draw(flat(), newest, 0.02)
    frame = flat(rgb=(255, 255, 255))
    overlay.draw(frame, newest, 3.4)
    image = to_rgb(frame)
    corner = image[10:30, 10:130]
    assert share_of(corner, palette.STALE_RGB) > 0.15
    assert share_of(corner, palette.HATCH_RGB) > 0.15
    assert share_of(image, palette.VERMILION, 40) == 0
    if known:
        badge = image[150 - 4 - 24 + 2 : 144, 202:360]
        assert share_of(badge, palette.STALE_RGB) > 0.2
        assert share_of(badge, palette.HATCH_RGB) > 0.2


def test_the_age_of_a_result_that_was_withdrawn_counts_from_its_frame(flat, overlay, result):
    newest = dataclasses.replace(result(), arrived_s=3600.0)  # hours after the first frame
    for known, now_s, hatched in (
        (newest, 0.0, False),
        (newest, 3600.1, False),
        (None, 3600.9, False),
        (None, 3601.1, True),
    ):
        frame = flat(rgb=(255, 255, 255))
        overlay.draw(frame, known, now_s)
        assert (share_of(to_rgb(frame)[10:30, 10:90], palette.HATCH_RGB) > 0.1) is hatched


def test_a_snapshot_of_a_camera_that_went_offline_waits_for_no_result(flat):
    for age_s, hatched in ((0.0, False), (60.0, True)):
        jpeg = annotated(flat(rgb=(255, 255, 255)), None, time.monotonic() - age_s, Thresholds(), 10.0, None)
        image = cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        assert (share_of(image[10:30, 10:90], palette.HATCH_RGB, 20) > 0.1) is hatched


def test_a_result_that_comes_late_is_stale_at_once(flat, overlay, track, result):
    late = dataclasses.replace(result(track(BOX, VerdictState.REAL, 0.1)), latency_s=5.0)
    frame = flat()
    overlay.draw(frame, late, late.arrived_s + 5.0)
    assert share_of(to_rgb(frame), palette.BLUE) < 0.001


def test_a_result_younger_than_stale_s_is_shown(flat, overlay, track, result):
    newest = result(track(BOX, VerdictState.FAKE, 0.9))
    for now_s, fake in ((1.0, True), (1.02, False)):
        frame = flat()
        overlay.draw(frame, newest, now_s)
        assert (share_of(header(to_rgb(frame)), palette.VERMILION) > 0.5) is fake


@pytest.mark.parametrize(("error", "hatched"), [(None, False), ("analysis unavailable: no model", True)])
def test_no_face_is_plain_grey_and_no_analysis_is_hatched(flat, overlay, result, error, hatched):
    frame = flat(rgb=(255, 255, 255))
    overlay.draw(frame, result(error=error), 0.02)
    corner = to_rgb(frame)[10:30, 10:90]
    assert share_of(corner, palette.GREY) > 0.2
    assert (share_of(corner, palette.HATCH_RGB) > 0.1) is hatched


def test_a_face_without_analysis_never_says_fake(flat, overlay, track, result):
    frame = flat()
    overlay.draw(frame, result(track(BOX, VerdictState.FAKE, 0.9), error="analysis unavailable"), 0.02)
    assert share_of(to_rgb(frame), palette.VERMILION, 40) == 0


@pytest.mark.parametrize("wh", [(16, 16), (2, 2), (48, 32), (640, 358), (320, 240), (720, 1280), (1920, 1080)])
def test_any_size_is_drawn_on(flat, overlay, track, result, wh):
    frame = copy_yuv420p(flat(wh[0] + 1, wh[1] + 1))
    box = (wh[0] * 0.3, wh[1] * 0.4, wh[0] * 0.7, wh[1] * 0.9)
    before = to_rgb(frame)
    overlay.draw(frame, result(track(box), wh=wh), 0.02)
    assert not np.array_equal(to_rgb(frame), before)


def test_only_the_box_and_the_badge_are_written(flat, overlay, track, result):
    frame = flat()
    overlay.draw(frame, result(track(BOX)), 0.02)
    planes = Planes.of(frame)
    outside = np.ones(planes.y.shape, bool)
    outside[80:410, 190:410] = False
    inside = np.s_[210:340, 220:380]
    assert (planes.y[outside] == planes.y[0, 0]).all()
    assert (planes.y[inside] == planes.y[0, 0]).all()
    assert (planes.u[outside[::2, ::2]] == planes.u[0, 0]).all()


def test_boxes_found_in_another_picture_size_fit_the_new_one(flat, overlay, track, result):
    frame = flat(320, 240, (255, 255, 255))
    overlay.draw(frame, result(track((200, 200, 400, 400), VerdictState.FAKE, 0.9), wh=(640, 480)), 0.02)
    rows, columns = np.nonzero(Planes.of(frame).y < 200)
    assert rows.max() <= 205
    assert 95 <= columns.min() <= 100


def test_a_decoded_frame_is_not_drawn_on(flat, overlay, result):
    with pytest.raises(MediaError, match="expected a yuv420p frame"):
        overlay.draw(flat(fmt="yuvj420p"), result(), 0.0)


@pytest.mark.parametrize("grid", [*itertools.product([3, 4, 5], [0.3, 0.45, 0.6])])
def test_no_badge_of_a_call_grid_covers_another_face(flat, overlay, track, result, grid):
    count, share = grid
    w, h = 1920 / count, 1080 / count
    boxes = [
        ((i + 0.5) * w - share * h / 2, (j + 0.45) * h - share * h / 2, (i + 0.5) * w + share * h / 2,
         (j + 0.45) * h + share * h / 2) for j in range(count) for i in range(count)
    ]  # fmt: skip
    frame = flat(1920, 1080)
    before = to_rgb(frame).astype(int)
    tracks = [track(box, VerdictState.REAL, 0.1, number=index) for index, box in enumerate(boxes, 1)]
    overlay.draw(frame, result(*tracks, wh=(1920, 1080)), 0.02)
    changed = np.abs(to_rgb(frame).astype(int) - before).max(-1) > 12
    for box in boxes:
        left, top, right, bottom = (round(edge) for edge in features_of(box))
        assert not changed[top + 2 : bottom - 2, left + 2 : right - 2].any()
    assert changed.mean() > 0.02  # they are there


def test_a_score_that_waits_for_its_turn_says_how_old_it_is(flat, overlay, track, result):
    fresh, old = (dataclasses.replace(track(BOX, VerdictState.REAL, 0.12), score_age_s=age) for age in (0.2, 3.2))
    images = []
    for one in (fresh, old):
        frame = flat()
        overlay.draw(frame, result(one), 0.02)
        images.append(to_rgb(frame).astype(int))
    changed = np.abs(images[0] - images[1]).max(-1) > 40
    rows, columns = np.nonzero(changed)
    assert rows.size
    assert rows.max() < BOX[1]  # only in the header
    assert columns.min() > BOX[0] + 40
