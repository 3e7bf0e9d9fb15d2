"""Limits on guesses: how often one client address, or anybody for one user, may show what is wrong."""

import logging
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Final

from stream_detect.errors import TooManyGuessesError

GUESSES: Final = 10
"""Wrong ones that one client may show at once; then one a second."""

OF_ADDRESS: Final = 10
OF_ADDRESS_EVERY_S: Final = 5.0
OF_USER: Final = 20
OF_USER_EVERY_S: Final = 45.0
"""Wrong passwords at once, and the time until the next, of one address and for one user."""

_KEYS: Final = 4096
_LOG_EVERY_S: Final = 60.0
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Guesses:
    """What was shown under one key.

    Args:
        left: wrong ones that may still be shown now.
        at_s: when that was so.
        wrong: digests of the newest wrong ones; one shown again is no new guess, so that a page with a token of
            yesterday locks nobody out.
    """

    left: float
    at_s: float
    wrong: deque[str] = field(default_factory=lambda: deque(maxlen=8))
    refused: int = 0
    logged_s: float = -math.inf


class GuessLimit:
    """Bounds how often wrong ones may be shown: `burst` at once, then `per_s` a second.

    Not thread-safe: lives on the event loop.

    Args:
        what: is shown, for the log: "access token".
        burst: guesses at once.
        per_s: guesses a second once these are used up.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        what: str = "access token",
        burst: float = GUESSES,
        per_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._burst = burst
        self._per_s = per_s
        self._clock = clock
        self._of: OrderedDict[str, _Guesses] = OrderedDict()

    def pause_s(self, key: str, digest: str = "") -> float:
        """How long to wait before the next guess; 0 when it may be made now.

        Args:
            key: who guesses, or whose secret is guessed.
            digest: of what is shown, where the same one shown again is no new guess.
        """
        guesses = self._of.get(key)
        if guesses is None or (digest and digest in guesses.wrong):
            return 0.0
        return max(0.0, (1.0 - self._left(guesses)) / self._per_s)

    def wrong(self, key: str, digest: str = "") -> None:
        """What was shown is wrong; the log names the key, at most once a minute."""
        now_s = self._clock()
        guesses = self.count(key, digest)
        guesses.refused += 1
        if now_s - guesses.logged_s >= _LOG_EVERY_S:
            _log.warning("%s refused: %d wrong ones of %s", self._what, guesses.refused, key or "a client")
            guesses.refused, guesses.logged_s = 0, now_s

    def count(self, key: str, digest: str = "") -> "_Guesses":
        """Counts a guess, before it is known whether it is wrong: so many at once are no more than one by one."""
        now_s = self._clock()
        guesses = self._of.setdefault(key, _Guesses(self._burst, now_s))
        self._of.move_to_end(key)
        if len(self._of) > _KEYS:
            self._of.popitem(last=False)
        if not digest or digest not in guesses.wrong:
            guesses.left, guesses.at_s = self._left(guesses) - 1.0, now_s
            if digest:
                guesses.wrong.append(digest)
        return guesses

    def right(self, key: str) -> None:
        """The right one was shown: earlier wrong ones are forgiven."""
        self._of.pop(key, None)

    def _left(self, guesses: _Guesses) -> float:
        return min(self._burst, guesses.left + (self._clock() - guesses.at_s) * self._per_s)


class SignInLimit:
    """Bounds wrong passwords by client address and by user, whether there is such a user or not.

    Of one address ten at once, then one in five seconds; for one user twenty at once, then one in 45 s, 100 in the
    first hour (OWASP ASVS 2.2.1). An address from which the user signed in before has a count of its own, so that
    strangers who guess lock nobody out of where they work. Lives on the event loop.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._of_address = GuessLimit("sign-in", OF_ADDRESS, 1 / OF_ADDRESS_EVERY_S, clock)
        self._of_user = GuessLimit("sign-in", OF_USER, 1 / OF_USER_EVERY_S, clock)
        self._known: OrderedDict[str, None] = OrderedDict()

    def begin(self, user: str, address: str) -> None:
        """Counts an attempt.

        Raises:
            TooManyGuessesError: there were too many.
        """
        network, key = client_network(address), self._key(user, address)
        pause_s = max(self._of_address.pause_s(network), self._of_user.pause_s(key))
        if pause_s > 0:
            raise TooManyGuessesError("too many wrong passwords came; try again later", math.ceil(pause_s))
        self._of_address.count(network)
        self._of_user.count(key)

    def right(self, user: str, address: str) -> None:
        """The attempt was right: wrong ones before it are forgiven to this address."""
        self._of_address.right(client_network(address))
        self._of_user.right(self._key(user, address))
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


def client_network(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 of an IPv6 one, which one subscriber has."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or f"{IPv6Address(int(parsed) >> 64 << 64)}/64")
    return address
