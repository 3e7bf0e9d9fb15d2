"""Serves the web page that `make web` builds.

The files are read once at start, so that no request can reach anything else, and text is kept compressed as well: a
phone loads the page in one round trip. Names in assets/ contain a hash of the content and can be cached for ever;
index.html is revalidated each time.
"""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

FOLDER: Final = Path(__file__).parents[1] / "page"

_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_NOT_BUILT: Final = "The page is not built: run `make web`, then start the server again.\n"


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of the page.

    Args:
        body: its content.
        compressed: its content in gzip; None if that is not smaller.
        media_type: for Content-Type.
        etag: changes with the content.
        cache_control: value of Cache-Control.
    """

    body: bytes
    compressed: bytes | None
    media_type: str
    etag: str
    cache_control: str


def read_page(folder: Path = FOLDER) -> Mapping[str, PageFile]:
    """The files of a built page by URL path, "/" among them; empty if the page is not built."""
    if not (folder / "index.html").is_file():
        return {}
    files = {
        f"/{path.relative_to(folder).as_posix()}": _read(path, folder) for path in folder.rglob("*") if path.is_file()
    }
    return {**files, "/": files["/index.html"]}


def _read(path: Path, folder: Path) -> PageFile:
    body = path.read_bytes()
    compressed = gzip.compress(body, mtime=0)
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return PageFile(
        body=body,
        compressed=compressed if len(compressed) < 0.9 * len(body) else None,
        media_type=f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type,
        etag=f'"{hashlib.sha256(body).hexdigest()[:20]}"',
        cache_control=_FOR_EVER if path.parent == folder / "assets" else _ASK_AGAIN,
    )


def router(files: Mapping[str, PageFile]) -> APIRouter:
    """Routes of the page's files, or one that explains how to build them."""
    routes = APIRouter(include_in_schema=False)
    if not files:
        routes.add_api_route("/", _not_built, methods=["GET", "HEAD"])
    for path, file in files.items():
        routes.add_api_route(path, _Route(file), methods=["GET", "HEAD"])
    return routes


async def _not_built() -> Response:
    return PlainTextResponse(_NOT_BUILT, status_code=503)


class _Route:
    """Serves one file."""

    def __init__(self, file: PageFile) -> None:
        self._file = file

    async def __call__(self, request: Request) -> Response:
        file = self._file
        headers = {"ETag": file.etag, "Cache-Control": file.cache_control, "Vary": "Accept-Encoding"}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        body = file.body
        if file.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            body = file.compressed
            headers["Content-Encoding"] = "gzip"
        return Response(body, media_type=file.media_type, headers=headers)
