"""Makes coded video for tests."""

from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext


def coded(codec: str, wh: tuple[int, int], frames: int = 2, pixels: str = "yuv420p", **options: str) -> list[bytes]:
    """Packets of grey frames, width and height in pixels, at 25 fps."""
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt, context.time_base = *wh, pixels, Fraction(1, 25)
    context.options = options
    packets = []
    for number in range(frames):
        frame = av.VideoFrame(*wh, pixels)
        for plane in frame.planes:
            plane.update(b"\x80" * plane.buffer_size)
        frame.pts = number
        packets += [bytes(packet) for packet in context.encode(frame)]
    return packets + [bytes(packet) for packet in context.encode(None)]


QUICK = {"preset": "ultrafast", "tune": "zerolatency"}
