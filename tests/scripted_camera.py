"""A camera whose reader, clock and faces a test controls: `with Stage() as stage: stage.camera(...)`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from queue import Empty, Queue
from threading import Event
from typing import Any, Self

import numpy as np
from av import VideoFrame

from stream_detect.analysis.engine import Engine
from stream_detect.analysis.scripted import ScriptedClassifier, ScriptedDetector, upright_face
from stream_detect.analysis.settings import AnalysisSettings
from stream_detect.cameras.camera import Camera, CameraParts
from stream_detect.cameras.supervisor import Clocks
from stream_detect.errors import SourceError
from stream_detect.settings import CameraSettings, MonitoringSettings
from stream_detect.sources.reader import SourceFrame
from stream_detect.types import CameraState, Face, Result, StateChange
from tests.patience import PATIENCE_S, until

POLL_S = 0.01
"""Period at which a scripted reader checks for a stop, as a real one does between packets."""


def frame(wh: tuple[int, int] = (160, 120), pts: int = 0) -> VideoFrame:
    """A detailed image of any size; its brightness depends on `pts`, because a still picture is not judged."""
    noise = np.random.default_rng(7).integers(0, 240, (wh[1], wh[0], 3), np.uint8) + np.uint8(4 * (pts % 4))
    made = VideoFrame.from_ndarray(noise, format="rgb24").reformat(format="yuv420p")
    made.pts = pts
    return made


class Watcher:
    """An observer that records, and a viewing."""

    def __init__(self) -> None:
        self.changes: list[StateChange] = []
        self.results: Queue[tuple[str, Result, float]] = Queue()
        self.gone: list[str] = []
        self.viewers = 0
        self.shown: list[VideoFrame] = []
        self.shown_result: Result | None = None
        self._states: Queue[StateChange] = Queue()

    def state(self, change: StateChange) -> None:
        self.changes.append(change)
        self._states.put(change)

    def result(self, camera: str, result: Result, at_s: float) -> None:
        self.results.put((camera, result, at_s))

    def removed(self, camera: str) -> None:
        self.gone.append(camera)

    def show(self, picture: VideoFrame) -> None:
        self.shown.append(picture)

    def show_result(self, result: Result | None) -> None:
        self.shown_result = result

    def next_change(self, camera: str | None = None) -> StateChange:
        """The next change of state, of one camera if given."""
        while True:
            change = self._states.get(timeout=PATIENCE_S)
            if camera is None or change.camera == camera:
                return change

    def expect(self, *states: CameraState) -> StateChange:
        """Checks that the next changes of state are these, in order; returns the last."""
        changes = [self.next_change() for _ in states]
        assert tuple(change.state for change in changes) == states, changes
        return changes[-1]


class Hang:
    """Blocks a reader, even if it is stopped, until the end of the test."""


HANG = Hang()


@dataclass
class ScriptedReader:
    """A scripted connection. Put its actions into `script`: a frame, an error to raise, HANG, or None for its end."""

    stage: "Stage"
    stopping: Event
    script: "Queue[Any]"
    codec: str = "h264"
    keyframes_only: bool = False
    decode_errors: int = 0
    received_bytes: int = 0
    packet_s: float = 0.0
    trouble: str = ""
    hanging: bool = False
    closed: bool = False

    def settled(self) -> bool:
        """Whether it has executed its script as far as possible, and the camera has processed the results."""
        return not self.script.unfinished_tasks or self.hanging or self.closed or self.stopping.is_set()

    def __enter__(self) -> Self:
        self.stage.opening.set()
        if self.stage.open_hangs:
            self.stage.ending.wait()
        if self.stage.refuse is not None:
            raise self.stage.refuse
        self.stage.connections.put(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def pictures(self) -> Iterator[SourceFrame]:
        while not self.stopping.is_set():
            try:
                step = self.script.get(timeout=POLL_S)
            except Empty:
                continue
            if step is None:
                return
            if step is HANG:
                self.hanging = True
                self.stage.ending.wait()
                self.hanging = False
                while not self.script.empty():  # too late, and without checking for a stop
                    yield self.script.get()
                    self.script.task_done()
            elif isinstance(step, Exception):
                raise step
            else:
                self.received_bytes += 1000
                yield step
            self.script.task_done()


class Stage:
    """A clock, scripted connections and cameras, which are stopped at the end."""

    def __init__(self, find: Sequence[Face] = (), **monitoring: Any) -> None:
        self.now_s = 1000.0
        self.watcher = Watcher()
        self.connections: Queue[ScriptedReader] = Queue()
        self.opening = Event()
        self.ending = Event()
        self.open_hangs = False
        self.refuse: Exception | None = None
        self.find = list(find) or [upright_face((20, 10, 130, 115))]
        self.engine = Engine(
            AnalysisSettings(), lambda: ScriptedDetector(self.find), lambda: ScriptedClassifier(0.9), clock=self.clock
        )
        self.monitoring = MonitoringSettings(**monitoring)
        self._pts = count()
        self._cameras: list[Camera] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        for camera in self._cameras:
            camera.stop()

    def clock(self) -> float:
        return self.now_s

    @property
    def clocks(self) -> Clocks:
        return Clocks(self.clock, lambda: self.now_s + 1e9, lambda: 0.0)

    def open_reader(
        self, _address: object, _settings: object, stopping: Event, _taps: object, _position: object
    ) -> Any:
        return ScriptedReader(self, stopping, Queue())

    def parts(self) -> CameraParts:
        return CameraParts(
            self.engine, self.monitoring, self.watcher, self.watcher, open_reader=self.open_reader, clocks=self.clocks
        )

    def camera(self, url: str = "rtsp://10.0.0.5/stream", **settings: Any) -> Camera:
        camera = Camera(CameraSettings(name="door", url=url, **settings), self.parts(), from_settings_file=True)
        self._cameras.append(camera)
        return camera

    def connection(self) -> ScriptedReader:
        """The next reader that was opened."""
        return self.connections.get(timeout=PATIENCE_S)

    def picture(self, *, keyframe: bool = False, gap: bool = False, wh: tuple[int, int] = (160, 120)) -> SourceFrame:
        """A frame that arrives now."""
        return SourceFrame(
            frame=frame(wh, next(self._pts)), time_s=self.now_s, arrived_s=self.now_s, keyframe=keyframe, gap=gap
        )

    def live(self, **settings: Any) -> tuple[Camera, ScriptedReader]:
        """A camera with a connection that has delivered one frame."""
        camera = self.camera(**settings)
        camera.start()
        reader = self.connection()
        reader.script.put(self.picture(keyframe=True))
        self.watcher.expect(CameraState.CONNECTING, CameraState.LIVE)
        until(lambda: camera.status().counts.pictures == 1)
        return camera, reader

    def pass_s(self, camera: Camera, seconds: float) -> None:
        """Advances the clock, and lets the supervisor act."""
        self.now_s += seconds
        camera.look()


def failing(error: type[SourceError] = SourceError) -> SourceError:
    """An error as raised by a source, with a secret that must not leak."""
    return error("rtsp://viewer:hunter2@10.0.0.5/stream does not answer")
