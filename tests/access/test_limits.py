"""Wrong tokens and passwords are counted per client address and per user, and expire."""

import pytest

from stream_detect.access.limits import GUESSES, GuessLimit, SignInLimit, TokenBucket
from stream_detect.errors import ForbiddenError, SignInError, StorageError, TooManyGuessesError


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_bucket_holds_a_burst_fills_with_time_and_forgets_the_oldest_keys(clock):
    bucket = TokenBucket(2, 0.5, clock)
    for _ in range(2):
        assert bucket.pause_s("a") == 0
        bucket.take("a")
    assert (bucket.pause_s("a"), bucket.pause_s("b")) == (2.0, 0.0)
    clock.now_s += 1
    assert bucket.pause_s("a") == 1.0
    clock.now_s += 100
    bucket.take("a")
    bucket.take("a")
    assert bucket.pause_s("a") == 2.0, "no more than the burst was saved up"
    bucket.refill("a")
    assert bucket.pause_s("a") == 0
    for n in range(5000):
        bucket.take(f"{n}")
    assert len(bucket._left) == 4096


def test_wrong_tokens_are_forgiven_one_a_second_and_counted_by_key(clock):
    limit = GuessLimit(clock=clock)
    for n in range(GUESSES):
        assert limit.pause_s("192.0.2.1", f"{n}") == 0
        limit.wrong("192.0.2.1", f"{n}")
    assert limit.pause_s("192.0.2.1", "x") == 1.0
    assert limit.pause_s("192.0.2.2", "x") == 0
    clock.now_s += 1.5
    assert limit.pause_s("192.0.2.1", "x") == 0
    limit.wrong("192.0.2.1", "x")
    assert limit.pause_s("192.0.2.1", "y") == 0.5


def test_the_same_wrong_token_again_is_no_new_guess(clock):
    limit = GuessLimit(clock=clock)
    for _ in range(3 * GUESSES):
        limit.wrong("192.0.2.1", "the-token-of-yesterday")
    assert limit.pause_s("192.0.2.1", "x") == 0


def attempts(limit: SignInLimit, user: str, address: str, most: int = 1000) -> int:
    """Number of accepted attempts."""
    for n in range(most):
        try:
            limit.begin(user, address)
        except TooManyGuessesError:
            return n
    return most


def test_one_address_has_ten_attempts_for_any_user(clock):
    limit = SignInLimit(clock)
    assert sum(attempts(limit, f"user{n}", "192.0.2.1", 3) for n in range(10)) == 10
    assert attempts(limit, "other", "192.0.2.2", 5) == 5


def test_one_user_has_twenty_attempts_from_all_addresses_and_a_hundred_in_the_first_hour(clock):
    limit = SignInLimit(clock)
    assert sum(attempts(limit, "Alice", f"192.0.2.{n}", 3) for n in range(30)) == 20
    taken = 20
    for n in range(3600):
        clock.now_s += 1
        taken += attempts(limit, " alice ", f"198.51.100.{n % 250}", 1)
    assert taken <= 100


def test_guessing_from_elsewhere_does_not_lock_a_user_out(clock):
    limit = SignInLimit(clock)
    limit.begin("alice", "203.0.113.9")
    limit.right("alice", "203.0.113.9")
    for n in range(30):
        attempts(limit, "alice", f"192.0.2.{n}", 3)
    assert attempts(limit, "alice", "192.0.2.200", 1) == 0
    assert attempts(limit, "alice", "203.0.113.9", 1) == 1


def test_the_answer_says_when_to_try_again(clock):
    limit = SignInLimit(clock)
    assert attempts(limit, "alice", "192.0.2.1") == 10
    with pytest.raises(TooManyGuessesError) as refused:
        limit.begin("alice", "192.0.2.1")
    assert refused.value.retry_after_s == 5
    clock.now_s += 5
    limit.begin("alice", "192.0.2.1")


@pytest.mark.parametrize(
    ("error", "counts"), [(SignInError("wrong"), True), (ForbiddenError("wrong"), True), (StorageError("away"), False)]
)
def test_what_says_nothing_of_the_password_is_no_attempt(clock, error, counts):
    limit = SignInLimit(clock)
    for _ in range(10):
        with pytest.raises(type(error)), limit.attempt("alice", "192.0.2.1"):
            raise error
    assert attempts(limit, "alice", "192.0.2.1", 10) == (0 if counts else 10)


def test_a_right_password_forgives_the_wrong_ones_before_it(clock):
    limit = SignInLimit(clock)
    assert attempts(limit, "alice", "192.0.2.1", 9) == 9
    limit.right("alice", "192.0.2.1")
    assert attempts(limit, "alice", "192.0.2.1", 9) == 9
