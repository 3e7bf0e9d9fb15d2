"""Reads SDP offers from requests, no further than an offer may be long."""

from starlette.requests import ClientDisconnect, Request

from stream_detect.errors import BodyTooLargeError, ContentTypeError, OfferError, RequestError

SDP = "application/sdp"

SDP_FRAGMENT = "application/trickle-ice-sdpfrag"
"""Candidates of a session that is there (RFC 8840)."""

MAX_OFFER_BYTES = 64 * 1024
"""A browser's offer is 5 to 10 KiB."""


def content_type(request: Request) -> str:
    """The content type of a request's body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def unexpected_content(request: Request, expected: str) -> ContentTypeError:
    """What is said of a body of another content type than expected."""
    received = request.headers.get("content-type", "")[:80] or "no content type"
    return ContentTypeError(f"expected a body of {expected}, received {received}")


async def read_body(request: Request) -> bytes:
    """The body, read up to the limit even if it claims another length.

    Raises:
        BodyTooLargeError: it is longer than MAX_OFFER_BYTES.
        RequestError: the client went away.
    """
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_OFFER_BYTES:
                raise BodyTooLargeError(f"expected a body of {MAX_OFFER_BYTES} bytes at most, received more")
    except ClientDisconnect as error:
        raise RequestError("expected a body, but the client closed the connection before its end") from error
    return bytes(body)


def read_sdp(body: bytes) -> str:
    """The text of a session description.

    Raises:
        OfferError: it is not UTF-8.
    """
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise OfferError(f"expected a session description in UTF-8, received other bytes: {error.reason}") from error
