"""HTTP requests to sources that FFmpeg does not make: playlists, segments, and probing of what an address sends.

Every answer is limited in size and time. The password of an address is sent to its own host only. Certificates are not
verified (nor does FFmpeg verify them), because cameras sign their own.
"""

import contextlib
import socket
import time
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any
from urllib.parse import unquote, urljoin

import httpx

from stream_detect.errors import SourceError, SourceRefusedError, SourceStalledError, SourceUnreachableError
from stream_detect.sources.address import Address

MAX_REDIRECTS = 5
CHUNK_BYTES = 1 << 16
WATCH_S = 0.2
"""Delay with which a waiting read is interrupted after its time limit or when the source is closed."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """Response of an HTTP server.

    Args:
        url: final address after redirects, without a password.
        kind: content type in lower case, without parameters.
        body: the complete content, or as much as was requested.
    """

    url: str
    kind: str
    body: bytes


class Web:
    """The HTTP client of one source. For use on one thread.

    Args:
        address: http or https, including its password.
        stopping: ends any wait.

    Raises:
        SourceUnreachableError: the address is malformed in a way that only HTTP notices.
    """

    def __init__(self, address: Address, stopping: Event) -> None:
        self._stopping = stopping
        self._permitted(address.secret_url)
        url = httpx.URL(address.secret_url)
        self._origin = (url.scheme, url.host, url.port)
        self._credentials = (unquote(url.username), unquote(url.password)) if url.userinfo else None
        self._auth: httpx.Auth | None = httpx.BasicAuth(*self._credentials) if self._credentials else None
        self.url = str(url.copy_with(userinfo=b""))
        """The address without its password."""
        self._client = httpx.Client(verify=False, trust_env=False)  # noqa: S501 - cameras sign their own certificates
        self._sockets: list[weakref.ref[socket.socket]] = []

    def close(self) -> None:
        """Closes all connections."""
        self._client.close()

    def get(
        self,
        url: str,
        most_bytes: int,
        timeout_s: float,
        byte_range: tuple[int, int] | None = None,
        *,
        cut: bool = False,
    ) -> HttpAnswer:
        """Fetches a resource.

        Args:
            url: http or https; redirects to other schemes are not followed.
            most_bytes: maximum size of the response.
            timeout_s: total time limit.
            byte_range: first byte and number of bytes; None for all.
            cut: truncate a longer response, or one that does not end in time, instead of raising.

        Raises:
            SourceRefusedError: the credentials were refused.
            SourceStalledError: it took too long, or the source is being closed.
            SourceUnreachableError: the server does not respond, or responds with an error.
        """
        deadline_s = time.monotonic() + timeout_s
        headers = {"Accept-Encoding": "identity", "User-Agent": "stream-detect"}
        if byte_range is not None:
            headers["Range"] = f"bytes={byte_range[0]}-{sum(byte_range) - 1}"
        for _ in range(MAX_REDIRECTS):
            with self._answer(url, headers, deadline_s, timeout_s) as response:
                if response.has_redirect_location:
                    url = self._permitted(urljoin(url, response.headers["location"]))
                    continue
                if response.status_code == httpx.codes.UNAUTHORIZED and self._takes_digest(response):
                    continue
                _check(response)
                kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                return HttpAnswer(url, kind, self._body(response, most_bytes, deadline_s, cut=cut))
        raise SourceUnreachableError(f"it redirects more than {MAX_REDIRECTS} times")

    @contextmanager
    def _answer(
        self, url: str, headers: dict[str, str], deadline_s: float, timeout_s: float
    ) -> Iterator[httpx.Response]:
        """A response whose headers have arrived; one that is still being sent at the time limit is interrupted."""
        target = httpx.URL(self._permitted(url))
        auth = self._auth if (target.scheme, target.host, target.port) == self._origin else None
        left_s = max(deadline_s - time.monotonic(), 0.01)
        request = self._client.build_request(
            "GET", target, headers=headers, timeout=left_s, extensions={"trace": self._trace}
        )
        done = Event()
        Thread(target=self._watch, args=(done, deadline_s), name="source http", daemon=True).start()
        problem: SourceError
        try:
            response = self._client.send(request, stream=True, auth=auth)
            try:
                yield response
            finally:
                response.close()
        except httpx.ConnectError as error:
            problem = SourceUnreachableError(_words(error))
        except (httpx.HTTPError, OSError, ValueError) as error:  # ValueError: a host name that cannot be encoded
            if isinstance(error, httpx.TimeoutException) or time.monotonic() >= deadline_s or self._stopping.is_set():
                problem = SourceStalledError(f"no complete answer within {timeout_s:g} s")
            else:
                problem = SourceUnreachableError(f"the connection failed: {_words(error)}")
        else:
            return
        finally:
            done.set()
        raise problem  # raised here so that no traceback shows httpx's error, which contains the address

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        """Records the socket of each new connection (httpcore's trace extension); TLS replaces it by another."""
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            made = info["return_value"].get_extra_info("socket")
            self._sockets = [known for known in self._sockets if known() is not None] + [weakref.ref(made)]

    def _watch(self, done: Event, deadline_s: float) -> None:
        """Thread that interrupts a read: socket time-outs do not stop a server that sends a byte now and then."""
        while not done.wait(WATCH_S):
            if self._stopping.is_set() or time.monotonic() >= deadline_s:
                for known in self._sockets:
                    if (made := known()) is not None:
                        with contextlib.suppress(OSError):  # closed already
                            socket.socket.shutdown(made, socket.SHUT_RDWR)
                return

    def _body(self, response: httpx.Response, most_bytes: int, deadline_s: float, *, cut: bool) -> bytes:
        body = bytearray()
        coded = response.headers.get("content-encoding", "identity").lower() in {"gzip", "deflate", "x-gzip"}
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 32) if coded else None
        for raw in response.iter_raw(CHUNK_BYTES):
            try:
                body += inflater.decompress(raw, most_bytes + 1) if inflater else raw
            except zlib.error as error:
                raise SourceUnreachableError("its answer is damaged") from error
            if len(body) > most_bytes:
                if cut:
                    return bytes(body[:most_bytes])
                raise SourceUnreachableError(f"expected an answer of at most {most_bytes:,} bytes, received more")
            if self._stopping.is_set() or time.monotonic() > deadline_s:
                if cut:
                    return bytes(body)
                raise SourceStalledError("its answer did not end in time")
        return bytes(body)

    @staticmethod
    def _permitted(url: str) -> str:
        parts = _scheme_and_host(url)
        if parts is None:
            raise SourceUnreachableError("it leads to an address that is malformed")
        if parts[0] not in {"http", "https"} or not parts[1]:
            raise SourceUnreachableError("it redirects to a protocol that is not permitted")
        return url

    def _takes_digest(self, response: httpx.Response) -> bool:
        """Switches to digest authentication if it is requested; False if it was tried already."""
        challenge = response.headers.get("www-authenticate", "").lower()
        if self._credentials is None or "digest" not in challenge or isinstance(self._auth, httpx.DigestAuth):
            return False
        self._auth = httpx.DigestAuth(*self._credentials)
        return True


def _scheme_and_host(url: str) -> tuple[str, str] | None:
    """None for a malformed address, of which httpx notices one half at once and the other half here."""
    try:
        return httpx.URL(url).scheme, httpx.URL(url).host
    except (httpx.InvalidURL, ValueError):
        return None


def _check(response: httpx.Response) -> None:
    code = response.status_code
    if code == httpx.codes.UNAUTHORIZED:
        raise SourceRefusedError("the user name or password was refused (401)")
    if code == httpx.codes.FORBIDDEN:
        raise SourceRefusedError("access was forbidden (403)")
    if code == httpx.codes.NOT_FOUND:
        raise SourceUnreachableError("the host answers, but does not have this resource (404)")
    if code not in {httpx.codes.OK, httpx.codes.PARTIAL_CONTENT}:
        raise SourceUnreachableError(f"the host answers with status {code}")


def _words(error: Exception) -> str:
    """The reason without the address."""
    text = str(error).lower()
    if "refused" in text:
        return "connection refused: nothing listens there"
    if any(sign in text for sign in ("name or service", "getaddrinfo", "nodename", "name resolution")):
        return "the host's name is not known"
    return f"{type(error).__name__}"
