"""Fetches files from http(s) addresses, within limits of size and time, and not from the server's own network.

Every IP address of a host name is checked before anything is sent, at each redirect anew, and the connection uses an
address that was checked, so DNS rebinding has no effect.
"""

import asyncio
import contextlib
import socket
import threading
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpx

from stream_detect.errors import (
    AddressError,
    BodyTooLargeError,
    ReviewCancelledError,
    SourceStalledError,
    SourceUnreachableError,
)
from stream_detect.jobs.incoming import IncomingFile, ReceivedFile
from stream_detect.review.examination import Hooks
from stream_detect.settings import ReviewSettings

MAX_REDIRECTS = 5
_CONNECT_S = 10.0
_READ_S = 15.0
_ASK_EVERY_S = 0.1
_LONGEST = 4000
_PORTS = {"http": 80, "https": 443}
_NAT64 = IPv6Network("64:ff9b::/96")
"""The last 32 bits of these are an IPv4 address to which a gateway connects (RFC 6052)."""

_RESERVED: tuple[IPv4Network | IPv6Network, ...] = (
    *map(IPv4Network, ("192.0.0.0/24", "192.88.99.0/24")),
    *map(IPv6Network, ("64:ff9b:1::/48", "2001::/23", "3fff::/20", "5f00::/16")),
)
"""IANA's special-purpose addresses that some supported versions of Python consider public."""


@dataclass(frozen=True, slots=True)
class _Target:
    """Target of a request.

    Args:
        url: as requested.
        pinned: with the name replaced by the address that was checked.
    """

    url: httpx.URL
    pinned: httpx.URL


def fetch(url: str, to: IncomingFile, settings: ReviewSettings, hooks: Hooks | None = None) -> ReceivedFile:
    """Fetches a file, following at most five redirects; blocks. After a failure no file is left.

    Args:
        url: http or https.
        to: receives and hashes the bytes.
        settings: `max_upload_bytes`, `fetch_timeout_s` (total) and `private_urls` are used.
        hooks: `on_progress` and `cancelled` are called.

    Raises:
        AddressError: it is malformed, or leads to a forbidden address.
        SourceUnreachableError: the server does not respond, or not with a file.
        SourceStalledError: it takes too long.
        BodyTooLargeError: the file is larger than permitted.
        ReviewCancelledError: it was cancelled.
        StorageError: it cannot be written.
    """
    fetching = _Fetching(settings, hooks or Hooks(), to)
    with contextlib.ExitStack() as undo:
        undo.callback(to.discard)
        asyncio.run(fetching.whole(url))  # a separate loop: time limit and cancellation end any wait in it
        received = to.finish()
        undo.pop_all()
    return received


class _Fetching:
    """One file that is being fetched."""

    def __init__(self, settings: ReviewSettings, hooks: Hooks, to: IncomingFile) -> None:
        self._settings = settings
        self._hooks = hooks
        self._to = to

    async def whole(self, url: str) -> None:
        """Fetches the whole file within the time limit, unless cancelled."""
        fetching = asyncio.ensure_future(self._followed(url))
        ends_s = asyncio.get_running_loop().time() + self._settings.fetch_timeout_s
        try:
            while not fetching.done():
                if self._hooks.cancelled():
                    raise ReviewCancelledError("cancelled")
                left_s = ends_s - asyncio.get_running_loop().time()
                if left_s <= 0:
                    limit = f"{self._settings.fetch_timeout_s:g} s (review.fetch_timeout_s)"
                    raise SourceStalledError(f"not whole after {limit}")
                await asyncio.wait([fetching], timeout=min(left_s, _ASK_EVERY_S))
        finally:
            if not fetching.done():
                fetching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await fetching
        await fetching

    async def _followed(self, url: str) -> None:
        timeout = httpx.Timeout(_READ_S, connect=_CONNECT_S)
        async with httpx.AsyncClient(trust_env=False, timeout=timeout) as client:
            for _ in range(MAX_REDIRECTS + 1):
                following = await self._get(client, url)
                if following is None:
                    return
                url = following
        raise SourceUnreachableError(f"more than {MAX_REDIRECTS} redirects")

    async def _get(self, client: httpx.AsyncClient, url: str) -> str | None:
        """Sends a request to one host; returns the address of a redirect, or None once the file is complete."""
        target = await _checked(url, private=self._settings.private_urls)
        # No compression: the size would be meaningless, and media files are compressed already.
        headers = {"Host": target.url.netloc.decode(), "Accept-Encoding": "identity", "User-Agent": "stream-detect"}
        extensions = {"sni_hostname": target.url.host}
        try:
            async with client.stream("GET", target.pinned, headers=headers, extensions=extensions) as response:
                if response.has_redirect_location:
                    return str(target.url.join(response.headers["location"]))
                if response.status_code != httpx.codes.OK:
                    lacking = " without saying where to (no Location)" if response.is_redirect else ""
                    raise SourceUnreachableError(f"{target.url.host} answers {response.status_code}{lacking}")
                await self._receive(response)
        except httpx.TimeoutException as error:
            raise SourceStalledError(f"{target.url.host} does not answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SourceUnreachableError(f"{target.url.host}: {_words(error)}") from error
        return None

    async def _receive(self, response: httpx.Response) -> None:
        stated = response.headers.get("content-length", "")
        expected_bytes = int(stated) if stated.isdecimal() else 0
        most_bytes = self._settings.max_upload_bytes
        if expected_bytes > most_bytes:
            raise BodyTooLargeError(f"expected at most {most_bytes:,} bytes (review.max_upload_bytes)")
        received_bytes = 0
        async for chunk in response.aiter_raw():
            received_bytes += len(chunk)
            if received_bytes > most_bytes:
                raise BodyTooLargeError(f"expected at most {most_bytes:,} bytes (review.max_upload_bytes)")
            self._to.write(chunk)  # blocks, but nothing else runs on this loop
            if expected_bytes:
                self._hooks.on_progress(min(received_bytes / expected_bytes, 1.0))


async def _checked(url: str, *, private: bool) -> _Target:
    """Resolves the name in an address and checks it.

    Raises:
        AddressError: it is malformed, or forbidden.
        SourceUnreachableError: the name cannot be resolved.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise AddressError("expected an address such as https://host/file") from error
    if parsed.scheme not in _PORTS or not parsed.host or len(url) > _LONGEST:
        raise AddressError(f"expected http:// or https:// with a host, of at most {_LONGEST} characters")
    if parsed.userinfo:
        raise AddressError("expected an address without a user name and password")
    found = await _looked_up(parsed.host, parsed.port or _PORTS[parsed.scheme])
    if not private and not all(map(is_public, found)):
        raise AddressError(
            f"{parsed.host} is an address of this machine or its network, which is not fetched (review.private_urls)"
        )
    return _Target(parsed, parsed.copy_with(host=str(found[0])))


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is public: not loopback, link-local, private or reserved, also when embedded in IPv6."""
    if isinstance(address, IPv6Address):
        carried = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if carried is None and address in _NAT64:
            carried = IPv4Address(int(address) & 0xFFFF_FFFF)
        if carried is not None and not is_public(carried):
            return False
        if address.is_site_local:
            return False
    reserved = address.is_multicast or address.is_reserved or address.is_unspecified
    if any(address in network for network in _RESERVED):
        return False
    return (address.is_global and not reserved) or (isinstance(address, IPv6Address) and address in _NAT64)


async def _looked_up(host: str, port: int) -> list[IPv4Address | IPv6Address]:
    try:
        found = await _in_thread(host, port)
        return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    except (OSError, UnicodeError, ValueError) as error:
        raise SourceUnreachableError(f"cannot resolve the host {host}") from error


async def _in_thread(host: str, port: int) -> list[Any]:
    """Resolves a name on a daemon thread, because closing the loop would wait for its own executor."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[Any]] = loop.create_future()

    def settle(found: list[Any] | None, error: Exception | None) -> None:
        if not answer.done():
            answer.set_exception(error) if error is not None else answer.set_result(found or [])

    def look() -> None:
        found, failure = None, None
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, found, failure)

    threading.Thread(target=look, name="look-up", daemon=True).start()
    return await answer


def _words(error: Exception) -> str:
    """The reason, without the address, which may contain a secret."""
    return "the connection failed" if isinstance(error, httpx.TransportError) else type(error).__name__
