"""Middleware for a server behind a proxy that serves it below a path, such as https://host/detect/."""

from starlette.datastructures import MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class PathPrefix:
    """ASGI middleware: takes the prefix off the paths that come, and puts it before the `Location`s that go.

    A proxy may take it off itself; both arrive at the same routes. The prefix without a slash at its end leads to the
    page with one, whose relative addresses are below it then.

    Args:
        application: what is behind it; `root_path` tells it the prefix, for the paths of cookies.
        prefix: begins with a slash and does not end with one.
    """

    def __init__(self, application: ASGIApp, prefix: str) -> None:
        self._application = application
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes `scope` on without the prefix."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        path: str = scope["path"]
        if path == self._prefix:
            await RedirectResponse(f"{self._prefix}/")(scope, receive, send)
            return
        if path.startswith(f"{self._prefix}/"):
            path = path[len(self._prefix) :]
            raw = path.encode("latin-1", "replace") if scope.get("raw_path") is None else scope["raw_path"]
            scope = {**scope, "path": path, "raw_path": raw.removeprefix(self._prefix.encode())}

        async def send_with_prefix(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                location = headers.get("location", "")
                if location.startswith("/") and not location.startswith(f"{self._prefix}/"):
                    headers["location"] = f"{self._prefix}{location}"
            await send(message)

        await self._application({**scope, "root_path": self._prefix}, receive, send_with_prefix)
