"""The intake of a camera's frames: keeps the newest, passes each to viewers, and samples to the analysis.

frame ──> newest
      ├─> viewing.show        every frame, while somebody watches
      └─> sampler ──> worker  some; converted to RGB on the worker's thread
"""

from collections import deque
from collections.abc import Callable
from functools import partial

from av import VideoFrame

from stream_detect.analysis.sampler import Sampler
from stream_detect.cameras.observer import Viewing
from stream_detect.media.clock import REST_S, StreamClock
from stream_detect.media.planes import RgbConverter
from stream_detect.types import Frame

RATE_S = 10
"""Time over which the frame rate is measured, in seconds."""


class Intake:
    """Frames of one camera from start to stop, over all of its connections.

    Frames are added by one thread at a time, and converted on the worker's thread.

    Args:
        viewing: receives the camera's frames.
        sampler: picks the frames to analyse.
        submit: accepts the supplier of a frame to be analysed; returns at once.
    """

    def __init__(self, viewing: Viewing, sampler: Sampler, submit: Callable[[Callable[[], Frame]], None]) -> None:
        self._viewing = viewing
        self._sampler = sampler
        self._submit = submit
        self._clock = StreamClock(jump_s=REST_S)
        self._began_s: float | None = None
        self._anew = False
        self._gaps = 0
        self._gaps_analysed = 0  # used on the worker's thread only, like the next
        self._rgb = RgbConverter()
        self.newest: VideoFrame | None = None
        self.newest_s = 0.0
        """Arrival of the newest frame in monotonic seconds."""
        self.judged: VideoFrame | None = None
        """The frame analysed last: on the worker's thread, that of the result being delivered."""
        self.pictures = 0

    def begin(self) -> None:
        """Called when a connection begins: its first frame follows a gap, and its timestamps may start anywhere."""
        self._anew = True

    def take(self, frame: VideoFrame, source_s: float, arrived_s: float, *, gap: bool) -> None:
        """Accepts the next frame.

        Args:
            frame: upright; read only.
            source_s: its time on the source's own clock.
            arrived_s: monotonic seconds.
            gap: something was lost just before it.
        """
        if gap or self._anew:
            self._gaps += self.pictures > 0
        if self._anew:
            self._clock.restart()
            self._anew = False
        if self._began_s is None:
            self._began_s = arrived_s
        time_s = self._clock.at(source_s, arrived_s) - self._began_s
        self.newest, self.newest_s = frame, arrived_s
        self.pictures += 1
        if self._viewing.viewers:
            self._viewing.show(frame)
        if self._sampler.wants(time_s):
            self._submit(partial(self._supply, frame, time_s, arrived_s, self._gaps))

    def _supply(self, frame: VideoFrame, time_s: float, arrived_s: float, gaps: int) -> Frame:
        """The frame in the form of the analysis, made on its thread.

        Gaps are counted, not flagged, so that no mark is lost with a sample that a newer one replaced.
        """
        image = self._rgb.convert(frame)
        self.judged = frame
        gap, self._gaps_analysed = gaps != self._gaps_analysed, gaps
        watched = self._viewing.viewers > 0
        return Frame(image, time_s, arrived_s, pts=frame.pts, gap=gap, watched=watched)


class FrameRate:
    """Frames per second over the last ten seconds, from a counter that is sampled now and then."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque(maxlen=RATE_S)  # (monotonic seconds, number of frames)

    def clear(self) -> None:
        """Called when frames stop: the rate is 0 until `mark` is called again."""
        self._marks.clear()

    def mark(self, now_s: float, pictures: int) -> None:
        """Records the count, once a second; further calls do nothing."""
        if not self._marks or now_s - self._marks[-1][0] >= 1.0:
            self._marks.append((now_s, pictures))

    def hz(self, now_s: float, pictures: int) -> float:
        """The current rate."""
        marks = tuple(self._marks)
        if not marks:
            return 0.0
        since_s, before = marks[0]
        return (pictures - before) / max(now_s - since_s, 1.0)


NO_FACE_S = 10.0
"""Key frames suffice once there was no face for this long: someone who turned away is still there."""

SAMPLE = 3
"""Intervals between key frames to observe before they are trusted."""


class KeyframeOnly:
    """Decides between all frames and key frames only, which costs a quarter for an idle 1080p camera (measured).

    Rare key frames are not enough to detect a stall, so they suffice only after a camera has sent two of them within
    the time limit for a stall.

    Args:
        allowed: whether the camera's settings allow it.
        stall_s: time without a frame after which a camera has stalled.
    """

    def __init__(self, *, allowed: bool, stall_s: float) -> None:
        self._allowed = allowed
        self._most_s = stall_s / 2
        self._face_s = 0.0
        self._key_s: float | None = None
        self._intervals = 0
        self._longest_s = 0.0

    def begin(self, now_s: float) -> None:
        """Called when a connection begins: its key frames are unknown, and somebody may have appeared meanwhile."""
        self._face_s = now_s
        self._key_s = None
        self._intervals = 0
        self._longest_s = 0.0

    def keyframe(self, arrived_s: float) -> None:
        """Records the arrival of a key frame (monotonic seconds)."""
        if self._key_s is not None:
            self._intervals += 1
            self._longest_s = max(self._longest_s, arrived_s - self._key_s)
        self._key_s = arrived_s

    def face(self, now_s: float) -> None:
        """Records that the frame showed a face."""
        self._face_s = now_s

    def forbid(self) -> None:
        """Called when key frames did not arrive in time: all frames are decoded from now on."""
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
