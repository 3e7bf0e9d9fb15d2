"""The routes that WHIP (RFC 9725) and WHEP share: POST an offer, DELETE its session, PATCH candidates.

The answer has all candidates of the server; a client may send its own afterwards. ICE restarts are not supported.
"""

import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Path, Request, Response

from stream_detect.api.requests import (
    MAX_OFFER_BYTES,
    Name,
    client_of,
    content_type,
    read_body,
    unexpected_content,
)
from stream_detect.cameras.status import CameraStatus
from stream_detect.errors import ConflictError, OfferError
from stream_detect.settings import CameraSettings, IceServer
from stream_detect.types import Answer, CameraState
from stream_detect.webrtc.whip import PublisherSink

SDP = "application/sdp"

SDP_FRAGMENT = "application/trickle-ice-sdpfrag"
"""Candidates of an existing session (RFC 8840)."""

SessionId = Annotated[str, Path(max_length=64, description="id of the session, from the Location of the answer")]


class SignalledCamera(PublisherSink, Protocol):
    """What WHIP and WHEP need of a camera (`cameras.Camera` fits)."""

    @property
    def settings(self) -> CameraSettings:
        """Its settings."""
        ...

    def status(self) -> CameraStatus:
        """Its status."""
        ...


class Cameras(Protocol):
    """All cameras by name (the fleet fits)."""

    def camera(self, name: str) -> SignalledCamera:
        """Returns a camera.

        Raises:
            NotFoundError: there is no such camera.
        """
        ...


@dataclass(frozen=True, slots=True)
class Exchange:
    """One of the two protocols.

    Args:
        protocol: "whip" or "whep".
        purpose: what a session is for: "publishing".
        refusals: additional status codes of POST, with descriptions.
        answer: opens a session of a camera, given its name, the offer and the client's address.
        close: ends a session, given the camera's name and the session's id.
        add_candidates: adds candidates to a session, given the camera's name, the session's id, the fragment and the
            required ETag, None for any.
        ice_servers: returns the current ICE servers for clients.
    """

    protocol: str
    purpose: str
    refusals: Mapping[int, str]
    answer: Callable[[str, str, str], Coroutine[None, None, Answer]]
    close: Callable[[str, str], Coroutine[None, None, None]]
    add_candidates: Callable[[str, str, str, str | None], Coroutine[None, None, None]]
    ice_servers: Callable[[], Sequence[IceServer]]


def started_camera(cameras: Cameras, name: str) -> SignalledCamera:
    """Returns a camera that is not stopped.

    Raises:
        NotFoundError: there is no such camera.
        ConflictError: it is stopped.
    """
    camera = cameras.camera(name)
    if camera.status().change.state is CameraState.STOPPED:
        raise ConflictError(f"{name} is stopped: start it first")
    return camera


def read_sdp(body: bytes) -> str:
    """The text of a session description.

    Raises:
        OfferError: it is not UTF-8.
    """
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise OfferError(f"expected a session description in UTF-8, received other bytes: {error.reason}") from error


def routes_of(exchange: Exchange) -> APIRouter:
    """The routes of a protocol: the endpoint of each camera, and its sessions."""
    routes = APIRouter(prefix=f"/{exchange.protocol}", tags=[exchange.protocol.upper()])

    @routes.post(
        "/{name}",
        status_code=201,
        response_class=Response,
        openapi_extra=_OFFER,
        responses=_ANSWERS | {status: {"description": words} for status, words in exchange.refusals.items()},
        summary=f"Opens a {exchange.purpose} session",
    )
    async def open_session(name: Name, request: Request) -> Response:
        """Opens a session: answers an SDP offer."""
        if content_type(request) != SDP:
            raise unexpected_content(request, SDP)
        answer = await exchange.answer(name, read_sdp(await read_body(request)), client_of(request))
        location = f"{routes.prefix}/{name}/{answer.session_id}"
        response = Response(answer.sdp, 201, {"Location": location, "ETag": f'"{answer.etag}"'}, SDP)
        for server in exchange.ice_servers():
            for url in server.urls:
                response.headers.append("Link", ice_link(server, url))
        return response

    @routes.delete(
        "/{name}/{session_id}",
        response_class=Response,
        responses={404: {"description": "no such session"}},
        summary=f"Ends a {exchange.purpose} session",
    )
    async def close_session(name: Name, session_id: SessionId) -> Response:
        """Ends a session and its media."""
        await exchange.close(name, session_id)
        return Response()

    @routes.patch(
        "/{name}/{session_id}",
        status_code=204,
        response_class=Response,
        openapi_extra=_FRAGMENT,
        responses=_PATCHED,
        summary=f"Adds candidates to a {exchange.purpose} session",
    )
    async def add_candidates(name: Name, session_id: SessionId, request: Request) -> Response:
        """Adds candidates that the client gathered after its offer (trickle ICE, RFC 8840)."""
        if content_type(request) != SDP_FRAGMENT:
            raise unexpected_content(request, SDP_FRAGMENT)
        etag = _expected_etag(request)
        await exchange.add_candidates(name, session_id, read_sdp(await read_body(request)), etag)
        return Response(status_code=204)

    _add_options(routes, "/{name}", ("POST", "OPTIONS"), {"Accept-Post": SDP})
    _add_options(routes, "/{name}/{session_id}", ("DELETE", "PATCH", "OPTIONS"), {"Accept-Patch": SDP_FRAGMENT})
    return routes


def _expected_etag(request: Request) -> str | None:
    """The ETag of If-Match (RFC 9110, 13.1.1); None for "*".

    Raises:
        HTTPException: it is missing; or there are several, or a weak one, which never match the session's.
    """
    given = request.headers.get("if-match")
    if given is None:
        raise HTTPException(428, "expected the ETag of the answer in If-Match, received no If-Match")
    if given.strip() == "*":
        return None
    tag = re.fullmatch(r'\s*"([^"]*)"\s*', given)
    if tag is None:
        raise HTTPException(412, f"expected one ETag in quotes, or *, in If-Match, received {given[:80]}")
    return tag[1]


def _add_options(routes: APIRouter, path: str, allowed: Sequence[str], accepted: Mapping[str, str]) -> None:
    """OPTIONS, and 405 for the rest, with every allowed method: the router would list only one."""

    @routes.options(
        path, status_code=204, response_class=Response, summary="Lists the accepted methods and content type"
    )
    async def options() -> Response:
        """Returns the allowed methods in Allow, and the accepted content type in Accept-Post or Accept-Patch."""
        return Response(status_code=204, headers={"Allow": ", ".join(allowed), **accepted})

    others = [method for method in ("GET", "HEAD", "PUT", "PATCH") if method not in allowed]

    @routes.api_route(path, methods=others, include_in_schema=False)
    async def refuse() -> None:
        raise HTTPException(405, headers={"Allow": ", ".join(allowed)})


def ice_link(server: IceServer, url: str) -> str:
    """A STUN or TURN server as the value of a Link header (RFC 9725, 4.6)."""
    parameters = ['rel="ice-server"']
    if server.username is not None:
        parameters.append(_parameter("username", server.username))
    if server.credential is not None:
        parameters += [_parameter("credential", server.credential.get_secret_value()), 'credential-type="password"']
    return "; ".join((f"<{quote(url, safe=':/?&=[]@,.-_~')}>", *parameters))


def _parameter(name: str, value: str) -> str:
    """A header parameter: quoted, or percent-encoded if it is not printable ASCII (RFC 8187)."""
    if not (value.isascii() and value.isprintable()):
        return f"{name}*=UTF-8''{quote(value, safe='')}"
    escaped = value.replace("\\", r"\\").replace('"', r"\"")
    return f'{name}="{escaped}"'


_OFFER: dict[str, Any] = {"requestBody": {"required": True, "content": {SDP: {"schema": {"type": "string"}}}}}

_FRAGMENT: dict[str, Any] = {
    "requestBody": {"required": True, "content": {SDP_FRAGMENT: {"schema": {"type": "string"}}}},
    "parameters": [
        {
            "name": "If-Match",
            "in": "header",
            "required": True,
            "description": "the ETag of the answer, or *",
            "schema": {"type": "string"},
        }
    ],
}

_TEXT = {"type": "string"}

_PATCHED: dict[int | str, dict[str, Any]] = {
    204: {"description": "the candidates were added"},
    400: {"description": "the fragment is malformed"},
    404: {"description": "no such session"},
    412: {"description": "If-Match does not match the session's ETag"},
    413: {"description": f"the body is larger than {MAX_OFFER_BYTES // 1024} KiB"},
    415: {"description": f"the content type is not {SDP_FRAGMENT}"},
    422: {"description": "the ICE credentials differ from the offer's: ICE restarts are not supported"},
    428: {"description": "the If-Match header is missing"},
}

_ANSWERS: dict[int | str, dict[str, Any]] = {
    201: {
        "description": "the answer",
        "content": {SDP: {"schema": _TEXT}},
        "headers": {
            "Location": {"description": "path of the session; DELETE it to end the session", "schema": _TEXT},
            "ETag": {"description": "identifies the ICE session", "schema": _TEXT},
            "Link": {"description": 'one per URL of an ICE server, with rel="ice-server"', "schema": _TEXT},
        },
    },
    400: {"description": "the session description is malformed"},
    404: {"description": "no such camera"},
    413: {"description": f"the body is larger than {MAX_OFFER_BYTES // 1024} KiB"},
    415: {"description": f"the content type is not {SDP}"},
}
