"""Renders the OpenAPI description as a plain HTML page.

FastAPI's own pages load scripts from other servers, which the content security policy forbids and an offline machine
cannot do; this one needs no script.
"""

from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import HTMLResponse

from stream_detect import __version__


def router() -> APIRouter:
    """The route of the list."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/docs")
    async def reference(request: Request) -> HTMLResponse:
        """Every route with what it does and answers."""
        application: FastAPI = request.app
        return HTMLResponse(render(application.openapi()))

    return routes


def render(openapi: dict[str, Any]) -> str:
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
        '<p>By machine: <a href="/openapi.json">openapi.json</a>. '
        "The data channel's messages are in docs/protocol.md.</p>" + "".join(sections) + "</main></body></html>"
    )


def _section(method: str, path: str, operation: dict[str, Any]) -> str:
    answers = "".join(
        f"<li>{escape(status)}: {escape(answer.get('description', ''))}</li>"
        for status, answer in operation.get("responses", {}).items()
    )
    text = operation.get("description") or operation.get("summary", "")
    return f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2><p>{escape(text)}</p><ul>{answers}</ul>"
