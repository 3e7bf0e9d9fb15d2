"""The challenge of one stream: started and stopped from any thread, and stepped by the stream's analysis."""

import logging
import secrets
from collections import deque
from collections.abc import Callable, Collection, Sequence
from threading import Lock
from typing import Protocol

from stream_detect.analysis.challenge import CLIENT_STOPPED, LOST, Challenge, draw_prompts
from stream_detect.analysis.head import HeadReader, HeadView, HeadWatch
from stream_detect.analysis.quality import short_side_px
from stream_detect.analysis.tracks import Track
from stream_detect.challenge_record import ChallengeRecord, ChallengeState, Movement
from stream_detect.errors import AnalysisError, ConflictError, NotFoundError
from stream_detect.types import Frame

MAX_ENDED = 32
"""Challenges of a stream that are remembered, the newest; how many there were is counted. Each takes 5 s at least, so a
check of minutes has room for all, and its record stays within some 30 kB."""

_log = logging.getLogger(__name__)


class ChallengeActions(Protocol):
    """The challenge of a stream's person, in this process (`ChallengeControl`) or in another one: calls may block."""

    @property
    def record(self) -> ChallengeRecord | None:
        """Of the newest challenge; None without one."""
        ...

    def start(self, by: str = "") -> ChallengeRecord:
        """Begins a challenge.

        Args:
            by: name of the user who begins it; empty where none is known.

        Raises:
            ConflictError: one is running.
        """
        ...

    def stop(self) -> None:
        """Stops the challenge that is running.

        Raises:
            NotFoundError: there is none.
        """
        ...


class ChallengeControl:
    """Holds the newest challenge of a stream. Thread-safe; the analysis calls `look`, `moving` and `score`.

    A challenge belongs to one person: to the largest face when it begins. It fails when that face's track ends.

    Args:
        reader: makes what reads heads; called on the analysis' thread, once, when a first challenge begins.
        draw: the prompts of a challenge.
    """

    def __init__(
        self, reader: Callable[[], HeadReader], draw: Callable[[], tuple[Movement, ...]] = draw_prompts
    ) -> None:
        self._make_reader = reader
        self._draw = draw
        self._lock = Lock()
        self._challenge: Challenge | None = None
        self._ended: deque[ChallengeRecord] = deque(maxlen=MAX_ENDED)
        self._ended_count = 0
        # Of the analysis' thread only:
        self._reader: HeadReader | None = None
        self._watched: Challenge | None = None
        self._watch = HeadWatch()
        self._track_id: int | None = None
        self._moving = False

    @property
    def record(self) -> ChallengeRecord | None:
        """Of the newest challenge; None without one."""
        with self._lock:
            return None if self._challenge is None else self._challenge.record

    @property
    def ended(self) -> tuple[ChallengeRecord, ...]:
        """All that have ended, the newest MAX_ENDED, the oldest first; `stop` does not take one away."""
        with self._lock:
            return tuple(self._ended)

    @property
    def ended_count(self) -> int:
        """How many have ended."""
        with self._lock:
            return self._ended_count

    def start(self, by: str = "") -> ChallengeRecord:
        """Begins a challenge; one that has ended is the newest no more.

        Args:
            by: name of the user who begins it; empty where none is known.

        Raises:
            ConflictError: one is running.
        """
        with self._lock:
            if self._challenge is not None and not self._challenge.ended:
                raise ConflictError("a challenge is running already: stop it first, or wait for its end")
            self._challenge = Challenge(secrets.token_hex(8), self._draw(), by)
            return self._challenge.record

    def stop(self) -> None:
        """Stops the challenge that is running; one that has ended is the newest no more.

        Raises:
            NotFoundError: there is none.
        """
        with self._lock:
            if self._challenge is None:
                raise NotFoundError("no challenge was started")
            if self._challenge.ended:
                self._challenge = None
            else:
                self._challenge.end(ChallengeState.STOPPED, CLIENT_STOPPED)
                self._note_end(self._challenge.record)

    def close(self, reason: str) -> None:
        """Ends the challenge that is running, if one is: there will be no more samples.

        Args:
            reason: a sentence for people.
        """
        challenge = self._running()
        if challenge is not None:
            self._step(challenge, lambda: challenge.end(ChallengeState.STOPPED, reason))

    def look(self, frame: Frame, tracks: Sequence[Track], alive: Collection[int]) -> None:
        """Takes the next sample of the stream.

        Args:
            frame: the sample.
            tracks: its faces.
            alive: numbers of all tracks that have not ended.
        """
        challenge = self._running()
        self._moving = False
        if challenge is None:
            return
        if challenge is not self._watched:
            self._watched, self._watch, self._track_id = challenge, HeadWatch(), None
        if self._track_id not in alive and not self._choose(challenge, tracks):
            return
        try:
            view = self._view(frame, tracks)
        except AnalysisError as error:
            reason = f"the face cannot be followed: {error}"
            self._step(challenge, lambda: challenge.end(ChallengeState.FAILED, reason))
            return
        asked = challenge.asking
        sight = None if view is None else self._watch.look(view)
        self._moving = sight is not None and sight.movement is not None
        self._step(challenge, lambda: challenge.step(frame.time_s, sight))
        if asked and not challenge.asking:
            self._watch.begin()

    def moving(self, track_id: int) -> bool:
        """Whether the newest sample shows a movement of the face that is challenged: its score counts in no window."""
        return self._moving and track_id == self._track_id

    def follows(self, track_id: int) -> bool:
        """Whether this face is challenged now: its scores are wanted, also those that count in no window."""
        return track_id == self._track_id and self._running() is not None

    def score(self, track_id: int, fake_probability: float) -> None:
        """Takes a score of a face, in [0, 1]; of others than the challenged one it is passed over."""
        challenge = self._running()
        if challenge is not None and track_id == self._track_id:
            self._step(challenge, lambda: challenge.score(fake_probability))

    def _running(self) -> Challenge | None:
        with self._lock:
            challenge = self._challenge
            return None if challenge is None or challenge.ended else challenge

    def _choose(self, challenge: Challenge, tracks: Sequence[Track]) -> bool:
        """Chooses the face that is challenged; False when the challenge is over, as that face is gone."""
        if self._track_id is not None and challenge.state is not ChallengeState.BASELINE:
            self._step(challenge, lambda: challenge.end(ChallengeState.FAILED, LOST))
            return False
        settled = [track for track in tracks if track.settled]
        self._track_id = max(settled, key=lambda track: short_side_px(track.face)).track_id if settled else None
        self._watch = HeadWatch()
        return True

    def _view(self, frame: Frame, tracks: Sequence[Track]) -> HeadView | None:
        """The challenged face; None when it was not found in this sample."""
        for track in tracks:
            if track.track_id == self._track_id and track.settled and track.face.fresh:
                if self._reader is None:
                    self._reader = self._make_reader()
                return self._reader.view(frame.image, track.face, frame.time_s)
        return None

    def _step(self, challenge: Challenge, change: Callable[[], None]) -> None:
        with self._lock:
            before = challenge.ended
            change()
            if challenge.ended and not before:
                self._note_end(challenge.record)

    def _note_end(self, record: ChallengeRecord) -> None:
        """Under the lock."""
        self._ended.append(record)
        self._ended_count += 1
        answers = ", ".join(f"{one.asked} {'followed' if one.followed else 'not followed'}" for one in record.done)
        reason = f" ({record.reason})" if record.reason else ""
        _log.info("challenge %s: %s%s; %s", record.challenge_id, record.state, reason, answers or "nothing was asked")
