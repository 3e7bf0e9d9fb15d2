"""A webhook, and the request that is sent to it. Its URL appears in no error and no log."""

import asyncio
import hashlib
import hmac
import math
import random
import time
from collections.abc import Callable
from typing import Protocol

import httpx

from stream_detect.backoff import Backoff
from stream_detect.errors import StreamDetectError
from stream_detect.settings import WebhookSettings
from stream_detect.storage.records import Delivery

TIMEOUT_S = 8.0
"""Time limit of one message, from the first packet to the status line: a test alert has to be answered within ten
seconds."""

_CONNECT_S = 4.0


class NotDeliveredError(StreamDetectError):
    """A webhook did not accept a message. The message of the error contains no address."""


def signature(secret: str, timestamp: str, body: str) -> str:
    """Value of `X-StreamDetect-Signature`: HMAC-SHA256 of the timestamp, a full stop and the body.

    Args:
        secret: the webhook's key.
        timestamp: as in `X-StreamDetect-Timestamp`.
        body: as sent.
    """
    digest = hmac.new(secret.encode(), f"{timestamp}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"sha256={digest}"


def client() -> httpx.AsyncClient:
    """The HTTP client for all webhooks. It does not follow redirects: messages only go to addresses in the settings."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(TIMEOUT_S, connect=_CONNECT_S),
        limits=httpx.Limits(max_keepalive_connections=0),
        follow_redirects=False,
        headers={"User-Agent": "stream-detect"},
    )


class Webhook:
    """Sends messages to one address.

    Args:
        settings: name, address, key and kinds of events.
        clock: returns unix seconds, for the signature.
    """

    def __init__(self, settings: WebhookSettings, clock: Callable[[], float] = time.time) -> None:
        self.name = settings.name
        self.kinds = settings.kinds
        self._settings = settings
        self._clock = clock

    async def send(self, via: httpx.AsyncClient, message_id: str, body: str) -> None:
        """Sends one message. Only the status of the response counts; its body is not read.

        Args:
            via: the HTTP client, see `client`.
            message_id: the same in each attempt, so that the receiver recognises copies.
            body: JSON.

        Raises:
            NotDeliveredError: there was no 2xx response in time.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status = await self._post(via, self._headers(message_id, body), body)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise NotDeliveredError(f"no answer within {TIMEOUT_S:.0f} s") from error
        except httpx.ConnectError as error:
            raise NotDeliveredError("no connection: the host does not respond, or TLS failed") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotDeliveredError(f"no usable answer ({type(error).__name__})") from error
        if not 200 <= status < 300:
            raise NotDeliveredError(f"expected a status 2xx, received {status}")

    async def _post(self, via: httpx.AsyncClient, headers: dict[str, str], body: str) -> int:
        url = self._settings.url.get_secret_value()
        async with via.stream("POST", url, content=body.encode(), headers=headers) as answer:
            return answer.status_code

    def _headers(self, message_id: str, body: str) -> dict[str, str]:
        timestamp = str(int(self._clock()))
        headers = {
            "Content-Type": "application/json",
            "X-StreamDetect-Delivery": message_id,
            "X-StreamDetect-Timestamp": timestamp,
        }
        if self._settings.secret is not None:
            key = self._settings.secret.get_secret_value()
            headers["X-StreamDetect-Signature"] = signature(key, timestamp, body)
        return headers


GIVE_UP_S = 24 * 3600.0
"""A message that has not arrived within a day is given up."""

_FIRST_S = 5.0
LONGEST_PAUSE_S = 3600.0


class WebhookOutbox(Protocol):
    """Keeps messages until they arrive. Thread-safe; each method may raise StorageError."""

    def may_expire(self) -> bool:
        """Whether old messages may be given up now; False after the clock jumped."""
        ...

    def due(
        self, now_s: float, limit: int = 50, webhook: str | None = None, longest_wait_s: float = math.inf
    ) -> list[Delivery]:
        """Messages that are due, the longest due first; of one webhook if named.

        What is due later than in `longest_wait_s` is due now: the clock has been set back since.
        """
        ...

    def failed(self, delivery_id: str, due_s: float, problem: str) -> None:
        """Records a failed attempt; the next one is due at `due_s`."""
        ...

    def done(self, delivery_id: str) -> None:
        """Removes a message that arrived or was given up."""
        ...

    def waiting(self, webhook: str) -> int:
        """Number of messages that wait for this webhook."""
        ...


def pause_s(attempts: int, chance: Callable[[], float] = random.random) -> float:
    """Seconds to wait after a failed attempt: 5 to 10 s at first, doubling up to half an hour to an hour.

    Args:
        attempts: failed attempts before this one.
        chance: returns a number in [0, 1); spreads the attempts of many messages.
    """
    return Backoff(_FIRST_S, LONGEST_PAUSE_S, chance=chance, failures=attempts).pause_s()
