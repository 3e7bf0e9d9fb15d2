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
"""Number of ended challenges kept per stream, the newest ones; all are counted. A challenge takes at least 5 s, so all
those of a check of some minutes are kept, and its record stays within some 30 kB.
"""

_log = logging.getLogger(__name__)


class ChallengeActions(Protocol):
    """The challenge of a stream, in this process (`ChallengeControl`) or in another one; calls may block."""

    @property
    def record(self) -> ChallengeRecord | None:
        """Record of the newest challenge; None if there was none."""
        ...

    def start(self, by: str = "") -> ChallengeRecord:
        """Starts a challenge.

        Args:
            by: name of the user who starts it; empty if unknown.

        Raises:
            ConflictError: a challenge is running.
        """
        ...

    def stop(self) -> None:
        """Stops the running challenge.

        Raises:
            NotFoundError: no challenge is running.
        """
        ...


class ChallengeControl:
    """Holds the newest challenge of a stream. Thread-safe; the analysis calls `look`, `moving` and `score`.

    A challenge belongs to one person: the largest face when it starts. It fails when that face's track ends.

    Args:
        reader: makes the head reader; called once, on the analysis thread, when the first challenge starts.
        draw: draws the prompts of a challenge.
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
        # Used on the analysis thread only:
        self._reader: HeadReader | None = None
        self._watched: Challenge | None = None
        self._watch = HeadWatch()
        self._track_id: int | None = None
        self._moving = False

    @property
    def record(self) -> ChallengeRecord | None:
        """Record of the newest challenge; None if there was none."""
        with self._lock:
            return None if self._challenge is None else self._challenge.record

    @property
    def ended(self) -> tuple[ChallengeRecord, ...]:
        """The ended challenges, the newest MAX_ENDED, oldest first; `stop` does not remove them."""
        with self._lock:
            return tuple(self._ended)

    @property
    def ended_count(self) -> int:
        """Number of challenges that have ended."""
        with self._lock:
            return self._ended_count

    def start(self, by: str = "") -> ChallengeRecord:
        """Starts a challenge, which replaces an ended one as the newest.

        Args:
            by: name of the user who starts it; empty if unknown.

        Raises:
            ConflictError: a challenge is running.
        """
        with self._lock:
            if self._challenge is not None and not self._challenge.ended:
                raise ConflictError("a challenge is already running: stop it first, or wait until it ends")
            self._challenge = Challenge(secrets.token_hex(8), self._draw(), by)
            return self._challenge.record

    def stop(self) -> None:
        """Stops the running challenge; an ended one is no longer the newest.

        Raises:
            NotFoundError: there is none.
        """
        with self._lock:
            if self._challenge is None:
                raise NotFoundError("no challenge has been started: POST starts one")
            if self._challenge.ended:
                self._challenge = None
            else:
                self._challenge.end(ChallengeState.STOPPED, CLIENT_STOPPED)
                self._note_end(self._challenge.record)

    def close(self, reason: str) -> None:
        """Ends the running challenge, if any: there will be no more samples.

        Args:
            reason: a sentence for people.
        """
        challenge = self._running()
        if challenge is not None:
            self._step(challenge, lambda: challenge.end(ChallengeState.STOPPED, reason))

    def look(self, frame: Frame, tracks: Sequence[Track], alive: Collection[int]) -> None:
        """Processes the next sample of the stream.

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
        self._step(challenge, lambda: challenge.step(frame.time_s, sight, frame.arrived_s))
        if asked and not challenge.asking:
            self._watch.begin()

    def moving(self, track_id: int) -> bool:
        """Whether the newest sample shows a movement of the challenged face, so that its score counts in no window."""
        return self._moving and track_id == self._track_id

    def follows(self, track_id: int) -> bool:
        """Whether this face is challenged now: all its scores are wanted, also those that count in no window."""
        return track_id == self._track_id and self._running() is not None

    def score(self, track_id: int, fake_probability: float) -> None:
        """Records a score of a face, in [0, 1]; ignored unless the face is the challenged one."""
        challenge = self._running()
        if challenge is not None and track_id == self._track_id:
            self._step(challenge, lambda: challenge.score(fake_probability))

    def _running(self) -> Challenge | None:
        with self._lock:
            challenge = self._challenge
            return None if challenge is None or challenge.ended else challenge

    def _choose(self, challenge: Challenge, tracks: Sequence[Track]) -> bool:
        """Chooses the face to challenge; False if the challenge has ended because that face is gone."""
        if self._track_id is not None and challenge.state is not ChallengeState.BASELINE:
            self._step(challenge, lambda: challenge.end(ChallengeState.FAILED, LOST))
            return False
        settled = [track for track in tracks if track.settled]
        self._track_id = max(settled, key=lambda track: short_side_px(track.face)).track_id if settled else None
        self._watch = HeadWatch()
        return True

    def _view(self, frame: Frame, tracks: Sequence[Track]) -> HeadView | None:
        """View of the challenged face; None if it was not found in this sample."""
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
        """Records an ended challenge; call with the lock held."""
        self._ended.append(record)
        self._ended_count += 1
        answers = ", ".join(f"{one.asked} {'followed' if one.followed else 'not followed'}" for one in record.done)
        reason = f" ({record.reason})" if record.reason else ""
        # A client may start and stop challenges as fast as it likes: one without an answer must not fill the log.
        level = logging.DEBUG if record.state is ChallengeState.STOPPED and not record.done else logging.INFO
        _log.log(
            level, "challenge %s: %s%s; %s", record.challenge_id, record.state, reason, answers or "nothing was asked"
        )
