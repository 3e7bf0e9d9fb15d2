"""Makes media files for tests: pictures with Pillow, videos with PyAV."""

import io
import struct
import zlib
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image as Pillow


def picture(seed: int = 1, wh: tuple[int, int] = (96, 64)) -> np.ndarray:
    """A smooth image that codecs preserve: RGB uint8 (h, w, 3)."""
    rng = np.random.default_rng(seed)
    small = Pillow.fromarray(rng.integers(0, 255, (4, 6, 3), np.uint8))
    return np.asarray(small.resize(wh, Pillow.Resampling.BICUBIC), np.uint8)


def still_bytes(kind: str, image: np.ndarray, **options: Any) -> bytes:
    """An encoded picture."""
    coded = io.BytesIO()
    Pillow.fromarray(image).save(coded, kind, **options)
    return coded.getvalue()


def animation_bytes(kind: str, images: Sequence[np.ndarray], duration_ms: int = 200) -> bytes:
    first, *others = map(Pillow.fromarray, images)
    coded = io.BytesIO()
    first.save(coded, kind, save_all=True, append_images=others, duration=duration_ms, loop=0)
    return coded.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares this size and has almost no data: a decompression bomb."""
    chunk = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", chunk), (b"IDAT", zlib.compress(bytes(1 << 16))), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body


def film(  # noqa: PLR0913 - each is what a test is about
    path: Path,
    images: Iterable[np.ndarray],
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    pts: Sequence[int] | None = None,
    tick: Fraction = Fraction(1, 10),
    form: str | None = None,
    options: dict[str, str] | None = None,
    interlaced: bool = False,
) -> Path:
    """A video of these images, one tick apart unless they have timestamps."""
    with av.open(str(path), "w", format=form) as container:
        stream: av.VideoStream | None = None
        for number, image in enumerate(images):
            if stream is None:
                made = container.add_stream(codec, rate=round(1 / tick), options=options or {})
                assert isinstance(made, av.VideoStream)
                stream = made
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt, stream.time_base = pixels, tick
                stream.codec_context.time_base = tick
                if interlaced:
                    stream.codec_context.flags |= 1 << 18 | 1 << 29  # AV_CODEC_FLAG_INTERLACED_DCT and _ME
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = (pts[number] if pts else number), tick
            container.mux(stream.encode(frame))
        assert stream is not None, "expected a picture at least"
        container.mux(stream.encode())
    return path


def turned(path: Path, wh: tuple[int, int]) -> Path:
    """The same MP4 with a track header that says: rotate by 90 degrees clockwise."""
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, wh[1] << 16, 0, 1 << 30)
    path.write_bytes(content)
    return path


def sound(path: Path) -> Path:
    """A second of silence, without video."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000)
        for number in range(16):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1000), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 16_000, 1000 * number
            container.mux(stream.encode(frame))
        assert stream is not None, "expected a picture at least"
        container.mux(stream.encode())
    return path
