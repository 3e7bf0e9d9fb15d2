"""Files from addresses: an http(s) address enters, a file on disk leaves. Within limits, and not from the own network.

Every address that a name stands for is looked at before anything is sent, at each redirect anew, and the connection
goes to an address that was looked at: a name that stands for another one a frame later leads nowhere else.
"""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path

import httpx

from stream_detect.errors import (
    AddressError,
    BodyTooLargeError,
    DiskFullError,
    SourceStalledError,
    SourceUnreachableError,
    StorageError,
)
from stream_detect.review.examination import Allowance, Hooks
from stream_detect.settings import ReviewSettings

MAX_REDIRECTS = 5
_CONNECT_S = 10.0
_READ_S = 15.0
_LONGEST = 4000
_PORTS = {"http": 80, "https": 443}
_NAT64 = IPv6Network("64:ff9b::/96")
"""Of these the last 32 bits are an IPv4 address that a gateway connects to (RFC 6052)."""


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a request goes.

    Args:
        url: as asked for.
        pinned: the same with the address that was looked at in place of the name.
    """

    url: httpx.URL
    pinned: httpx.URL


def fetch(url: str, to: Path, settings: ReviewSettings, hooks: Hooks | None = None) -> None:
    """Fetches a file, following at most five redirects. Nothing is left at `to` when it fails.

    Args:
        url: http or https.
        to: path of the file that is made.
        settings: `max_upload_bytes`, `fetch_timeout_s` and `private_urls` are used.
        hooks: asked and told on the way.

    Raises:
        AddressError: it is malformed, or leads to an address that is not permitted.
        SourceUnreachableError: nobody answers there, or with something else than a file.
        SourceStalledError: it takes too long.
        BodyTooLargeError: it is longer than permitted.
        ReviewCancelledError: somebody asked to stop.
        StorageError: it cannot be written.
    """
    fetching = _Fetching(settings, hooks or Hooks())
    with _whole(to), httpx.Client(trust_env=False, timeout=httpx.Timeout(_READ_S, connect=_CONNECT_S)) as client:
        for _ in range(MAX_REDIRECTS + 1):
            following = fetching.get(client, url, to)
            if following is None:
                return
            url = following
    raise SourceUnreachableError(f"more than {MAX_REDIRECTS} redirects")


class _Fetching:
    """One file on its way."""

    def __init__(self, settings: ReviewSettings, hooks: Hooks) -> None:
        self._settings = settings
        self._hooks = hooks
        self._allowance = Allowance(hooks, settings.fetch_timeout_s)

    def get(self, client: httpx.Client, url: str, to: Path) -> str | None:
        """Asks one host; gives the address that it redirects to, None when the file is there."""
        target = _checked(url, private=self._settings.private_urls)
        # No compression: its size says nothing, and a file is compressed already.
        headers = {"Host": target.url.netloc.decode(), "Accept-Encoding": "identity", "User-Agent": "stream-detect"}
        extensions = {"sni_hostname": target.url.host}
        try:
            with client.stream("GET", target.pinned, headers=headers, extensions=extensions) as response:
                if response.is_redirect:
                    return str(target.url.join(response.headers["location"]))
                if response.status_code != httpx.codes.OK:
                    raise SourceUnreachableError(f"{target.url.host} answers {response.status_code}")
                self._receive(response, to)
        except httpx.TimeoutException as error:
            raise SourceStalledError(f"{target.url.host} does not answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SourceUnreachableError(f"{target.url.host}: {_words(error)}") from error
        return None

    def _receive(self, response: httpx.Response, to: Path) -> None:
        stated = response.headers.get("content-length", "")
        expected_bytes = int(stated) if stated.isdecimal() else 0
        most_bytes = self._settings.max_upload_bytes
        received_bytes = 0
        with to.open("wb") as file:
            for chunk in response.iter_raw():
                received_bytes += len(chunk)
                if max(expected_bytes, received_bytes) > most_bytes:
                    raise BodyTooLargeError(f"expected at most {most_bytes:,} bytes (review.max_upload_bytes)")
                self._allowance.check()
                if self._allowance.used_up:
                    raise SourceStalledError(f"not whole after {self._settings.fetch_timeout_s:g} s")
                file.write(chunk)
                if expected_bytes:
                    self._hooks.on_progress(min(received_bytes / expected_bytes, 1.0))


def _checked(url: str, *, private: bool) -> _Target:
    """The address with its name looked up.

    Raises:
        AddressError: malformed, or not permitted.
        SourceUnreachableError: nobody knows the name.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise AddressError("expected an address as https://host/file") from error
    if parsed.scheme not in _PORTS or not parsed.host or len(url) > _LONGEST:
        raise AddressError(f"expected http:// or https:// with a host, of at most {_LONGEST} characters")
    if parsed.userinfo:
        raise AddressError("expected an address without a user name and password")
    found = _looked_up(parsed.host, parsed.port or _PORTS[parsed.scheme])
    if not private and not all(map(is_public, found)):
        raise AddressError(
            f"{parsed.host} is an address of this machine or of its network: not fetched (review.private_urls)"
        )
    return _Target(parsed, parsed.copy_with(host=str(found[0])))


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is one of the internet: not loopback, link-local, private, reserved, or such a one in IPv6."""
    if isinstance(address, IPv6Address):
        carried = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if carried is None and address in _NAT64:
            carried = IPv4Address(int(address) & 0xFFFF_FFFF)
        if carried is not None and not is_public(carried):
            return False
        if address.is_site_local:
            return False
    reserved = address.is_multicast or address.is_reserved or address.is_unspecified
    return (address.is_global and not reserved) or (isinstance(address, IPv6Address) and address in _NAT64)


def _looked_up(host: str, port: int) -> list[IPv4Address | IPv6Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    except (OSError, UnicodeError, ValueError) as error:
        raise SourceUnreachableError(f"nobody knows the host {host}") from error


@contextmanager
def _whole(to: Path) -> Iterator[None]:
    """Has the file at `to` deleted when it is not whole."""
    whole = False
    try:
        yield
        whole = True
    except OSError as error:
        kind = DiskFullError if error.errno in {errno.ENOSPC, errno.EDQUOT} else StorageError
        raise kind(f"the fetched file cannot be written: {error.strerror}") from error
    finally:
        if not whole:
            to.unlink(missing_ok=True)


def _words(error: Exception) -> str:
    """The reason; without the address, which may have a secret in it."""
    return "the connection failed" if isinstance(error, httpx.TransportError) else type(error).__name__
