"""Passwords: which ones may be chosen, and how they are hashed and verified (Argon2id, RFC 9106)."""

import base64
import threading
import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from stream_detect.errors import CapacityError, PasswordError

MIN_LENGTH: Final = 12
MAX_LENGTH: Final = 256
"""In characters. At least twelve are required (OWASP ASVS 2.1.1); the maximum exists because hashing reads all of it.
"""

AT_ONCE: Final = 2
"""Parallel hashes: each takes 64 MiB and 50 to 100 ms of a core."""

WAIT_S: Final = 2.0
_RETRY_AFTER_S: Final = 2
_COMMON: Final = frozenset(
    {
        "administrator", "adminadminadmin", "changemechangeme", "changeme1234", "correcthorsebatterystaple",
        "iloveyouiloveyou", "letmeinletmein", "passwordpassword", "passw0rdpassw0rd", "password1234", "password12345",
        "password123456", "qwertyqwerty", "qwertyuiopasdfghjklzxcvbnm", "qwerty123456", "streamdetect", "stream-detect",
        "trustno1trustno1", "welcome12345", "welcomewelcome",
    }
)  # fmt: skip
"""Common passwords of at least twelve characters; shorter ones are rejected anyway."""

_RUNS: Final = ("abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "0123456789" * 3, "1qaz2wsx3edc4rfv5tgb")


def check_new(password: str, user: str) -> str:
    """Checks a new password; returns it in the form to be hashed.

    Any characters are allowed and none are required; Unicode is normalised (NFKC), so that all keyboards give the same.

    Args:
        password: as chosen.
        user: name of the user.

    Raises:
        PasswordError: it is too short, too long, or too common.
    """
    normal = unicodedata.normalize("NFKC", password)
    longest = max(len(password), len(normal))  # a sign-in limits what is typed, which may have more characters
    if len(normal) < MIN_LENGTH or longest > MAX_LENGTH:
        raise PasswordError(
            f"expected a password of {MIN_LENGTH} to {MAX_LENGTH} characters, received "
            f"{len(normal) if len(normal) < MIN_LENGTH else longest}; four or five random words make a good one"
        )
    if any(0xD800 <= ord(character) <= 0xDFFF for character in normal):
        raise PasswordError("expected a password of whole Unicode characters, such as UTF-8 text")
    plain = normal.casefold()
    bare = "".join(character for character in plain if character.isalnum())
    guessed = (
        len(set(plain)) < 5
        or plain in _COMMON
        or bare in _COMMON
        or any(bare and bare in run + run[::-1] for run in _RUNS)
        or (len(user) >= 4 and user in plain and len(plain.replace(user, "")) < MIN_LENGTH - 4)
    )
    if guessed:
        raise PasswordError("expected a password that is not easy to guess; use four or five random words")
    return normal


class Passwords:
    """Hashes and verifies passwords, a limited number at once. Thread-safe; blocks for 50 to 100 ms.

    Args:
        hasher: argon2's; the default parameters are RFC 9106's second recommendation (t=3, 64 MiB, 4 lanes).
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._nobodys = _of_nobody(self._hasher)

    def hashed(self, password: str, user: str) -> str:
        """The hash of a new password.

        Raises:
            PasswordError: it is not allowed.
            CapacityError: too many are being hashed.
        """
        normal = check_new(password, user)
        with _Place(self._places):
            return self._hasher.hash(normal)

    def matches(self, password: str, password_hash: str | None) -> bool:
        """Whether a password matches a hash.

        Without a hash it takes as long and returns False, so that the time does not reveal whether a user exists.

        Raises:
            CapacityError: too many are being hashed.
        """
        normal = unicodedata.normalize("NFKC", password[:MAX_LENGTH]) if len(password) <= MAX_LENGTH else ""
        with _Place(self._places):
            try:
                right = self._hasher.verify(password_hash or self._nobodys, normal)
            except (VerificationError, InvalidHashError):
                return False
        return right and password_hash is not None

    def rehashed(self, password: str) -> str:
        """The hash of a correct password with the current parameters.

        Raises:
            CapacityError: too many are being hashed.
        """
        with _Place(self._places):
            return self._hasher.hash(unicodedata.normalize("NFKC", password))

    def needs_rehash(self, password_hash: str) -> bool:
        """Whether it was made with weaker parameters than the current ones."""
        return self._hasher.check_needs_rehash(password_hash)


def _of_nobody(hasher: PasswordHasher) -> str:
    """A hash that takes as long to verify as the hasher's own and is that of no known password, at no cost."""
    salt, key = (base64.b64encode(bytes(size)).decode().rstrip("=") for size in (hasher.salt_len, hasher.hash_len))
    return f"$argon2id$v=19$m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}${salt}${key}"


class _Place:
    """One of the places for parallel hashes, with a short wait."""

    def __init__(self, places: threading.BoundedSemaphore) -> None:
        self._places = places

    def __enter__(self) -> None:
        if not self._places.acquire(timeout=WAIT_S):
            raise CapacityError("too many users are signing in; try again", _RETRY_AFTER_S)

    def __exit__(self, *_: object) -> None:
        self._places.release()
