"""The OpenAPI description at /openapi.json: what FastAPI generates for each route, and what applies to all routes.

A route declares its own answers; those of the middleware, the time limits and the format of errors are added here, so
that the description has every status and content type that a client can receive.

/docs shows the description as a plain HTML page: FastAPI's own pages load scripts from other servers, which the content
security policy forbids and an offline machine cannot do; this one needs no script.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import HTMLResponse, Response

from stream_detect import __version__
from stream_detect.api.middleware.authorization import COOKIE
from stream_detect.api.middleware.permissions import Permission, Permissions
from stream_detect.api.middleware.problems import MEDIA_TYPE
from stream_detect.api.middleware.turns import PROBES

Operation = dict[str, Any]

_UNSAFE: Final = frozenset({"post", "put", "patch", "delete"})
_PROBLEM: Final = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_SCHEMA: Final = {
    "title": "Problem",
    "description": "An error (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what was expected, what was received, and the cure"},
    },
}
_TEXT: Final = {"schema": {"type": "string"}}
_RETRY: Final = {
    "Retry-After": {"description": "seconds to wait before the next attempt", "schema": {"type": "integer"}}
}
_BY_TOKEN: Final[Mapping[str, Operation]] = {
    "401": {
        "description": "nobody is signed in, or the access token is missing, wrong, expired or revoked",
        "headers": {"WWW-Authenticate": {"description": "Bearer", **_TEXT}},
    },
    "403": {"description": "the user's role does not permit this, or a page of another origin sent the request"},
    "429": {"description": "too many wrong access tokens came from this address", "headers": _RETRY},
}
_ALWAYS: Final[Mapping[str, Operation]] = {
    "413": {"description": "the body is too large"},
    "421": {"description": "the Host header names another host"},
    "500": {"description": "internal error; the server's log has the details"},
}
_BUSY: Final[Mapping[str, Operation]] = {
    "503": {
        "description": "all places are taken, too many requests from this address are waiting, or the database does "
        "not respond in time"
    },
}
_CHANGES: Final[Mapping[str, Operation]] = {
    "403": {"description": "a page of another origin sent the request"},
    "507": {"description": "the disk is full"},
}
_WITH_BODY: Final[Mapping[str, Operation]] = {
    "400": {"description": "the body is malformed"},
}


def describe(application: FastAPI, permissions: Permissions) -> dict[str, Any]:
    """The OpenAPI 3.1 document of an application, complete; made once.

    Args:
        application: with all its routes.
        permissions: permissions of the routes.
    """
    if application.openapi_schema is None:
        document = FastAPI.openapi(application)
        components = document.setdefault("components", {})
        components.setdefault("schemas", {})["Problem"] = _SCHEMA
        for unused in ("HTTPValidationError", "ValidationError"):
            components["schemas"].pop(unused, None)
        components["securitySchemes"] = {
            "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "the token of the settings (server.token), or a user's API token",
            },
            "session": {
                "type": "apiKey",
                "in": "cookie",
                "name": COOKIE,
                "description": "session of a signed-in browser",
            },
        }
        _flatten_rows(components)
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                _complete(path, method, operation, permissions.needed(method.upper(), path))
        application.openapi_schema = document
    return application.openapi_schema


def _flatten_rows(schema: object) -> None:
    """Converts rows of values of several types to lists of any of these: few generators know `prefixItems`."""
    if isinstance(schema, dict):
        if isinstance(schema.get("prefixItems"), list):
            kinds = [kind for part in schema.pop("prefixItems") for kind in part.get("anyOf", [part])]
            schema["items"] = {"anyOf": [kind for number, kind in enumerate(kinds) if kind not in kinds[:number]]}
        for part in schema.values():
            _flatten_rows(part)
    elif isinstance(schema, list):
        for part in schema:
            _flatten_rows(part)


def _complete(path: str, method: str, operation: Operation, permission: Permission) -> None:
    is_open = permission.least is None
    operation["security"] = [{}] if is_open else [{"token": []}, {"session": []}, {}]
    if permission.least is not None:
        operation["x-role"] = permission.least.value  # the minimum role
    operation["parameters"] = [*operation.get("parameters", []), *_missing_parameters(path, operation)]
    responses = operation["responses"]
    for status, response in _common(path, method, operation, is_open=is_open):
        responses.setdefault(status, dict(response))
    if operation["parameters"] and method != "options":
        responses.setdefault("422", {"description": "a parameter does not match its schema"})
    for status, response in responses.items():
        content = response.get("content", {})
        for kind in content.values():
            if "itemSchema" in kind:  # a keyword of OpenAPI 3.2
                kind.clear()
                kind.update(_TEXT)
        if status >= "400" and (not content or status == "422"):
            response["content"] = _PROBLEM
        if status == "413":
            response["content"] = {**_PROBLEM, "text/plain": _TEXT}  # the latter before a route is reached
        if status in {"503", "429"}:
            response.setdefault("headers", _RETRY)
    operation["responses"] = dict(sorted(responses.items()))


def _common(path: str, method: str, operation: Operation, *, is_open: bool) -> Iterator[tuple[str, Operation]]:
    yield from _ALWAYS.items()
    if path not in PROBES:
        yield from _BUSY.items()
    if not is_open:
        yield from _BY_TOKEN.items()
    if method in _UNSAFE:
        yield from _CHANGES.items()
    if "requestBody" in operation:
        yield from _WITH_BODY.items()
    if any(parameter["in"] == "query" for parameter in operation["parameters"]):
        yield "400", {"description": "a parameter matches its schema but cannot be used here"}
    if "{" in path and method != "options":
        yield "404", {"description": "nothing has this name or id"}


def _missing_parameters(path: str, operation: Operation) -> Iterator[Operation]:
    """Path parameters that a route need not declare, but OpenAPI requires in every operation."""
    known = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"}
    for name in re.findall(r"{(\w+)", path):
        if name not in known:
            yield {"name": name, "in": "path", "required": True, **_TEXT}


def reference() -> APIRouter:
    """The routes of the description, as JSON and as an HTML page.

    Both are encoded once and kept as bytes: the JSON takes 6 ms of the event loop, which FastAPI's own route spends on
    each request.
    """
    routes = APIRouter(include_in_schema=False)

    @cache  # one application, and one path prefix, which the settings give
    def as_json(application: FastAPI, prefix: str) -> bytes:
        servers = {"servers": [{"url": prefix}]} if prefix else {}
        return json.dumps({**application.openapi(), **servers}, ensure_ascii=False, separators=(",", ":")).encode()

    @cache
    def as_page(application: FastAPI) -> bytes:
        return _html(application.openapi()).encode()

    @routes.get("/openapi.json")
    async def document(request: Request) -> Response:
        """Every route, for programs."""
        prefix = request.scope.get("root_path", "").rstrip("/")
        return Response(as_json(request.app, prefix), media_type="application/json")

    @routes.get("/docs")
    async def page(request: Request) -> HTMLResponse:
        """Every route with its purpose and its responses."""
        return HTMLResponse(as_page(request.app))

    return routes


def _html(openapi: dict[str, Any]) -> str:
    """HTML of an OpenAPI description."""
    sections = [
        _section(method, path, operation)
        for path, operations in openapi["paths"].items()
        for method, operation in operations.items()
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Routes</title>'
        '<link rel="icon" href="data:,"></head>'
        f"<body><main><h1>Routes of stream-detect {escape(__version__)}</h1>"
        '<p>Machine-readable: <a href="openapi.json">openapi.json</a>. '
        "docs/protocol.md describes the messages of the data channel.</p>" + "".join(sections) + "</main></body></html>"
    )


def _section(method: str, path: str, operation: dict[str, Any]) -> str:
    answers = "".join(
        f"<li>{escape(status)}: {escape(answer.get('description', ''))}</li>"
        for status, answer in operation.get("responses", {}).items()
    )
    text = operation.get("description") or operation.get("summary", "")
    return f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2><p>{escape(text)}</p><ul>{answers}</ul>"
