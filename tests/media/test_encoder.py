from fractions import Fraction

import av
import numpy as np
import pytest
from aiortc.codecs.h264 import H264Encoder as Packetiser

from stream_detect.errors import MediaError
from stream_detect.media.encoder import KEYFRAME_INTERVAL, PEAK_S, H264Encoder
from stream_detect.media.planes import to_rgb

IDR, SPS, PPS = 5, 7, 8


def encoder(start=1_000_000, lowest=200_000, highest=4_000_000):
    return H264Encoder(lowest, start, highest)


def decode(packets):
    decoder = av.CodecContext.create("h264", "r")
    return [frame for packet in [*packets, None] for frame in decoder.decode(packet)]


def nal_types(packet):
    return [unit[0] & 31 for unit in Packetiser._split_bitstream(bytes(packet))]


def at(frames, fps):
    for index, frame in enumerate(frames):
        frame.pts, frame.time_base = index * 90000 // fps, Fraction(1, 90000)
    return frames


def test_every_frame_is_returned_at_once_with_its_time_and_looks_the_same(moving):
    frames = moving(60, 640, 480)
    with encoder() as codec:
        packets = []
        for frame in frames:
            pts = frame.pts
            (packet,) = codec.encode(frame)
            assert (packet.pts, packet.dts, packet.time_base) == (pts, pts, Fraction(1, 90000))
            assert (frame.pts, frame.time_base) == (pts, Fraction(1, 90000))
            packets.append(packet)
    decoded = decode(packets)
    assert [frame.pts for frame in decoded] == [frame.pts for frame in frames]
    for sent, seen in zip(frames, decoded, strict=True):
        error = (to_rgb(sent).astype(float) - to_rgb(seen)) ** 2
        assert 10 * np.log10(255**2 / error.mean()) > 30


def test_keyframes_come_first_and_on_request_with_their_parameter_sets(moving):
    with encoder() as codec:
        packets = [
            codec.encode(frame, keyframe=index in {7, 8, 20})[0] for index, frame in enumerate(moving(30, 320, 240))
        ]
    assert [index for index, packet in enumerate(packets) if packet.is_keyframe] == [0, 7, 8, 20]
    for packet in packets:
        kinds = nal_types(packet)
        assert ({IDR, SPS, PPS} <= set(kinds)) is packet.is_keyframe
        assert sum(kind in {1, 5} for kind in kinds) == 1  # one slice per frame


def test_a_viewer_can_start_at_any_keyframe(moving):
    with encoder() as codec:
        packets = [codec.encode(frame, keyframe=index == 15)[0] for index, frame in enumerate(moving(30, 320, 240))]
    assert len(decode(packets[15:])) == 15


def test_aiortc_packetises_the_encoded_frames(moving):
    with encoder() as codec:
        (packet,) = codec.encode(moving(1, 640, 480)[0])
    payloads, timestamp = Packetiser().pack(packet)
    assert timestamp == 1000
    assert len(payloads) > 3
    assert max(map(len, payloads)) <= 1300


def test_a_new_size_starts_with_a_keyframe(moving):
    with encoder() as codec:
        packets = []
        for w, h in ((320, 240), (240, 320), (640, 358)):
            packets += [codec.encode(frame)[0] for frame in moving(5, w, h, start=len(packets))]
    assert [index for index, packet in enumerate(packets) if packet.is_keyframe] == [0, 5, 10]
    sizes = [(frame.width, frame.height) for frame in decode(packets)]
    assert sizes == [(320, 240)] * 5 + [(240, 320)] * 5 + [(640, 358)] * 5


@pytest.mark.parametrize("fps", [15, 30, 60])
def test_the_bitrate_is_kept_and_followed_up_and_down_without_a_keyframe(moving, fps):
    frames = at(moving(6 * fps, 640, 480), fps)
    with encoder(start=600_000) as codec:
        packets = []
        for index, frame in enumerate(frames):
            codec.target_bitrate_bps = {0: 600_000, 1: 250_000, 2: 800_000}[index // (2 * fps)]
            packets += codec.encode(frame)
    assert [index for index, packet in enumerate(packets) if packet.is_keyframe and index != KEYFRAME_INTERVAL] == [0]
    for second, target in ((1, 600_000), (3, 250_000), (5, 800_000)):
        produced = 8 * sum(packet.size for packet in packets[second * fps : (second + 1) * fps])
        assert target * 0.7 < produced < target * 1.3


@pytest.mark.parametrize(("wh", "enough"), [((640, 480), 850_000), ((320, 240), 300_000)])
def test_no_more_is_spent_than_the_size_is_worth(moving, wh, enough):
    noise = np.random.default_rng(5)
    frames = moving(90, *wh)
    for frame in frames:  # as hard to compress as possible
        luma = np.frombuffer(frame.planes[0], np.uint8)
        luma[:] = noise.integers(0, 255, luma.size, np.uint8)
    with encoder(start=4_000_000) as codec:
        packets = [codec.encode(frame)[0] for frame in frames]
    produced = 8 * sum(packet.size for packet in packets[30:]) / 2
    assert enough * 0.7 < produced < enough * 1.3


def test_a_scene_cut_stays_within_a_tenth_of_a_second_at_the_highest_bitrate(moving):
    with encoder(start=1_000_000, highest=2_000_000) as codec:
        noise = np.random.default_rng(3)
        sizes = []
        for index, frame in enumerate(moving(60, 640, 480)):
            if index % 20 == 19:
                picture = noise.integers(0, 255, (720, 640), np.uint8)
                cut = av.VideoFrame.from_ndarray(picture, format="yuv420p")
                cut.pts, cut.time_base = frame.pts, frame.time_base
                frame = cut  # noqa: PLW2901
            sizes.append(codec.encode(frame)[0].size)
    assert max(sizes) <= 2_000_000 * PEAK_S / 8


def test_the_target_is_clamped():
    codec = encoder(start=500_000, lowest=300_000, highest=800_000)
    assert codec.target_bitrate_bps == 500_000
    for asked, kept in ((1, 300_000), (700_000, 700_000), (10**9, 800_000)):
        codec.target_bitrate_bps = asked
        assert codec.target_bitrate_bps == kept


def test_timestamps_may_wrap_or_stand_still(moving):
    times = [2**32 - 6000, 2**32 - 3000, 0, 3000, 3000, 90_000 * 500, 90_000 * 400]
    with encoder() as codec:
        packets = []
        for frame, pts in zip(moving(len(times), 320, 240), times, strict=True):
            frame.pts = pts
            packets += codec.encode(frame)
    assert [packet.pts for packet in packets] == times
    assert len(decode(packets)) == len(times)


def test_a_1080p_picture_is_taken(moving):
    with encoder() as codec:
        packets = [codec.encode(frame)[0] for frame in moving(3, 1920, 1080)]
    assert [(frame.width, frame.height) for frame in decode(packets)] == [(1920, 1080)] * 3


def test_what_cannot_be_encoded_is_refused_with_the_cure(flat, moving):
    with encoder() as codec:
        for frame in (flat(641, 359), flat(fmt="yuvj420p")):
            with pytest.raises(MediaError, match="copy_yuv420p"):
                codec.encode(frame)
        (timeless,) = moving(1, 320, 240)
        timeless.pts = None
        with pytest.raises(MediaError, match="pts"):
            codec.encode(timeless)
        (good,) = moving(1, 320, 240)
        assert codec.encode(good)[0].is_keyframe
    with pytest.raises(MediaError, match="closed"):
        codec.encode(good)
    codec.close()


@pytest.mark.parametrize("bitrates", [(0, 1, 2), (5, 4, 6), (5, 6, 5)])
def test_bitrates_out_of_order_are_refused(bitrates):
    with pytest.raises(MediaError, match="min_bitrate_bps"):
        H264Encoder(*bitrates)


def test_a_refusal_of_x264_is_our_error_and_the_next_frame_restarts_the_encoder(moving, monkeypatch):
    with encoder() as codec:
        first, second, third = moving(3, 320, 240)
        codec.encode(first)

        class Broken:
            bit_rate, width, height = 0, 320, 240

            def encode(self, _frame):
                raise av.error.InvalidDataError(1, "broken")

        monkeypatch.setattr(codec, "_context", Broken())
        with pytest.raises(MediaError, match="320x240"):
            codec.encode(second)
        assert codec.encode(third)[0].is_keyframe
