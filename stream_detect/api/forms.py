"""Upload forms: reads multipart bodies (RFC 7578) in chunks, and writes their files to the disk.

A form is never whole in memory and never longer than the settings allow, whatever lengths and types it states. A form
that is refused, or whose sender disconnects or is too slow, leaves no file.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from fastapi import HTTPException
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from stream_detect.errors import BodyTooLargeError, RequestError
from stream_detect.jobs.incoming import IncomingFile, ReceivedFile, shown_name
from stream_detect.jobs.library import Library
from stream_detect.settings import ReviewSettings

MULTIPART = "multipart/form-data"

RATE_OVER_S = 10.0
"""The sender's rate is measured over this much time spent waiting for it."""

MAX_FIELDS = 32
MAX_FIELD_BYTES = 1024
_AT_ONCE_BYTES = 1 << 20
_MAX_EPILOGUE_BYTES = 4096


@dataclass(slots=True)
class UploadForm:
    """A received form.

    Args:
        files: in order; deleted at the end unless they were moved.
        fields: values by name.
    """

    files: list[ReceivedFile] = field(default_factory=list)
    fields: dict[str, list[str]] = field(default_factory=dict)


@contextlib.asynccontextmanager
async def received(request: Request, library: Library, settings: ReviewSettings) -> AsyncIterator[UploadForm]:
    """Reads a complete form.

    Args:
        request: the request.
        library: stores the files.
        settings: `max_files` and `min_upload_bytes_s` are used.

    Raises:
        BodyTooLargeError: a file is too large.
        RequestError: it is not a form, is truncated, or arrives too slowly.
        StorageError: it cannot be written.
        HTTPException: it contains unexpected parts.
    """
    reader = _Reader(_boundary(request), library, settings.max_files)
    try:
        waiting = bytearray()
        async for chunk in _timely(request, settings.min_upload_bytes_s):
            waiting += chunk
            if len(waiting) >= _AT_ONCE_BYTES:
                await asyncio.to_thread(reader.feed, bytes(waiting))
                waiting.clear()
        await asyncio.to_thread(reader.finish, bytes(waiting))
        yield reader.form
    finally:
        await asyncio.to_thread(reader.discard)


async def _timely(request: Request, min_bytes_s: int) -> AsyncIterator[bytes]:
    """The body's chunks while they arrive fast enough; time in which the server writes them does not count."""
    loop, chunks = asyncio.get_running_loop(), request.stream()
    waited_s, received_bytes = 0.0, 0
    try:
        while True:
            began_s = loop.time()
            async with asyncio.timeout(RATE_OVER_S - waited_s if min_bytes_s else None):
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            waited_s += loop.time() - began_s
            received_bytes += len(chunk)
            if received_bytes >= min_bytes_s * RATE_OVER_S:  # enough for this span, however long it took
                waited_s, received_bytes = 0.0, 0
            yield chunk
    except ClientDisconnect as error:
        raise RequestError("expected a complete upload, but the client closed the connection before its end") from error
    except TimeoutError as error:
        raise RequestError(
            f"expected at least {min_bytes_s} bytes a second (review.min_upload_bytes_s), "
            f"received {received_bytes} in {RATE_OVER_S:g} s"
        ) from error


def _boundary(request: Request) -> bytes:
    _, options = parse_options_header(request.headers.get("content-type", "").encode("latin-1"))
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise RequestError(f"expected {MULTIPART} with a boundary, received none")
    return boundary


class _Reader:
    """Processes the chunks, on one thread at a time; blocks."""

    def __init__(self, boundary: bytes, library: Library, max_files: int) -> None:
        self.form = UploadForm()
        self._library = library
        self._max_files = max_files
        self._one_at_a_time = threading.Lock()
        self._discarded = False
        self._ended = False
        self._epilogue_bytes = 0
        self._parts = 0
        self._headers: dict[bytes, bytes] = {}
        self._header = (bytearray(), bytearray())
        self._file: IncomingFile | None = None
        self._is_blank = False
        self._written: list[IncomingFile] = []
        self._text = bytearray()
        self._name = ""
        callbacks: dict[str, Callable[..., None]] = {
            "on_part_begin": self._part_begins,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_part_end": self._part_ends,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type] # its callbacks are a TypedDict
        except FormParserError as error:
            raise RequestError(f"expected a usable boundary: {error}") from error

    def feed(self, chunk: bytes) -> None:
        """Adds bytes."""
        with self._one_at_a_time:
            if self._discarded:
                return
            if self._ended:
                self._epilogue_bytes += len(chunk)
                if self._epilogue_bytes > _MAX_EPILOGUE_BYTES:
                    raise RequestError("expected nothing after the end of the form, received more")
                return
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise RequestError(f"expected {MULTIPART}, received something else: {error}") from error

    def finish(self, chunk: bytes) -> None:
        """Adds the last bytes."""
        self.feed(chunk)
        if not self._ended:
            raise RequestError("expected a complete upload, received one that ends before its closing boundary")

    def discard(self) -> None:
        """Deletes the files that were not moved."""
        with self._one_at_a_time:
            self._discarded = True
            for file in self._written:
                file.discard()

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > self._max_files + MAX_FIELDS:
            raise RequestError(f"expected at most {MAX_FIELDS} fields, received more")
        self._headers = {}
        self._file = None
        self._text = bytearray()

    def _header_ends(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = _text(options.get(b"name", b""))
        if b"filename" in options:
            if self._name != "file":
                raise _unusable(f"expected files in parts named file, received one named {shown_name(self._name)}")
            if len(self._written) >= self._max_files:
                raise BodyTooLargeError(f"expected at most {self._max_files} files (review.max_files), received more")
            self._is_blank = not options[b"filename"]  # what a page sends for an empty field
            self._file = self._library.incoming(shown_name(_text(options[b"filename"])))
            self._written.append(self._file)
        elif self._name not in {"model", "rate_hz"}:
            raise _unusable(f"expected parts named file, model or rate_hz, received one named {shown_name(self._name)}")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > MAX_FIELD_BYTES:
            raise BodyTooLargeError(f"expected {self._name} of at most {MAX_FIELD_BYTES} bytes, received more")

    def _part_ends(self) -> None:
        if self._file is not None:
            file = self._file.finish()
            if file.bytes or not self._is_blank:
                self.form.files.append(file)
        else:
            self.form.fields.setdefault(self._name, []).append(_text(bytes(self._text)).strip())

    def _end(self) -> None:
        self._ended = True


def _text(value: bytes) -> str:
    return value.decode("utf-8", errors="replace")


def _unusable(detail: str) -> HTTPException:
    return HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
