"""Upload forms of every shape are read or refused with the right error, and a refused one leaves nothing."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from fastapi import HTTPException
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from stream_detect.api import forms
from stream_detect.errors import RequestError
from stream_detect.jobs.library import Library
from stream_detect.settings import ReviewSettings
from tests.files import files_in

LIMITS = ReviewSettings(max_upload_bytes=20_000, max_files=3, min_free_bytes=0)
REFUSED = (RequestError, HTTPException)


def request_of(chunks, content_type=b"multipart/form-data; boundary=x", *, goes_away=False):
    """A request whose body arrives in these chunks and then ends, or does not end."""
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.disconnect"} if goes_away else {"type": "http.request", "body": b""})
    coming = iter(messages)

    async def receive():
        return next(coming)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", content_type)]}
    return Request(scope, receive)


def read(chunks, content_type=b"multipart/form-data; boundary=x", *, goes_away=False):
    """The contents of a form's files and its fields, or the exception that refuses it."""
    with tempfile.TemporaryDirectory() as folder:
        library = Library(Path(folder) / "analyses", LIMITS)

        async def received():
            request = request_of(chunks, content_type, goes_away=goes_away)
            async with forms.received(request, library, LIMITS) as form:
                return [file.path.read_bytes() for file in form.files], dict(form.fields)

        try:
            return asyncio.run(received())
        except REFUSED as error:
            return error
        finally:
            assert not files_in(Path(folder))


HEADERS = st.sampled_from([
    b'Content-Disposition: form-data; name="file"; filename="a"',
    b'Content-Disposition: form-data; name="file"; filename=""',
    b"Content-Disposition: form-data; name=file; filename*=utf-8''%ff",
    b'Content-Disposition: form-data; name="model"',
    b'Content-Disposition: form-data; name="rate_hz"',
    b'Content-Disposition: form-data; name="other"',
    b"Content-Disposition: form-data",
    b"Content-Type: multipart/mixed; boundary=y",
    b"X: " + b"y" * 10_000,
    b"\xff\xfe: \x00",
    b"no colon",
    b"",
])  # fmt: skip
LINES = st.one_of(
    st.just(b"--x\r\n"),
    st.just(b"\r\n--x\r\n"),
    st.just(b"\r\n--x--\r\n"),
    st.just(b"\r\n--x--"),
    st.just(b"\r\n\r\n"),
    HEADERS.map(lambda header: header + b"\r\n"),
    st.binary(max_size=40),
    st.integers(1, 30_000).map(lambda size: b"z" * size),
)


def split(body, size):
    return [body[at : at + size] for at in range(0, len(body), size)]


@settings(max_examples=300, deadline=None)
@given(st.lists(LINES, max_size=12), st.integers(1, 5000), st.booleans())
def test_any_form_is_read_or_refused(lines, size, goes_away):
    body = b"".join(lines)
    found = read(split(body, max(size, len(body) // 200 + 1)), goes_away=goes_away)
    assert isinstance(found, (tuple, *REFUSED))
    if isinstance(found, tuple):
        files, fields = found
        assert len(files) <= LIMITS.max_files
        assert all(len(content) <= LIMITS.max_upload_bytes for content in files)
        assert set(fields) <= {"model", "rate_hz"}


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.integers(1, 300))
def test_a_whole_form_is_read_as_it_was_sent_however_it_is_cut(content, size):
    content = content.replace(b"--x", b"")
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    field = b'\r\n--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nm'
    assert read(split(head + content + field + b"\r\n--x--\r\n", size)) == ([content], {"model": ["m"]})


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100))
def test_any_content_type_is_read_or_refused(content_type):
    assert isinstance(read([b"--x--\r\n"], content_type), (tuple, *REFUSED))


class Trickle:
    """A body of which one byte arrives at each of these times of the event loop's clock."""

    def __init__(self, pause_s, byte=b"z"):
        self.pause_s, self.byte = pause_s, byte

    async def __call__(self):
        await asyncio.sleep(self.pause_s)
        return {"type": "http.request", "body": self.byte, "more_body": True}


@pytest.mark.parametrize("pause_s", [0.01, 0.15, 30.0])
def test_a_sender_that_trickles_is_refused(tmp_path, monkeypatch, pause_s):
    monkeypatch.setattr(forms, "RATE_OVER_S", 0.2)
    library = Library(tmp_path / "analyses", LIMITS)

    async def received():
        request = Request(request_of([]).scope, Trickle(pause_s))
        async with forms.received(request, library, LIMITS):
            raise AssertionError("it has no end")

    with pytest.raises(RequestError, match=r"at least 2000 bytes a second \(review.min_upload_bytes_s\)"):
        asyncio.run(received())
