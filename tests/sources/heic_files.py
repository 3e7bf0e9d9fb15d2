"""Makes HEIC files like those of phones, box by box: tiles, a preview, rotation, transparency."""

import io
import struct
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def coded(image: np.ndarray) -> tuple[bytes, bytes]:
    """The "hvcC" box and the data of a picture in H.265."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("libx265", rate=1, options={"crf": "10", "preset": "ultrafast",
                                      "x265-params": "log-level=none:pools=1:frame-threads=1:bframes=0"})  # fmt: skip
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuv444p"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24").reformat(format="yuv444p")
        frame.pts, frame.time_base = 0, Fraction(1, 1)
        packets = [*stream.encode(frame), *stream.encode(None)]
        container.mux(packets)
    content = target.getvalue()
    at = content.index(b"hvcC") - 4
    configuration = content[at : at + int.from_bytes(content[at : at + 4], "big")]
    begin = content.index(b"mdat") + 4
    return configuration, content[begin : begin + int.from_bytes(content[begin - 8 : begin - 4], "big") - 8]


@dataclass
class Heic:
    """A HEIC file under construction: items with their data, properties and references."""

    kinds: list[bytes] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)
    properties: list[list[bytes]] = field(default_factory=list)
    references: list[bytes] = field(default_factory=list)

    def add(self, kind: bytes, data: bytes, *properties: bytes) -> int:
        """Adds an item; returns its identifier."""
        self.kinds.append(kind)
        self.data.append(data)
        self.properties.append(list(properties))
        return len(self.kinds)

    def picture(self, image: np.ndarray, *properties: bytes) -> int:
        configuration, data = coded(image)
        size = full(b"ispe", 0, 0, struct.pack(">II", image.shape[1], image.shape[0]))
        return self.add(b"hvc1", data, configuration, size, *properties)

    def grid(self, tiles: list[int], columns: int, wh: tuple[int, int], *properties: bytes) -> int:
        rows = len(tiles) // columns
        item = self.add(b"grid", struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, *wh), *properties)
        self.refer(b"dimg", item, *tiles)
        return item

    def refer(self, kind: bytes, item: int, *others: int) -> None:
        self.references.append(box(kind, struct.pack(f">HH{len(others)}H", item, len(others), *others)))

    def bytes(self, primary: int) -> bytes:
        """The complete file."""
        every = [one for of_item in self.properties for one in of_item]
        entries = [
            full(b"infe", 2, 0, struct.pack(">HH4sB", number, 0, kind, 0)) for number, kind in enumerate(self.kinds, 1)
        ]
        associations, index = b"", 1
        for number, of_item in enumerate(self.properties, 1):
            associations += struct.pack(">HB", number, len(of_item)) + bytes(range(index, index + len(of_item)))
            index += len(of_item)
        head = box(b"ftyp", b"heic", bytes(4), b"mif1heic")

        def meta(begin: int) -> bytes:
            places = b""
            for number, data in enumerate(self.data, 1):
                places += struct.pack(">HHHII", number, 0, 1, begin, len(data))
                begin += len(data)
            return full(
                b"meta", 0, 0,
                full(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13)),
                full(b"pitm", 0, 0, struct.pack(">H", primary)),
                full(b"iloc", 0, 0, b"\x44\x00", struct.pack(">H", len(self.data)), places),
                full(b"iinf", 0, 0, struct.pack(">H", len(entries)), *entries),
                full(b"iref", 0, 0, *self.references),
                box(b"iprp", box(b"ipco", *every),
                    full(b"ipma", 0, 0, struct.pack(">I", len(self.properties)), associations)),
            )  # fmt: skip

        begin = len(head) + len(meta(0)) + 8
        return head + meta(begin) + box(b"mdat", *self.data)


def tiled(image: np.ndarray, tile: int, *properties: bytes, preview: np.ndarray | None = None) -> bytes:
    """A picture in square tiles, padded at the right and bottom; the preview is the first item, as in some files."""
    made = Heic()
    small = made.picture(preview) if preview is not None else 0
    h, w = image.shape[:2]
    rows, columns = -(-h // tile), -(-w // tile)
    padded = np.pad(image, ((0, rows * tile - h), (0, columns * tile - w), (0, 0)), "edge")
    tiles = [
        made.picture(padded[y * tile : (y + 1) * tile, x * tile : (x + 1) * tile])
        for y in range(rows)
        for x in range(columns)
    ]
    primary = made.grid(tiles, columns, (w, h), *properties)
    if small:
        made.refer(b"thmb", small, primary)
    return made.bytes(primary)
