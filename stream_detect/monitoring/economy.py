"""Economy: key frames, faces and viewers of a camera enter; whether key frames suffice for now leaves."""

NO_FACE_S = 10.0
"""Key frames suffice once no face was in the picture for so long: someone who turns away is still there."""

SAMPLE = 3
"""Intervals between key frames to be seen before they are trusted."""


class Economy:
    """Decides between all frames and key frames only (an idle 1080p camera costs a quarter then: FACTS.md).

    Key frames alone are no way to notice a stall when they come seldom: a camera is spared only once it has shown that
    two of them come within the time in which a stall is to be noticed.

    Args:
        allowed: by the camera's settings.
        stall_s: without a picture for so long a camera has stalled.
    """

    def __init__(self, *, allowed: bool, stall_s: float) -> None:
        self._allowed = allowed
        self._most_s = stall_s / 2
        self._face_s = 0.0
        self._key_s: float | None = None
        self._intervals = 0
        self._longest_s = 0.0

    def begin(self, now_s: float) -> None:
        """A connection begins: nothing is known of its key frames, and somebody may have come meanwhile."""
        self._face_s = now_s
        self._key_s = None
        self._intervals = 0
        self._longest_s = 0.0

    def keyframe(self, arrived_s: float) -> None:
        """A key frame came (monotonic seconds)."""
        if self._key_s is not None:
            self._intervals += 1
            self._longest_s = max(self._longest_s, arrived_s - self._key_s)
        self._key_s = arrived_s

    def face(self, now_s: float) -> None:
        """A face was in the picture."""
        self._face_s = now_s

    def forbid(self) -> None:
        """Key frames stopped coming in time: this camera is spared no more."""
        self._allowed = False

    def suffices(self, now_s: float, viewers: int) -> bool:
        """Whether key frames suffice now."""
        return (
            self._allowed
            and viewers == 0
            and now_s - self._face_s >= NO_FACE_S
            and self._intervals >= SAMPLE
            and self._longest_s <= self._most_s
        )
