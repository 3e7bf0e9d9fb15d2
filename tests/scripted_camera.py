"""A camera whose reader, clock and faces a test controls: `with Stage() as stage: stage.camera(...)`."""

from dataclasses import dataclass
from itertools import count
from queue import Empty, Queue
from threading import Event

import numpy as np
from av import VideoFrame

from stream_detect.analysis.engine import Engine
from stream_detect.analysis.scripted import ScriptedClassifier, ScriptedDetector, upright_face
from stream_detect.cameras.camera import Camera, CameraParts
from stream_detect.cameras.supervisor import Clocks
from stream_detect.errors import SourceError
from stream_detect.settings import CameraSettings, MonitoringSettings, Settings
from stream_detect.sources.reader import SourceFrame
from stream_detect.types import CameraState
from tests.patience import PATIENCE_S, until

POLL_S = 0.01
"""How often a scripted reader looks whether it is to stop, as a real one does between packets."""


def frame(wh=(160, 120), pts=0):
    """A picture with detail, of any size; its light changes a little with `pts`, since a still one is not judged."""
    noise = np.random.default_rng(7).integers(0, 240, (wh[1], wh[0], 3), np.uint8) + np.uint8(4 * (pts % 4))
    made = VideoFrame.from_ndarray(noise, format="rgb24").reformat(format="yuv420p")
    made.pts = pts
    return made


class Watcher:
    """An observer that remembers, and a viewing."""

    def __init__(self):
        self.changes = []
        self.results = Queue()
        self.gone = []
        self.viewers = 0
        self.shown = []
        self._states = Queue()

    def state(self, change):
        self.changes.append(change)
        self._states.put(change)

    def result(self, camera, result, at_s):
        self.results.put((camera, result, at_s))

    def removed(self, camera):
        self.gone.append(camera)

    def show(self, picture):
        self.shown.append(picture)

    def next_change(self, camera=None):
        """The next state that was told (of one camera)."""
        while True:
            change = self._states.get(timeout=PATIENCE_S)
            if camera is None or change.camera == camera:
                return change

    def expect(self, *states):
        """These states are told next, in this order."""
        changes = [self.next_change() for _ in states]
        assert tuple(change.state for change in changes) == states, changes
        return changes[-1]


class Hang:
    """What a reader never returns from, whether it is told to stop or not, until the test ends."""


HANG = Hang()


@dataclass
class ScriptedReader:
    """A connection. What it does is put into `script`: a frame, an error to raise, HANG, or None for its end."""

    stage: "Stage"
    stopping: Event
    script: Queue
    codec: str = "h264"
    keyframes_only: bool = False
    decode_errors: int = 0
    received_bytes: int = 0
    packet_s: float = 0.0
    trouble: str = ""
    hanging: bool = False
    closed: bool = False

    def settled(self):
        """Whether it did what was scripted, as far as it can, and the camera has taken what came of it."""
        return not self.script.unfinished_tasks or self.hanging or self.closed or self.stopping.is_set()

    def __enter__(self):
        self.stage.opening.set()
        if self.stage.open_hangs:
            self.stage.ending.wait()
        if self.stage.refuse is not None:
            raise self.stage.refuse
        self.stage.connections.put(self)
        return self

    def __exit__(self, *_):
        self.closed = True

    def pictures(self):
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
                while not self.script.empty():  # too late, and without looking whether it is to stop
                    yield self.script.get()
                    self.script.task_done()
            elif isinstance(step, Exception):
                raise step
            else:
                self.received_bytes += 1000
                yield step
            self.script.task_done()


class Stage:
    """The clock, what connections do, and the cameras made here; all of them are stopped at the end."""

    def __init__(self, find=(), **monitoring):
        self.now_s = 1000.0
        self.watcher = Watcher()
        self.connections = Queue()
        self.opening = Event()
        self.ending = Event()
        self.open_hangs = False
        self.refuse: Exception | None = None
        self.find = list(find) or [upright_face((20, 10, 130, 115))]
        self.engine = Engine(
            Settings(), lambda: ScriptedDetector(self.find), lambda: ScriptedClassifier(0.9), clock=self.clock
        )
        self.monitoring = MonitoringSettings(**monitoring)
        self._pts = count()
        self._cameras = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ending.set()
        for camera in self._cameras:
            camera.stop()

    def clock(self):
        return self.now_s

    @property
    def clocks(self):
        return Clocks(self.clock, lambda: self.now_s + 1e9, lambda: 0.0)

    def open_reader(self, _address, _settings, stopping, _taps, _position):
        return ScriptedReader(self, stopping, Queue())

    def parts(self):
        return CameraParts(
            self.engine, self.monitoring, self.watcher, self.watcher, open_reader=self.open_reader, clocks=self.clocks
        )

    def camera(self, url="rtsp://10.0.0.5/stream", **settings):
        camera = Camera(CameraSettings(name="door", url=url, **settings), self.parts(), from_settings_file=True)
        self._cameras.append(camera)
        return camera

    def connection(self):
        """The next reader that was opened."""
        return self.connections.get(timeout=PATIENCE_S)

    def picture(self, *, keyframe=False, gap=False, wh=(160, 120)):
        """A picture that arrives now."""
        return SourceFrame(
            frame=frame(wh, next(self._pts)), time_s=self.now_s, arrived_s=self.now_s, keyframe=keyframe, gap=gap
        )

    def live(self, **settings):
        """A camera with a connection that gave one picture."""
        camera = self.camera(**settings)
        camera.start()
        reader = self.connection()
        reader.script.put(self.picture(keyframe=True))
        self.watcher.expect(CameraState.CONNECTING, CameraState.LIVE)
        until(lambda: camera.status().counts.pictures == 1)
        return camera, reader

    def pass_s(self, camera, seconds):
        """Time passes, and the camera is looked after."""
        self.now_s += seconds
        camera.look()


def failing(error=SourceError):
    """An error as a source raises it, with a secret that must not get out."""
    return error("rtsp://viewer:hunter2@10.0.0.5/stream does not answer")
