"""Reads HEIC pictures (ISO/IEC 23008-12), as phones write them: joins their tiles, skips previews, and rotates them.

FFmpeg decodes each coded item; this module reads which of them are the picture, and how its tiles are arranged.
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self, cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from stream_detect.errors import MediaError
from stream_detect.media.planes import to_rgb
from stream_detect.sources.display import Display
from stream_detect.sources.file_frame import FAILURES, TIME_BASE, words
from stream_detect.sources.stills import check_size, on_white
from stream_detect.types import Image

META_BYTES = 8_000_000
ITEM_BYTES = 200_000_000
MAX_ITEMS = 4096
MAX_EXTENTS = 65_536
"""Parts of all items together; a part may be described in no bytes at all."""
MAX_BOXES = 20_000

DECODERS = {b"hvc1": "hevc", b"av01": "libdav1d", b"avc1": "h264"}
"""FFmpeg's decoder of each type of coded item."""

CONFIGURATIONS = frozenset({b"hvcC", b"av1C", b"avcC"})

Body = memoryview


@dataclass(slots=True)
class Item:
    """One item of a file.

    Args:
        kind: its type, such as b"hvc1" or b"grid".
        properties: type and body of each property, in the order in which they apply.
        extents: position and length in bytes of each part of its data.
        inside: the positions are relative to the file's own "idat" box.
        tiles: identifiers of the items that it consists of.
    """

    kind: bytes = b""
    properties: list[tuple[bytes, Body]] = field(default_factory=list)
    extents: list[tuple[int, int]] = field(default_factory=list)
    inside: bool = False
    tiles: list[int] = field(default_factory=list)

    def property(self, *kinds: bytes) -> Body | None:
        """The first property of one of these types."""
        return next((body for kind, body in self.properties if kind in kinds), None)


class Fields:
    """Reads consecutive big-endian numbers; raises `struct.error` at the end."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._at = 0

    def number(self, size: int) -> int:
        """The next number of `size` bytes; 0 if `size` is 0."""
        part = self.bytes(size)
        return int.from_bytes(part, "big")

    def bytes(self, size: int) -> bytes:
        """The next `size` bytes."""
        if size < 0 or self._at + size > len(self._body):
            raise struct.error("the box ends before its content")
        self._at += size
        return bytes(self._body[self._at - size : self._at])

    @property
    def rest(self) -> Body:
        """The bytes that were not read."""
        return self._body[self._at :]


@dataclass(slots=True)
class Catalogue:
    """Content of a file's "meta" box.

    Args:
        items: items by identifier.
        primary: identifier of the picture; 0 if there is none.
        alpha: identifier of the item with its transparency; 0 if there is none.
        idat: content of the box of that name.
    """

    items: dict[int, Item] = field(default_factory=dict)
    primary: int = 0
    alpha: int = 0
    idat: Body = field(default_factory=lambda: memoryview(b""))

    @classmethod
    def read(cls, meta: Body) -> Self:
        """Reads the content of a "meta" box."""
        found = cls()
        properties: list[tuple[bytes, Body]] = []
        auxiliaries: list[int] = []
        boxes = dict(_boxes(meta[4:]))
        if b"pitm" in boxes:
            fields = Fields(boxes[b"pitm"])
            found.primary = fields.number(2 if not fields.number(4) >> 24 else 4)
        found.idat = boxes.get(b"idat", found.idat)
        found._read_types(boxes.get(b"iinf"))
        found._read_places(boxes.get(b"iloc"))
        parts = dict(_boxes(boxes.get(b"iprp", memoryview(b""))))
        properties = list(_boxes(parts.get(b"ipco", memoryview(b""))))
        found._read_properties(parts.get(b"ipma"), properties)
        auxiliaries = found._read_references(boxes.get(b"iref"))
        found.alpha = next((item for item in auxiliaries if found._is_alpha(item)), 0)
        return found

    def item(self, identifier: int) -> Item:
        """The item with this identifier, created if new."""
        if identifier not in self.items and len(self.items) >= MAX_ITEMS:
            raise MediaError(f"expected a HEIC picture of at most {MAX_ITEMS} items, received more")
        return self.items.setdefault(identifier, Item())

    def _read_types(self, body: Body | None) -> None:
        if body is None:
            return
        for kind, entry in _boxes(body[6 if not body[0] else 8 :]):
            if kind == b"infe" and entry[0] >= 2:
                fields = Fields(entry)
                version = fields.number(4) >> 24
                item = self.item(fields.number(2 if version == 2 else 4))
                fields.number(2)
                item.kind = fields.bytes(4)

    def _read_places(self, body: Body | None) -> None:
        if body is None:
            return
        fields = Fields(body)
        version = fields.number(4) >> 24
        sizes, more = fields.number(1), fields.number(1)
        offset_size, length_size, base_size = sizes >> 4, sizes & 15, more >> 4
        index_size = more & 15 if version else 0
        extents = 0
        for _ in range(fields.number(2 if version < 2 else 4)):
            item = self.item(fields.number(2 if version < 2 else 4))
            item.inside = version > 0 and fields.number(2) & 15 == 1
            fields.number(2)
            base = fields.number(base_size)
            count = fields.number(2)
            extents += count
            if extents > MAX_EXTENTS:
                raise MediaError(f"expected a HEIC picture of at most {MAX_EXTENTS:,} parts, received more")
            for _ in range(count):
                fields.number(index_size)
                position = base + fields.number(offset_size)
                item.extents.append((position, fields.number(length_size)))

    def _read_properties(self, body: Body | None, properties: list[tuple[bytes, Body]]) -> None:
        if body is None:
            return
        fields = Fields(body)
        head = fields.number(4)
        wide = head & 1
        for _ in range(fields.number(4)):
            item = self.item(fields.number(2 if not head >> 24 else 4))
            for _ in range(fields.number(1)):
                index = fields.number(2) & 0x7FFF if wide else fields.number(1) & 0x7F
                if 0 < index <= len(properties):
                    item.properties.append(properties[index - 1])

    def _read_references(self, body: Body | None) -> list[int]:
        """Records which items consist of others; returns those that belong to the picture in another role."""
        auxiliaries: list[int] = []
        if body is None:
            return auxiliaries
        size = 2 if not body[0] else 4
        for kind, reference in _boxes(body[4:]):
            fields = Fields(reference)
            item = fields.number(size)
            others = [fields.number(size) for _ in range(fields.number(2))]
            if kind == b"dimg":
                self.item(item).tiles = others
            elif kind == b"auxl" and self.primary in others:
                auxiliaries.append(item)
        return auxiliaries

    def _is_alpha(self, identifier: int) -> bool:
        kind = self.item(identifier).property(b"auxC")
        return kind is not None and (b"alpha" in bytes(kind) or b"auxid:1" in bytes(kind))


def decode_heif(file: Path | BinaryIO, max_pixels: int) -> Image | None:
    """Decodes the picture of a file.

    Args:
        file: a path, or an open file.
        max_pixels: width times height; a larger picture is not decoded.

    Returns:
        RGB uint8 (h, w, 3), upright; None if the file has no single picture, like a sequence.

    Raises:
        MediaError: it is damaged, too large, or of an unsupported kind.
    """
    try:
        with io.BytesIO(b"") if not isinstance(file, Path) else file.open("rb") as opened:
            source = opened if isinstance(file, Path) else file
            meta = _find_meta(source)
            if meta is None:
                return None
            catalogue = Catalogue.read(meta)
            if not catalogue.primary:
                return None
            return _Picture(source, catalogue, max_pixels).decoded()
    except (struct.error, IndexError, KeyError, RecursionError, ZeroDivisionError) as error:
        raise MediaError("a HEIC picture cannot be decoded: it is damaged or truncated") from error
    except FAILURES as error:
        raise MediaError(f"a HEIC picture cannot be decoded: {words(error)}") from error


class _Picture:
    """Decodes the picture of one file."""

    def __init__(self, source: BinaryIO, catalogue: Catalogue, max_pixels: int) -> None:
        self._source = source
        self._catalogue = catalogue
        self._max_pixels = max_pixels
        self._decoders: dict[bytes, VideoCodecContext] = {}
        self._display = Display()

    def decoded(self) -> Image:
        item = self._catalogue.items[self._catalogue.primary]
        image = self._image(item, depth=0)
        if self._catalogue.alpha:
            alpha = self._image(self._catalogue.items[self._catalogue.alpha], depth=0)[..., :1]
            if alpha.shape[:2] == image.shape[:2]:
                image = on_white(np.concatenate((image, alpha), axis=2))
        return np.ascontiguousarray(image)

    def _image(self, item: Item, depth: int) -> Image:
        """The image of a coded item, or of one that consists of others."""
        if depth > 2:
            raise MediaError("a HEIC picture is nested too deeply")
        if item.kind in DECODERS:
            image = self._coded(item)
        elif item.kind == b"grid":
            image = self._grid(item, depth)
        elif item.kind == b"iden" and item.tiles:
            image = self._image(self._catalogue.items[item.tiles[0]], depth + 1)
        else:
            named = item.kind.decode("latin-1")
            raise MediaError(f"a HEIC picture of type {named!r} is not supported; convert it to JPEG or PNG")
        for kind, body in item.properties:
            image = _transformed(image, kind, body)
        return image

    def _grid(self, item: Item, depth: int) -> Image:
        """Tiles of one size, row by row (6.6.2.3); what exceeds the picture's size is cut off."""
        fields = Fields(memoryview(self._data(item)))
        fields.number(1)
        size = 4 if fields.number(1) & 1 else 2
        rows, columns = fields.number(1) + 1, fields.number(1) + 1
        width, height = fields.number(size), fields.number(size)
        check_size(width, height, self._max_pixels)
        if len(item.tiles) != rows * columns or not width * height:
            raise MediaError(f"expected a HEIC picture of {rows}x{columns} tiles, received {len(item.tiles)}")
        if len(item.tiles) > MAX_ITEMS or depth > 1:
            raise MediaError(f"expected a HEIC picture of at most {MAX_ITEMS} tiles, and none made of other tiles")
        image = np.zeros((height, width, 3), np.uint8)
        for number, identifier in enumerate(item.tiles):
            tile = self._image(self._catalogue.items[identifier], depth + 1)
            top, left = number // columns * tile.shape[0], number % columns * tile.shape[1]
            part = image[top : top + tile.shape[0], left : left + tile.shape[1]]
            part[:] = tile[: part.shape[0], : part.shape[1]]
        return image

    def _coded(self, item: Item) -> Image:
        stated = item.property(b"ispe")
        if stated is not None:
            fields = Fields(stated)
            fields.number(4)
            check_size(fields.number(4), fields.number(4), self._max_pixels)
        context = self._decoder(item)
        frames = context.decode(av.Packet(self._data(item)))
        frames += context.decode(None)
        context.flush_buffers()
        if not frames:
            raise MediaError("a HEIC picture cannot be decoded: it is empty")
        frame = frames[0]
        _colour(frame, item.property(b"colr"))
        frame.pts, frame.time_base = 0, TIME_BASE
        return to_rgb(self._display.show(frame))

    def _decoder(self, item: Item) -> VideoCodecContext:
        """A decoder with the item's configuration, usually the same for all tiles."""
        configuration = bytes(item.property(*CONFIGURATIONS) or b"")
        key = item.kind + configuration
        if key not in self._decoders:
            context = cast("VideoCodecContext", av.CodecContext.create(DECODERS[item.kind], "r"))
            context.extradata = configuration
            context.thread_count = 1
            context.options = {"max_pixels": str(self._max_pixels)}
            self._decoders = {key: context}
        return self._decoders[key]

    def _data(self, item: Item) -> bytes:
        """The data of all parts of an item."""
        parts: list[bytes] = []
        for position, length in item.extents:
            if length > ITEM_BYTES or len(parts) > MAX_ITEMS:
                raise MediaError("an item of a HEIC picture is too large")
            if item.inside:
                part = bytes(self._catalogue.idat[position : position + length])
            else:
                self._source.seek(position)
                part = self._source.read(length)
            if len(part) < length:
                raise MediaError("a HEIC picture cannot be decoded: it is truncated")
            parts.append(part)
        return b"".join(parts)


def _boxes(body: Body) -> Iterator[tuple[bytes, Body]]:
    """Type and content of each box (ISO/IEC 14496-12, 4.2)."""
    at = 0
    for _ in range(MAX_BOXES):
        if at + 8 > len(body):
            return
        size, kind = struct.unpack_from(">I4s", body, at)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", body, at + 8)
            head = 16
        end = len(body) if size == 0 else at + size
        if end < at + head or end > len(body):
            raise struct.error("a box reaches beyond its parent")
        yield kind, body[at + head : end]
        at = end


def _find_meta(source: BinaryIO) -> Body | None:
    """The content of the file's top-level "meta" box."""
    at = 0
    for _ in range(1000):
        source.seek(at)
        head = source.read(16)
        if len(head) < 8:
            return None
        size, kind = struct.unpack_from(">I4s", head)
        begin = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", head, 8)
            begin = 16
        if kind == b"meta":
            length = META_BYTES + 1 if size == 0 else size - begin
            source.seek(at + begin)
            content = source.read(min(max(length, 0), META_BYTES + 1))
            if len(content) > META_BYTES or (size and len(content) < length):
                raise MediaError("a HEIC picture cannot be decoded: it is damaged or truncated")
            return memoryview(content)
        if size < begin:
            return None
        at += size
    return None


def _transformed(image: Image, kind: bytes, body: Body) -> Image:
    """The picture cropped, rotated or mirrored according to one of its properties (6.5.9 to 6.5.12)."""
    if kind == b"irot":
        return np.rot90(image, body[0] & 3)
    if kind == b"imir":
        return image[:, ::-1] if body[0] & 1 else image[::-1]
    if kind == b"clap":
        width, height, right, down = (top / bottom for top, bottom in struct.iter_unpack(">ii", bytes(body[:32])))
        h, w = image.shape[:2]
        left, above = round((w - width) / 2 + right), round((h - height) / 2 + down)
        if left >= 0 and above >= 0 and 1 <= width <= w - left and 1 <= height <= h - above:
            return image[above : above + round(height), left : left + round(width)]
    return image


def _colour(frame: VideoFrame, stated: Body | None) -> None:
    """The file's own colour information overrides that of the coded picture (6.5.5)."""
    if stated is not None and bytes(stated[:4]) == b"nclx":
        primaries, transfer, matrix, full = struct.unpack_from(">HHHB", stated, 4)
        frame.color_primaries, frame.color_trc, frame.colorspace = primaries, transfer, matrix
        frame.color_range = 2 if full & 0x80 else 1
