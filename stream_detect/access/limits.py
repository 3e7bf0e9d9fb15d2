"""Limits on rates: of wrong tokens and passwords, and of entries in the audit log."""

import logging
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from stream_detect.access.networks import client_network
from stream_detect.errors import ForbiddenError, SignInError, StreamDetectError, TooManyGuessesError

GUESSES: Final = 10
"""Wrong tokens that one client may send at once; after that one per second."""

OF_ADDRESS: Final = 10
OF_ADDRESS_EVERY_S: Final = 5.0
OF_USER: Final = 20
OF_USER_EVERY_S: Final = 45.0
"""Wrong passwords at once, and the time until the next, for one address and for one user."""

_KEYS: Final = 4096
"""Maximum number of keys; beyond it the least recently used key is forgotten, so that many addresses take no more
memory."""

_LOG_EVERY_S: Final = 60.0
_log = logging.getLogger(__name__)


class TokenBucket:
    """Rate limit per key: `burst` times at once, then `per_s` times per second.

    Not thread-safe; used on the event loop.

    Args:
        burst: number of times at once.
        per_s: times per second after that.
        clock: returns monotonic seconds.
    """

    def __init__(self, burst: float, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._per_s = per_s
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # and the time of that count

    def pause_s(self, key: str) -> float:
        """Seconds until it may happen again; 0 if it may now."""
        return max(0.0, (1.0 - self._left_now(key)) / self._per_s)

    def take(self, key: str) -> None:
        """Records that it happened."""
        self._left[key] = self._left_now(key) - 1.0, self._clock()
        self._left.move_to_end(key)
        if len(self._left) > _KEYS:
            self._left.popitem(last=False)

    def give_back(self, key: str) -> None:
        """Records that it did not happen after all."""
        self._left[key] = self._left_now(key) + 1.0, self._clock()

    def refill(self, key: str) -> None:
        """Forgets what happened."""
        self._left.pop(key, None)

    def _left_now(self, key: str) -> float:
        left, at_s = self._left.get(key, (self._burst, 0.0))
        return min(self._burst, left + (self._clock() - at_s) * self._per_s)


@dataclass(slots=True)
class _WrongTokens:
    """Wrong tokens of one client.

    Args:
        digests: digests of the newest ones; a repeated one is not a new guess, so that a page with an old token locks
            nobody out.
        refused: number since the client was last logged.
        logged_s: time of that log line.
    """

    digests: deque[str] = field(default_factory=lambda: deque(maxlen=8))
    refused: int = 0
    logged_s: float = -math.inf


class GuessLimit:
    """Limits wrong access tokens per client: ten at once, then one per second.

    Not thread-safe; used on the event loop.

    Args:
        clock: returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._bucket = TokenBucket(GUESSES, 1.0, clock)
        self._of: OrderedDict[str, _WrongTokens] = OrderedDict()

    def pause_s(self, client: str, digest: str) -> float:
        """Seconds until the next guess is allowed; 0 if it is now.

        Args:
            client: the client.
            digest: digest of the token.
        """
        known = self._of.get(client)
        return 0.0 if known is not None and digest in known.digests else self._bucket.pause_s(client)

    def wrong(self, client: str, digest: str) -> None:
        """Records a wrong token; the client is logged at most once a minute."""
        shown = self._of.setdefault(client, _WrongTokens())
        self._of.move_to_end(client)
        if len(self._of) > _KEYS:
            self._of.popitem(last=False)
        if digest not in shown.digests:
            shown.digests.append(digest)
            self._bucket.take(client)
        shown.refused += 1
        now_s = self._clock()
        if now_s - shown.logged_s >= _LOG_EVERY_S:
            _log.warning("access token refused: %d wrong tokens from %s", shown.refused, client or "a client")
            shown.refused, shown.logged_s = 0, now_s


class SignInLimit:
    """Limits wrong passwords per client address and per user, whether or not the user exists.

    Per address ten at once, then one in five seconds; per user twenty at once, then one in 45 s, 100 in the first hour
    (OWASP ASVS 2.2.1). An address from which the user has signed in before is counted separately, so that strangers who
    guess do not lock users out. Used on the event loop.

    Args:
        clock: returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._of_address = TokenBucket(OF_ADDRESS, 1 / OF_ADDRESS_EVERY_S, clock)
        self._of_user = TokenBucket(OF_USER, 1 / OF_USER_EVERY_S, clock)
        self._known: OrderedDict[str, None] = OrderedDict()

    def begin(self, user: str, address: str) -> None:
        """Counts an attempt before its outcome is known, so that parallel attempts gain nothing.

        Raises:
            TooManyGuessesError: there were too many.
        """
        network, key = client_network(address), self._key(user, address)
        pause_s = max(self._of_address.pause_s(network), self._of_user.pause_s(key))
        if pause_s > 0:
            raise TooManyGuessesError("too many wrong passwords; try again later", math.ceil(pause_s))
        self._of_address.take(network)
        self._of_user.take(key)

    @contextmanager
    def attempt(self, user: str, address: str) -> Iterator[None]:
        """Counts an attempt, which the block makes, unless its outcome is none: the server failed.

        Raises:
            TooManyGuessesError: there were too many.
        """
        self.begin(user, address)
        try:
            yield
        except (SignInError, ForbiddenError):
            raise
        except StreamDetectError:  # such as a database that is away, or a new password that is not allowed
            self._of_address.give_back(client_network(address))
            self._of_user.give_back(self._key(user, address))
            raise
        self.right(user, address)

    def right(self, user: str, address: str) -> None:
        """The attempt was right: previous wrong ones of this address are forgotten."""
        self._of_address.refill(client_network(address))
        self._of_user.refill(self._key(user, address))
        known = _pair(user, address)
        self._known[known] = None
        self._known.move_to_end(known)
        if len(self._known) > _KEYS:
            self._known.popitem(last=False)

    def _key(self, user: str, address: str) -> str:
        pair = _pair(user, address)
        return pair if pair in self._known else user.strip().lower()


def _pair(user: str, address: str) -> str:
    return f"{user.strip().lower()} {client_network(address)}"
