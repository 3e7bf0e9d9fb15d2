"""A challenge: asks a person for a random sequence of movements and records which of them were made.

It shows that the video is live and not a recording, and no more than that: a face that is swapped in real time follows
as well, and so does a person who plays the right part of a recording at the right time.

Each prompt is decided by the first movement that follows it, whether or not it is the requested one. So what a
recording "answers", and when, does not depend on the prompt: whatever it shows, it passes a challenge of n prompts
with a probability of at most (1/6) * (1/5)^(n - 1) (`chance_of_passing`).
"""

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from stream_detect.analysis.head import Sight
from stream_detect.challenge_record import ChallengeRecord, ChallengeState, Movement, PromptOutcome, StandingPrompt

LENGTHS = (3, 4, 5)
"""Possible numbers of prompts, each equally likely."""

PROMPT_S = 8.0
"""Time limit of a prompt: reading takes some 2 s, a movement 1 to 2 s, and calls add a delay of up to 1 s each way."""

HOLD_S = 0.35
HOLD_SAMPLES = 3
"""How long a movement must be held, and in how many samples at least (five at 10 Hz), so that a pose passed on the way
does not count. One sample in between may miss it: a hand in front of the face is seen in nine samples of ten."""

REST_LIMIT_S = 15.0
"""Time limit for coming to rest before a prompt."""

LOST = "the face was lost, or another person took its place"
NOT_AT_REST = f"no still, frontal and uncovered face within {REST_LIMIT_S:.0f} s"
NOT_FOLLOWED = "not all prompts were followed"
CLIENT_STOPPED = "stopped on request"


def draw_prompts(below: Callable[[int], int] = secrets.randbelow) -> tuple[Movement, ...]:
    """Three to five movements, none twice in a row.

    Args:
        below: returns a random integer in [0, argument), uniformly distributed.
    """
    prompts: list[Movement] = []
    for _ in range(LENGTHS[below(len(LENGTHS))]):
        choice = [movement for movement in Movement if not prompts or movement is not prompts[-1]]
        prompts.append(choice[below(len(choice))])
    return tuple(prompts)


def chance_of_passing(prompts: int) -> float:
    """The highest probability that any recording passes a challenge of this many prompts (at least one).

    The movements of a recording are a fixed sequence. The first prompt is one of six movements, each later one is one
    of the five that differ from the previous prompt, all with equal probability.
    """
    kinds = len(Movement)
    return 1.0 / (kinds * math.pow(kinds - 1, prompts - 1))


class _Scores:
    """Mean and maximum of scores."""

    def __init__(self) -> None:
        self._count = 0
        self._sum = 0.0
        self._max = -math.inf

    def add(self, score: float) -> None:
        self._count += 1
        self._sum += score
        self._max = max(self._max, score)

    @property
    def mean(self) -> float | None:
        return self._sum / self._count if self._count else None

    @property
    def highest(self) -> float | None:
        return self._max if self._count else None


@dataclass(frozen=True, slots=True)
class _Sampled:
    """When a sample was taken, in stream time, and when it arrived, in monotonic seconds."""

    time_s: float
    arrived_s: float

    def since(self, earlier: "_Sampled") -> float:
        """Seconds since an earlier sample: the longer of stream time and time between the arrivals.

        The timestamps are the sender's, and who is challenged may be the sender: with slow ones, or with a pause that
        they do not show, there would be as much time for each answer as a recording needs to be made.
        """
        return max(self.time_s - earlier.time_s, self.arrived_s - earlier.arrived_s)


@dataclass(slots=True)
class _Hold:
    """A movement that is being held."""

    movement: Movement
    since: _Sampled
    samples: int = 1
    missed: int = 0  # consecutive samples that did not show it


class Challenge:
    """One challenge, from start to end. Synchronous, not thread-safe.

    Before each prompt the face has to be at rest. The prompt is then shown until a movement has been held or the time
    limit is reached. All prompts are shown, even if one was not followed. Time limits apply in stream time and in time
    between the arrivals of samples, whichever is longer.

    Args:
        challenge_id: unguessable.
        prompts: the movements to ask for, at least one.
        by: name of the user who started it; empty if unknown.
    """

    def __init__(self, challenge_id: str, prompts: tuple[Movement, ...], by: str = "") -> None:
        self._id = challenge_id
        self._by = by
        self._prompts = prompts
        self._state = ChallengeState.BASELINE
        self._reason = ""
        self._now = _Sampled(-math.inf, -math.inf)
        self._since: _Sampled | None = None  # when the current prompt, or the wait for rest, began
        self._asking = False
        self._hold: _Hold | None = None
        self._done: list[PromptOutcome] = []
        self._during, self._outside = _Scores(), _Scores()

    @property
    def state(self) -> ChallengeState:
        """Current state."""
        return self._state

    @property
    def ended(self) -> bool:
        """Whether it has passed, failed or been stopped."""
        return self._state.is_end

    @property
    def asking(self) -> bool:
        """Whether a prompt is shown; otherwise the face has to come to rest."""
        return self._asking

    @property
    def record(self) -> ChallengeRecord:
        """What was asked so far, and the answers."""
        return ChallengeRecord(
            challenge_id=self._id,
            state=self._state,
            reason=self._reason,
            now=self._standing(),
            done=tuple(self._done),
            outside_mean=self._outside.mean,
            outside_max=self._outside.highest,
            by=self._by,
        )

    def step(self, time_s: float, sight: Sight | None, arrived_s: float) -> None:
        """Processes the next sample of the face.

        Args:
            time_s: stream time.
            sight: what it shows; None if the face was not found in it, which does not interrupt a hold.
            arrived_s: arrival of its frame in monotonic seconds.
        """
        if self.ended:
            return
        self._now = _Sampled(time_s, arrived_s)
        if self._since is None:
            self._since = self._now
        if not self._asking:
            self._wait(sight, self._since)
            return
        if sight is not None:
            self._follow(sight.movement)
        if self._asking and self._now.since(self._since) >= PROMPT_S:
            self._decide(None)

    def score(self, fake_probability: float) -> None:
        """Records a score of the face, whether or not it counts in the window."""
        if not self.ended:
            (self._during if self._asking else self._outside).add(fake_probability)

    def end(self, state: ChallengeState, reason: str) -> None:
        """Ends the challenge, unless it has ended already.

        Args:
            state: failed or stopped.
            reason: a sentence for people.
        """
        if not self.ended:
            self._state, self._reason = state, reason
            self._asking, self._hold = False, None

    def _wait(self, sight: Sight | None, since: _Sampled) -> None:
        if sight is not None and sight.at_rest:
            self._state, self._asking = ChallengeState.RUNNING, True
            self._since, self._hold, self._during = self._now, None, _Scores()
        elif self._now.since(since) >= REST_LIMIT_S:
            self.end(ChallengeState.FAILED, NOT_AT_REST)

    def _follow(self, movement: Movement | None) -> None:
        hold = self._hold
        if movement is None:
            if hold is not None:
                hold.missed += 1
                self._hold = hold if hold.missed <= 1 else None
        elif hold is None or hold.movement is not movement:
            self._hold = _Hold(movement, self._now)
        else:
            hold.samples, hold.missed = hold.samples + 1, 0
            if hold.samples >= HOLD_SAMPLES and self._now.time_s - hold.since.time_s >= HOLD_S:
                self._decide(hold)

    def _decide(self, hold: _Hold | None) -> None:
        """Records the answer to the current prompt, or that there was none in time."""
        begun = self._since or self._now
        self._done.append(
            PromptOutcome(
                asked=self._prompts[len(self._done)],
                seen=hold.movement if hold else None,
                took_s=hold.since.since(begun) if hold else None,
                score_mean=self._during.mean,
                score_max=self._during.highest,
            )
        )
        self._asking, self._hold, self._since = False, None, self._now
        if len(self._done) == len(self._prompts):
            followed = all(outcome.followed for outcome in self._done)
            self._state = ChallengeState.PASSED if followed else ChallengeState.FAILED
            self._reason = "" if followed else NOT_FOLLOWED

    def _standing(self) -> StandingPrompt | None:
        if not self._asking or self._since is None:
            return None
        left_s = max(PROMPT_S - self._now.since(self._since), 0.0)
        number = len(self._done) + 1
        return StandingPrompt(self._prompts[number - 1], number, len(self._prompts), left_s)
