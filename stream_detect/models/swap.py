"""Another model on a running server: its name enters, the server is told over HTTP (docs/protocol.md)."""

import http.client
import json
import urllib.error
import urllib.request

from stream_detect.errors import BundleError

ROUTE = "/api/models/judging"
TIMEOUT_S = 30.0
"""Loading a bundle takes some tenths of a second, with the tensorflow backend ten."""


def judge_by(name: str, url: str, token: str | None) -> str:
    """Has the server judge by the bundle of that name.

    Args:
        name: of a bundle that the server finds.
        url: http or https address of the server.
        token: its access token, if it has one.

    Returns:
        The name that the server confirms.

    Raises:
        BundleError: the server cannot be reached, or refuses; says why.
    """
    if not url.startswith(("https://", "http://")):
        raise BundleError(f"expected the http or https address of a server, received {url!r}")
    request = urllib.request.Request(  # noqa: S310 - http or https, see above
        url.rstrip("/") + ROUTE,
        json.dumps({"name": name}).encode(),
        {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {}),
        method="PUT",
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - likewise
            return str(json.load(answer)["name"])
    except urllib.error.HTTPError as error:
        with error:
            raise BundleError(f"the server refuses to judge by {name!r}: {_detail(error)}") from error
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        raise BundleError(f"expected a stream-detect server at {url}, received none: {error}") from error


def _detail(error: urllib.error.HTTPError) -> str:
    """What the server says in its problem+json; else the status alone."""
    try:
        return str(json.loads(error.read())["detail"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"HTTP {error.code}"
