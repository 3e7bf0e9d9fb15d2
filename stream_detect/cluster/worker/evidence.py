"""Evidence on a worker: remembers the frames that were judged last, and stores them when an event begins."""

import threading
from collections import deque
from collections.abc import Callable

from av import VideoFrame

from stream_detect.cameras.fleet import HostedCamera
from stream_detect.cluster.messages import EvidenceRequest
from stream_detect.errors import NotFoundError
from stream_detect.evidence.folder import EvidenceFolder
from stream_detect.evidence.keeper import EvidenceKeeper, EvidenceSources
from stream_detect.settings import EvidenceSettings
from stream_detect.storage.records import Evidence
from stream_detect.types import CameraState, Result, StateChange

JUDGED = 10
"""Analysed frames kept per camera with evidence: two seconds at 5 Hz, in which the server has received the result and
answered. Each is a decoded frame, 3 MB at 1080p."""

DONE = 1_000
"""Events whose requests were handled, so that a repeated one has no effect."""


class WorkerEvidence:
    """Keeps evidence of events that the server finds in this worker's results. An `Observer`; thread-safe.

    Args:
        folder: folder of the evidence.
        settings: settings of evidence.
        report: receives the evidence of an event.
        camera: returns the camera of a name; raises NotFoundError.
    """

    def __init__(
        self,
        folder: EvidenceFolder,
        settings: EvidenceSettings,
        report: Callable[[str, Evidence], None],
        camera: Callable[[str], HostedCamera],
    ) -> None:
        self._camera = camera
        self._lock = threading.Lock()
        self._judged: dict[str, deque[tuple[VideoFrame, Result]]] = {}
        self._begun: deque[str] = deque(maxlen=DONE)
        self._wanted: dict[str, VideoFrame] = {}
        sources = EvidenceSources(wants=lambda name: camera(name).settings.evidence, picture_of=self._picture_of)
        self.keeper = EvidenceKeeper(folder, settings, None, sources)
        self.keeper.report_to(report)

    def start(self) -> None:
        """Starts the keeper's thread; call once."""
        self.keeper.start()

    def close(self) -> None:
        """Ends it; unfinished clips end with what they have."""
        self.keeper.close()

    def result(self, camera: str, result: Result, at_s: float) -> None:  # noqa: ARG002 - Observer's
        """See `Observer`: the frame of this result is only available now."""
        try:
            hosted = self._camera(camera)
        except NotFoundError:
            return
        judged = hosted.judged() if hosted.settings.evidence and result.tracks else None
        if judged is not None:
            with self._lock:
                self._judged.setdefault(camera, deque(maxlen=JUDGED)).append((judged[0], result))

    def state(self, change: StateChange) -> None:
        """See `Observer`: frames of a camera that is not live are dropped, and packets of one that was stopped."""
        if change.state is not CameraState.LIVE:
            with self._lock:
                self._judged.pop(change.camera, None)
        if change.state is CameraState.STOPPED:
            self.keeper.forget(change.camera)

    def removed(self, camera: str) -> None:
        """See `Observer`."""
        with self._lock:
            self._judged.pop(camera, None)
        self.keeper.forget(camera)

    def begin(self, request: EvidenceRequest) -> None:
        """Keeps the evidence of an event that began; a repeated request is ignored."""
        event, result = request.event, request.result
        if event.id in self._begun:
            return
        self._begun.append(event.id)
        with self._lock:
            of_camera = list(self._judged.get(event.camera, ()))
        found = next((one for one in reversed(of_camera) if one[1].sequence == result.sequence), None)
        if found is not None:
            self._wanted[event.camera] = found[0]
            result = found[1]
        try:
            self.keeper.begin(event, result)
        finally:
            self._wanted.pop(event.camera, None)

    def _picture_of(self, camera: str) -> tuple[VideoFrame, Result | None] | None:
        """The frame of the result passed to `begin`; None if it is no longer kept."""
        frame = self._wanted.get(camera)
        return None if frame is None else (frame, None)
