"""Challenges before a camera, followed by its results: each that ends becomes the record of a check."""

from collections.abc import Callable
from dataclasses import replace

from stream_detect.challenge_record import ChallengeRecord, ChallengeState
from stream_detect.storage.checks import CheckRecord
from stream_detect.storage.records import Judge, new_id
from stream_detect.types import Result, Verdict

BROKEN_OFF = "broken off by a client, or because the camera was stopped, changed or moved to another worker"


class CameraChecks:
    """The challenges in front of one camera. Every result carries the newest one, so none with a result is missed.

    Args:
        camera: name of the camera.
        judge: the model of the newest result.
    """

    def __init__(self, camera: str, judge: Callable[[], Judge]) -> None:
        self._camera = camera
        self._judge = judge
        self._challenge: ChallengeRecord | None = None  # the running one
        self._began_s = 0.0
        self._silent_s: float | None = None  # since when its worker has been silent
        self._verdict: Verdict | None = None
        self._recorded = ""  # id of the newest ended one
        self._carried = False  # whether the newest result had a challenge, running or ended

    @property
    def idle(self) -> bool:
        """Whether there is no state: no challenge is running, and no result will have one that was recorded."""
        return self._challenge is None and not self._carried

    def result(self, result: Result, at_s: float) -> CheckRecord | None:
        """The record of a challenge that ended with this result, or before it without a result.

        Args:
            result: result of the camera.
            at_s: time of its frame, unix seconds.
        """
        now, before = result.challenge, self._challenge
        if before is not None and (now is None or now.challenge_id != before.challenge_id):
            return self.close(at_s)
        if result.error is None:  # otherwise the analysis failed, and has no verdict
            self._verdict = result.verdict
        self._silent_s, self._carried = None, now is not None
        if now is None or now.challenge_id == self._recorded:
            return None
        if before is None:
            self._began_s = at_s
        self._challenge = now
        return self._record(now, at_s) if now.state.is_end else None

    def silence(self, at_s: float) -> None:
        """Called when the camera's worker does not answer: its next result shows whether the challenge goes on."""
        self._silent_s = at_s

    def close(self, at_s: float) -> CheckRecord | None:
        """The record of a challenge that was running when its camera was stopped; None if there was none.

        Args:
            at_s: unix seconds; it ended when its worker fell silent, if it did.
        """
        running, silent_s = self._challenge, self._silent_s
        self._silent_s, self._carried = None, False
        if running is None:
            return None
        ended = replace(running, state=ChallengeState.STOPPED, reason=BROKEN_OFF, now=None)
        return self._record(ended, at_s if silent_s is None else silent_s)

    def _record(self, ended: ChallengeRecord, at_s: float) -> CheckRecord:
        self._challenge, self._recorded = None, ended.challenge_id
        verdict = self._verdict
        return CheckRecord(
            id=new_id(self._began_s),
            camera=self._camera,
            who=ended.by,
            began_s=self._began_s,
            ended_s=max(at_s, self._began_s),
            state=None if verdict is None else verdict.state,
            reason="" if verdict is None else verdict.reason,
            fake_probability=None if verdict is None else verdict.fake_probability,
            judge=self._judge(),
            challenges=(ended,),
            challenges_ended=1,
        )
