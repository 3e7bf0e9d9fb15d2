"""The keeper of evidence: stores it when a fake event begins, on its own thread, and deletes it in time.

camera's thread:    begin ──> a queue (the frame and the packets so far are taken at once)
"evidence" thread:  picture, face ──> files ──> report       clip_after_s later: clip ──> file ──> report
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event as Flag
from threading import Lock, Thread

from av import VideoFrame

from stream_detect.backoff import Outage
from stream_detect.errors import NotFoundError, StorageError
from stream_detect.evidence.folder import EvidenceFolder
from stream_detect.evidence.packet_ring import Ring
from stream_detect.evidence.retention import DAY_S, purge
from stream_detect.evidence.stills import EvidenceFiles, Seen
from stream_detect.media.clock import Moment
from stream_detect.media.signing import ContentSigner
from stream_detect.settings.storage import EvidenceSettings
from stream_detect.storage.events import Events
from stream_detect.storage.records import Event, Evidence
from stream_detect.types import Result

MAX_WAITING = 16
"""Events whose picture waits to be written; each holds a decoded frame (3 MB at 1080p). Further events get no evidence,
and their record says so."""

LOOK_S = 1.0
GRACE_S = 1.0
"""Time after the last second of a clip for packets that are on their way; a camera that stopped sends none."""

TIDY_S, TIDY_AGAIN_S = 3600.0, 60.0
"""Interval at which old evidence is deleted and the newest hash of the chain is logged, and the shorter one after the
database could not be used."""

CLOSE_S = 3.0

PUSHED = "its frames arrive decoded (WHIP), so there are no packets for a clip"
NO_KEYFRAME = "no key frame was received"
TOO_MANY = "too many events began at once"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EvidenceSources:
    """Functions about cameras, by name. Thread-safe; both return at once, and raise NotFoundError for an unknown name.

    Args:
        wants: whether evidence is enabled for the camera.
        picture_of: the frame analysed last, see `Camera.judged`; during `begin`, that of the result.
    """

    wants: Callable[[str], bool]
    picture_of: Callable[[str], tuple[VideoFrame, Result | None] | None]


class EvidenceKeeper:
    """Keeps evidence of fake events for the cameras for which it is enabled, and deletes it in time.

    Watching never waits for it. If the disk is full, nothing is kept and `problem` says so, until there is space again.

    Args:
        folder: folder of the files.
        settings: settings of evidence.
        events: events that refer to the files; None if another keeper deletes old ones.
        sources: functions about cameras.
        now: returns the time on both clocks.

    Raises:
        SettingsError: the certificate or the key that signs evidence cannot be used.
        MissingExtraError: the C2PA library is not installed.
    """

    def __init__(
        self,
        folder: EvidenceFolder,
        settings: EvidenceSettings,
        events: Events | None,
        sources: EvidenceSources,
        now: Callable[[], Moment] = Moment.now,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._events = events
        self._sources = sources
        self._now = now
        self._files = EvidenceFiles(folder, ContentSigner.of(settings))
        self._report: Callable[[str, Evidence], None] = lambda _event_id, _evidence: None
        self._delete: Callable[[Evidence], None] = folder.delete
        self._rings: dict[str, Ring] = {}
        self._rings_lock = Lock()
        self._begun: Queue[Seen | None] = Queue(MAX_WAITING)
        self._filming: list[tuple[Seen, Evidence]] = []
        self._closing = Flag()
        self._keeping, self._looking = Outage(log, "keeping evidence"), Outage(log, "clips and old evidence")
        self._unswept: Sequence[str] = ()
        self._logged_head: tuple[int, str] | None = None
        self._look_at_s = self._tidy_at_s = self._now().now_s
        self._thread = Thread(target=self._run, name="evidence", daemon=True)
        self.dropped = 0
        """Number of events without evidence because too many began at once."""

    @property
    def problem(self) -> str:
        """Why nothing can be kept now; empty if all is well."""
        if self._thread.ident is not None and not self._thread.is_alive() and not self._closing.is_set():
            return "the evidence thread has ended: no evidence is stored; restart the server"
        return self._files.problem

    def tap(self, camera: str) -> Ring:
        """Receiver of the camera's packets, the same for all its connections from a start to the next stop."""
        with self._rings_lock:
            fresh = Ring(self._settings.clip_before_s, self._settings.ring_max_bytes)
            return self._rings.setdefault(camera, fresh)

    def path(self, name: str) -> Path:
        """Path of a file that an `Evidence` refers to.

        Raises:
            NotFoundError: there is no such file.
        """
        return self._folder.path(name)

    def delete(self, evidence: Evidence) -> None:
        """Deletes the files of a deleted event.

        Raises:
            StorageError: one cannot be deleted.
        """
        self._folder.delete(evidence)

    def report_to(self, report: Callable[[str, Evidence], None]) -> None:
        """Sets the function that records an event's evidence, called on this thread each time with all of it so far."""
        self._report = report

    def delete_by(self, delete: Callable[[Evidence], None]) -> None:
        """Sets the function that deletes the files of old evidence, if some are in other folders."""
        self._delete = delete

    def start(self) -> None:
        """Starts the thread; call once, before any event."""
        if self._events is not None:
            try:
                self._unswept = self._folder.names()
            except StorageError as error:
                log.warning("evidence: %s", error)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; unfinished clips end with what they have. May be called again."""
        self._closing.set()
        with suppress(Full):
            self._begun.put_nowait(None)
        if self._thread.ident is not None:
            self._thread.join(CLOSE_S)

    def forget(self, camera: str) -> None:
        """Called when a camera was stopped or removed: no clip has packets of before and after it."""
        with self._rings_lock:
            self._rings.pop(camera, None)

    def begin(self, event: Event, result: Result) -> None:
        """Collects the evidence of an event that begins; returns at once. Thread-safe.

        Args:
            event: the event.
            result: the result that started it.
        """
        try:
            if self._closing.is_set() or not self._sources.wants(event.camera):
                return
            snapshot = self._sources.picture_of(event.camera)
        except NotFoundError:
            return
        ring = self.tap(event.camera)
        moment_s = result.arrived_s
        film = ring.film(moment_s - self._settings.clip_before_s, moment_s + self._settings.clip_after_s)
        reason = TOO_MANY if film is None else NO_KEYFRAME if ring.ever_opened else PUSHED
        try:
            self._begun.put_nowait(Seen(event, result, snapshot[0] if snapshot else None, film, reason))
        except Full:
            self.dropped += 1
            if film is not None:
                film.close()
            self._report(event.id, Evidence(problem=TOO_MANY))

    def _run(self) -> None:
        while not (self._closing.is_set() and self._begun.empty()):
            seen = None
            with suppress(Empty):
                seen = self._begun.get(timeout=LOOK_S)
            if seen is not None:
                self._guarded(partial(self._keep, seen), self._keeping)
            self._cut(self._now().now_s)
            self._guarded(self._look, self._looking)
        self._cut(float("inf"))

    @staticmethod
    def _guarded(step: Callable[[], None], outage: Outage) -> None:
        try:
            step()
        except StorageError as error:
            outage.failed(str(error))
        except Exception as error:  # noqa: BLE001 - the thread's edge: whatever fails, the next event is kept
            outage.failed("an event's evidence could not be kept", error)
        else:
            outage.ended()

    def _keep(self, seen: Seen) -> None:
        evidence = self._files.stills(seen)
        if seen.film is None:
            evidence = self._files.clip(seen, evidence)
        else:
            self._filming.append((seen, evidence))
        self._report(seen.event.id, evidence)

    def _cut(self, now_s: float) -> None:
        """Writes the clips that are complete."""
        filming, self._filming = self._filming, []
        for seen, evidence in filming:
            if seen.film is not None and seen.film.until_s + GRACE_S > now_s:
                self._filming.append((seen, evidence))
            else:
                self._guarded(partial(self._finish, seen, evidence), self._keeping)

    def _finish(self, seen: Seen, evidence: Evidence) -> None:
        try:
            self._report(seen.event.id, self._files.clip(seen, evidence))
        finally:
            if seen.film is not None:
                seen.film.close()
        self._purge()

    def _look(self) -> None:
        moment = self._now()
        if moment.now_s >= self._look_at_s:
            self._look_at_s = moment.now_s + LOOK_S
            self._files.look()
            with self._rings_lock:
                rings = list(self._rings.items())
            for camera, ring in rings:
                with suppress(NotFoundError):  # the camera is not known yet, or no longer
                    ring.want(self._sources.wants(camera))
        if self._events is not None and moment.now_s >= self._tidy_at_s:
            self._tidy_at_s = moment.now_s + TIDY_AGAIN_S
            self._folder.sweep(self._unswept, self._events.get)
            self._unswept = ()
            self._purge()
            self._log_chain()
            self._tidy_at_s = moment.now_s + TIDY_S

    def _log_chain(self) -> None:
        """An attacker who can write to the database cannot write to a log that is kept elsewhere."""
        head = None if self._events is None else self._events.chain_head()
        if head is not None and head != self._logged_head:
            log.info("the chain of events has %d entries; the newest hash is %s", *head)
            self._logged_head = head

    def _purge(self) -> None:
        if self._events is None:
            return
        old_s = self._now().at_s - self._settings.days * DAY_S if self._events.may_expire() else 0.0
        purge(self._delete, self._events, old_s, self._settings.max_bytes)
