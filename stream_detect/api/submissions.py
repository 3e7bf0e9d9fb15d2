"""The route of submissions: a form of files, or an address to fetch a file from; each file becomes an analysis."""

import asyncio
import contextlib
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

from fastapi import APIRouter, HTTPException, Request
from pydantic import ValidationError

from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.api import forms
from stream_detect.api.requests import client_of, content_type, read_body, unexpected_content
from stream_detect.api.schemas.analyses import AddressWish, AnalysesBody, AnalysisBody
from stream_detect.errors import AddressError, BodyTooLargeError, CapacityError, RequestError, SettingsError
from stream_detect.jobs.incoming import shown_name
from stream_detect.jobs.jobs import Jobs, ReviewOptions
from stream_detect.jobs.library import Library
from stream_detect.settings import ReviewSettings
from stream_detect.sources.address import redacted
from stream_detect.storage.records import Analysis

MAX_RATE_HZ = 60.0
_RETRY_AFTER_S = 10
_FORM_BYTES = 1_000_000
_JSON = "application/json"

Models = Callable[[Sequence[str]], tuple[tuple[str, str], ...]]
"""Returns names and sha256 of these bundles, or of the model in use; raises SettingsError for unknown ones. Blocks."""


class Submissions:
    """Accepts files and addresses. Used on the event loop.

    Args:
        jobs: all analyses.
        library: stores uploads.
        models: finds bundles.
        settings: limits, and the default rate.
        analysis: checks whether a rate is too low for a verdict.
    """

    def __init__(
        self, jobs: Jobs, library: Library, models: Models, settings: ReviewSettings, analysis: AnalysisSettings
    ) -> None:
        self._jobs = jobs
        self._library = library
        self._models = models
        self._settings = settings
        self._analysis = analysis
        self._uploads: Counter[str] = Counter()

    async def take(self, request: Request) -> Sequence[Analysis]:
        """Accepts a form with files, or an address as JSON."""
        if content_type(request) == _JSON:
            return (await self._address(request),)
        if content_type(request) == forms.MULTIPART:
            return await self._form(request)
        raise unexpected_content(request, f"{forms.MULTIPART} or {_JSON}")

    async def _form(self, request: Request) -> Sequence[Analysis]:
        self._jobs.check_place()
        self._check_length(request)
        with self._uploading(request):
            async with forms.received(request, self._library, self._settings) as form:
                rates = form.fields.get("rate_hz", [])
                options = await self._options(form.fields.get("model", []), _number(rates[-1]) if rates else None)
                if not form.files:
                    raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "expected at least one file, received none")
                return await asyncio.to_thread(self._jobs.submit, form.files, options)

    def _check_length(self, request: Request) -> None:
        """Rejects a body whose stated length is too large; the real length is checked while reading."""
        limits = self._settings
        most = limits.max_upload_bytes * limits.max_files + _FORM_BYTES
        stated = request.headers.get("content-length", "")
        if stated.isdecimal() and int(stated) > most:
            raise BodyTooLargeError(
                f"expected at most {limits.max_files} files of {limits.max_upload_bytes / 1e6:.6g} MB "
                f"(review.max_files, review.max_upload_bytes), received {int(stated) / 1e6:.6g} MB"
            )

    async def _address(self, request: Request) -> Analysis:
        if not self._settings.urls:
            raise AddressError("fetching files from addresses is disabled here (review.urls); upload the file")
        try:
            wished = AddressWish.model_validate_json(await read_body(request))
        except ValidationError as error:
            raise RequestError(
                f"expected a url and optionally models and rate_hz: {error.errors()[0]['msg']}"
            ) from error
        address = _checked(wished.url)
        name = shown_name(unquote(urlsplit(address).path))
        options = await self._options(wished.models, wished.rate_hz)
        return await asyncio.to_thread(self._jobs.submit_address, address, _without_secrets(address), name, options)

    async def _options(self, names: Sequence[str], rate_hz: float | None) -> ReviewOptions:
        rate_hz = self._settings.rate_hz if rate_hz is None else rate_hz
        if not math.isfinite(rate_hz) or not 0 < rate_hz <= MAX_RATE_HZ:
            raise SettingsError(f"expected a rate_hz above 0 and up to {MAX_RATE_HZ:g}, received {rate_hz:g}")
        self._analysis.at_rate(rate_hz)
        return ReviewOptions(await asyncio.to_thread(self._models, names), rate_hz)

    @contextlib.contextmanager
    def _uploading(self, request: Request) -> Iterator[None]:
        """Reserves a place for an upload; some are kept for other addresses."""
        client = client_of(request)
        limits = self._settings
        if self._uploads.total() >= limits.max_uploads or self._uploads[client] >= limits.max_uploads_per_client:
            raise CapacityError(
                f"{self._uploads.total()} uploads are in progress, {self._uploads[client]} of them yours; "
                f"expected at most {limits.max_uploads} and {limits.max_uploads_per_client} "
                "(review.max_uploads, review.max_uploads_per_client)",
                _RETRY_AFTER_S,
            )
        self._uploads[client] += 1
        try:
            yield
        finally:
            self._uploads[client] -= 1
            if not self._uploads[client]:
                del self._uploads[client]


def router(submissions: Submissions) -> APIRouter:
    """The route of submissions.

    Args:
        submissions: accepts them.
    """
    routes = APIRouter(prefix="/api/analyses", tags=["analyses"])

    # Starlette's limit does not say what is wrong; ours apply while reading.
    @routes.post("", status_code=202, max_body_size=sys.maxsize, openapi_extra=_BODIES, responses=_REFUSALS)
    async def submit(request: Request) -> AnalysesBody:
        """Accepts files, or an address from which to fetch one; each becomes an analysis."""
        return AnalysesBody(items=tuple(map(AnalysisBody.of, await submissions.take(request))))

    return routes


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SettingsError(f"expected a number as rate_hz, received {shown_name(text)}") from None


def _checked(url: str) -> str:
    """Checks only its form; where it leads is checked when it is fetched."""
    address = url.strip()
    try:
        parts = urlsplit(address)
        usable = (
            parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
        )
    except ValueError:
        usable = False
    if not usable or any(character.isspace() or not character.isprintable() for character in address):
        raise AddressError(
            "expected an address that begins with http:// or https:// and names a host, without a user and password"
        )
    return address


def _without_secrets(address: str) -> str:
    """Hides the whole query, which may be a signature."""
    return redacted(address).partition("?")[0].partition("#")[0]


_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "the body is malformed or incomplete"},
    413: {"description": "a file is too large, or there are too many files"},
    415: {"description": f"the content type is neither {forms.MULTIPART} nor {_JSON}"},
    422: {"description": "a model, the rate, a part of the form or the address cannot be used"},
    503: {"description": "too many analyses are queued, or too many uploads are in progress"},
    507: {"description": "the disk is full"},
}

_BODIES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            forms.MULTIPART: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "model": {"type": "array", "items": {"type": "string"}},
                        "rate_hz": {"type": "number"},
                    },
                }
            },
            _JSON: {"schema": AddressWish.model_json_schema()},
        },
    }
}
