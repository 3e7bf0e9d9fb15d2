"""Answers errors as application/problem+json (RFC 9457).

`detail` says what was expected, what was received and how to correct it. An unexpected error is logged with its
traceback and answered by a sentence without internals.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream_detect.errors import (
    AccessError,
    AddressError,
    AnalysisError,
    BodyTooLargeError,
    BundleError,
    CapacityError,
    CodecError,
    ConflictError,
    ContentTypeError,
    DiskFullError,
    ForbiddenError,
    MediaError,
    NotFoundError,
    NoVideoError,
    OfferError,
    PasswordError,
    PreconditionError,
    ProviderError,
    RequestError,
    SettingsError,
    SignalingError,
    SourceError,
    StorageError,
    StreamDetectError,
    TooManyGuessesError,
)

MEDIA_TYPE = "application/problem+json"

_RETRY_AFTER_S = 5
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kind:
    """How one of our errors is answered."""

    status: HTTPStatus
    title: str


# Looked up along an error's class order, so a subclass without its own entry is answered like its parent.
_KINDS: Mapping[type[StreamDetectError], Kind] = {
    OfferError: Kind(HTTPStatus.BAD_REQUEST, "Offer not understood"),
    NoVideoError: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "No video offered"),
    CodecError: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "No common codec"),
    SignalingError: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "Offer cannot be answered"),
    RequestError: Kind(HTTPStatus.BAD_REQUEST, "Request not understood"),
    BodyTooLargeError: Kind(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Body too large"),
    ContentTypeError: Kind(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Content type not taken"),
    CapacityError: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "Server full"),
    PreconditionError: Kind(HTTPStatus.PRECONDITION_FAILED, "Replaced meanwhile"),
    ConflictError: Kind(HTTPStatus.CONFLICT, "Conflict"),
    AddressError: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "Address not usable"),
    SourceError: Kind(HTTPStatus.BAD_GATEWAY, "Source gives no pictures"),
    DiskFullError: Kind(HTTPStatus.INSUFFICIENT_STORAGE, "Disk full"),
    StorageError: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "Storage unavailable"),
    NotFoundError: Kind(HTTPStatus.NOT_FOUND, "Not found"),
    SettingsError: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "Settings not usable"),
    MediaError: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "Picture or stream not readable"),
    AnalysisError: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "Analysis unavailable"),
    BundleError: Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "Model bundle not usable"),
    TooManyGuessesError: Kind(HTTPStatus.TOO_MANY_REQUESTS, "Too many attempts"),
    ProviderError: Kind(HTTPStatus.BAD_GATEWAY, "Sign-in provider unavailable"),
    ForbiddenError: Kind(HTTPStatus.FORBIDDEN, "Role not sufficient"),
    AccessError: Kind(HTTPStatus.UNAUTHORIZED, "Sign-in needed"),
    PasswordError: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "Password not usable"),
    StreamDetectError: Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "Server error"),
}


def kind_of(error: StreamDetectError) -> Kind:
    """How an error of this package is answered."""
    return next(_KINDS[parent] for parent in type(error).__mro__ if parent in _KINDS)


def problem(
    status: HTTPStatus, detail: str, title: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """A problem+json response.

    Args:
        status: status of the response, also the default title.
        detail: what was expected, what was received, and what to do; lone surrogates, which JSON can name and UTF-8
            cannot encode, are escaped.
        title: short name of the kind of problem.
        headers: further headers.
    """
    said = detail.encode("utf-8", "backslashreplace").decode()
    content = {"type": "about:blank", "title": title or status.phrase, "status": int(status), "detail": said}
    return JSONResponse(content, status_code=status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def install(application: FastAPI) -> None:
    """Makes `application` answer every error as a problem."""
    application.exception_handler(StreamDetectError)(_ours)
    application.exception_handler(HTTPException)(_http)
    application.exception_handler(RequestValidationError)(_invalid)
    application.exception_handler(Exception)(_unforeseen)


class UnexpectedErrors:
    """ASGI middleware that answers unexpected errors of the middleware and routes behind it.

    Starlette answers them in front of all middleware, where the response gets no security headers and the audit log no
    entry.

    Args:
        application: the application.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request; an error after the beginning of its response is raised, which closes the connection."""
        began = False

        async def sent(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._application(scope, receive, sent)
        except Exception as error:
            if began or scope["type"] != "http":
                raise
            response = await _unforeseen(Request(scope), error)
            await response(scope, receive, send)


async def _ours(_request: Request, error: StreamDetectError) -> Response:
    return answer_of(error)


def answer_of(error: StreamDetectError) -> Response:
    """The response to an error of this package."""
    kind = kind_of(error)
    if kind.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("%s: %s", type(error).__name__, error)
    headers: dict[str, str] = {}
    if kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(error.retry_after_s if isinstance(error, CapacityError) else _RETRY_AFTER_S)
    if isinstance(error, TooManyGuessesError):
        headers["Retry-After"] = str(error.retry_after_s)
    return problem(kind.status, str(error), kind.title, headers)


async def _http(request: Request, error: HTTPException) -> Response:
    status = HTTPStatus(error.status_code)
    detail = str(error.detail)
    headers = dict(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(request) or headers.get("Allow", "")
    if detail == status.phrase:  # raised by the router without a detail
        detail = _ROUTER.get(status, "{method} {path} cannot be answered").format(
            method=request.method, path=request.url.path, allowed=headers.get("Allow", "other methods")
        )
    return problem(status, detail, headers=headers)


def _allowed(request: Request) -> str:
    """All methods of a path (RFC 9110, 10.2.1): the router lists those of one route only."""
    application: FastAPI = request.app
    paths = application.openapi()["paths"]
    there = request.url.path
    matching = [there] if there in paths else [path for path in paths if _is_of(path, there)]
    methods = {method.upper() for path in matching for method in paths[path]}
    return ", ".join(sorted(methods, key=lambda method: (method == "OPTIONS", method)))


def _is_of(template: str, path: str) -> bool:
    """Whether a path matches a template such as /api/cameras/{name}."""
    return re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path) is not None


_ROUTER: Mapping[HTTPStatus, str] = {
    HTTPStatus.NOT_FOUND: "nothing is at {path}; /docs lists the routes",
    HTTPStatus.METHOD_NOT_ALLOWED: "expected {allowed} at {path}, received {method}",
}


async def _invalid(_request: Request, error: RequestValidationError) -> Response:
    details: list[str] = [_sentence(found) for found in error.errors()]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(details), "Request not understood")


def _sentence(found: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in found["loc"])
    return f"{place}: {found['msg']}"


async def _unforeseen(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed on this request; its log says why", "Server error"
    )
