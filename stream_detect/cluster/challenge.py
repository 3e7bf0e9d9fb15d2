"""A challenge on a worker: of the person before a camera that it watches, or at a live check that it has."""

from typing import Any, Literal

from stream_detect.challenge_record import ChallengeRecord
from stream_detect.cluster.messages import Refusal, raised
from stream_detect.cluster.nodes import WorkerLink, WorkerLostError
from stream_detect.errors import ConflictError

ANSWER_S = 5.0
"""Time limit of an answer."""


class RemoteChallenge:
    """Challenge of a stream on a worker; an `analysis.challenge_control.ChallengeActions`. Calls block.

    Args:
        link: link to the worker.
        method: method of the worker.
        stream: name of the camera, or session id of the live check.
    """

    def __init__(self, link: WorkerLink, method: Literal["challenge", "check_challenge"], stream: str) -> None:
        self._link = link
        self._method = method
        self._stream = stream

    @property
    def record(self) -> ChallengeRecord | None:
        """Record of the newest challenge; None if there was none."""
        record: ChallengeRecord | None = self._ask("record")
        return record

    def start(self, by: str = "") -> ChallengeRecord:
        """Starts a challenge.

        Args:
            by: name of the user who starts it; empty if unknown.

        Raises:
            ConflictError: a challenge is running, or the worker is gone.
        """
        record: ChallengeRecord = self._ask("start", by)
        return record

    def stop(self) -> None:
        """Stops the running challenge.

        Raises:
            NotFoundError: no challenge is running.
        """
        self._ask("stop")

    def _ask(self, act: str, by: str = "") -> Any:
        try:
            answer = self._link.call(self._method, self._stream, act, by, timeout_s=ANSWER_S)
        except WorkerLostError as error:
            raise ConflictError(f"the worker of this stream does not answer: {error}") from error
        if isinstance(answer, Refusal):
            raise raised(answer)
        return answer
