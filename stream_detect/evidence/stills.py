"""Writes the evidence files of a fake event: the judged frame with its badge, the face, and the clip."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from av import VideoFrame

from stream_detect.analysis.crop import cut
from stream_detect.errors import AnalysisError, DiskFullError, MediaError, NotFoundError, StorageError
from stream_detect.evidence.clip import cuttable, suffix, write_clip
from stream_detect.evidence.folder import EvidenceFolder, file_sha256
from stream_detect.evidence.packet_ring import ClipPackets
from stream_detect.media.jpeg import encode_jpeg
from stream_detect.media.planes import copy_yuv420p, to_rgb
from stream_detect.media.signing import SIGNED_FORMS, ContentSigner, Statement
from stream_detect.overlay.overlay import Overlay
from stream_detect.storage.records import Event, Evidence, Judge
from stream_detect.types import CropPolicy, Face, Result, Thresholds

QUALITY = 88
FACE = CropPolicy(wh=(320, 320), centre="box", side="box", side_factor=1.6, upright=False)
"""Crop for people: the whole head, not rotated."""


def annotated(frame: VideoFrame, result: Result, judge: Judge) -> bytes:
    """JPEG of a frame with its result drawn on it.

    Raises:
        MediaError: the frame cannot be converted.
    """
    copy = copy_yuv420p(frame)
    thresholds = Thresholds(judge.fake_enter, judge.fake_leave, judge.real_enter, judge.real_leave)
    Overlay(thresholds, stale_s=60.0).draw(copy, result, result.arrived_s + result.latency_s)
    return encode_jpeg(to_rgb(copy), QUALITY)


def face(frame: VideoFrame, result: Result, track: int | None) -> bytes | None:
    """JPEG of the face of a track in that frame, 320x320; None if the face is not in the result.

    Raises:
        MediaError: the frame cannot be converted.
    """
    found = next((one.face for one in result.tracks if one.track_id == track), None)
    if found is None:
        return None
    image = to_rgb(frame)
    scale = image.shape[1] / max(result.wh[0], 1), image.shape[0] / max(result.wh[1], 1)
    try:
        return encode_jpeg(cut(image, _scaled(found, scale), FACE), QUALITY)
    except AnalysisError:  # its key points define no square
        return None


def _scaled(one: Face, scale: tuple[float, float]) -> Face:
    """A face in an image of another size than the one in which it was found."""
    x, y = scale
    left, top, right, bottom = one.xyxy
    keypoints = (one.keypoints * np.array(scale)).astype(np.float32)
    return Face((left * x, top * y, right * x, bottom * y), keypoints, one.score)


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """Material for the evidence of an event that began.

    Args:
        event: the event.
        result: the result that started it.
        frame: the analysed frame; None if there was none.
        film: packets around that moment, collected until `film.until_s`; None if there are none.
        no_film: the reason why there are none, or may be none.
    """

    event: Event
    result: Result
    frame: VideoFrame | None
    film: ClipPackets | None
    no_film: str


class EvidenceFiles:
    """Writes the files. Not safe to use from two threads at once.

    Args:
        folder: folder of the files.
        signer: signs the files; None for unsigned files.
    """

    def __init__(self, folder: EvidenceFolder, signer: ContentSigner | None = None) -> None:
        self._folder = folder
        self._signer = signer
        self._unsigned = ""  # why the last file is not signed
        self._wanted_bytes = 0  # size for which there was not enough space
        self._broken = ""  # why the last file could not be written, except for lack of space
        self.problem = ""
        """Why nothing can be written now; empty if all is well. Thread-safe to read."""

    def look(self) -> None:
        """Checks the disk: sets `problem` before an event, and clears it once there is space again."""
        try:
            self._folder.check_room(self._wanted_bytes)
        except StorageError as error:
            self._say(str(error))
        else:
            self._wanted_bytes = 0
            self._say(self._broken)

    def stills(self, seen: Seen) -> Evidence:
        """Writes the picture with the badge, and the face."""
        evidence = Evidence()
        if seen.frame is None or seen.event.judge is None:
            return replace(evidence, problem="no picture: the camera had none")
        try:
            picture = annotated(seen.frame, seen.result, seen.event.judge)
            cut = face(seen.frame, seen.result, seen.event.track)
        except MediaError as error:
            return replace(evidence, problem=f"no picture: {error}")
        statement = _statement(seen.event, "picture.jpg", ("c2pa.drawing", "the badge of the verdict"))
        size = self._write(statement, len(picture), lambda path: _put(path, picture))
        evidence = self._joined(evidence, size, picture=statement.title)
        if cut is not None and size is not None:
            statement = _statement(seen.event, "face.jpg", ("c2pa.cropped", "to the face"))
            size = self._write(statement, len(cut), lambda path: _put(path, cut))
            evidence = self._joined(evidence, size, face=statement.title)
        return evidence

    def clip(self, seen: Seen, evidence: Evidence) -> Evidence:
        """Adds the clip to the evidence written before.

        Args:
            seen: with the packets collected so far.
            evidence: from `stills`.
        """
        evidence = self._present(evidence)
        packets = [] if seen.film is None else cuttable(seen.film.packets, seen.result.arrived_s)
        if not packets:
            return _with_problem(evidence, f"no clip: {seen.no_film}")
        statement = _statement(seen.event, f"clip.{suffix(packets)}")
        bytes_about = sum(len(packet.data) for packet in packets)
        try:
            size = self._write(statement, bytes_about, partial(write_clip, packets=packets))
        except MediaError as error:
            return _with_problem(evidence, f"no clip: {error}")
        evidence = self._joined(evidence, size, clip=statement.title)
        if seen.film is not None and seen.film.cut_short:
            return _with_problem(evidence, "the clip ends early: it is too large (evidence.ring_max_bytes)")
        return evidence

    def _write(self, statement: Statement, bytes_about: int, put: Callable[[Path], None]) -> int | None:
        """Size of the file; None if it could not be written: `problem` says why."""

        def put_signed(path: Path) -> None:
            put(path)
            self._sign(path, statement)

        try:
            size = self._folder.write(statement.title, bytes_about, put_signed)
        except DiskFullError as error:
            self._wanted_bytes = max(self._wanted_bytes, bytes_about)
            self._say(str(error))
            return None
        except StorageError as error:
            self._broken = str(error)
            self._say(self._broken)
            return None
        self._broken = ""
        return size

    def _sign(self, path: Path, statement: Statement) -> None:
        """Signs a file. Evidence that cannot be signed is kept, and its record says so."""
        self._unsigned = ""
        if self._signer is None:
            return
        if Path(statement.title).suffix not in SIGNED_FORMS:
            self._unsigned = "the clip is not signed: its codec needs Matroska, which carries no signature"
            return
        try:
            self._signer.sign(path, statement)
        except MediaError as error:
            self._unsigned = f"not signed: {error}"
            log.warning("evidence is kept without a signature: %s", error)

    def _joined(self, evidence: Evidence, size: int | None, **names: str) -> Evidence:
        if size is None:
            return _with_problem(evidence, self.problem)
        if self._unsigned:
            evidence = _with_problem(evidence, self._unsigned)
        sums = tuple((name, file_sha256(self._folder.path(name))) for name in names.values())
        return replace(evidence, bytes=evidence.bytes + size, sha256=(*evidence.sha256, *sums), **names)

    def _present(self, evidence: Evidence) -> Evidence:
        """The evidence without files that were deleted meanwhile, by a user or for lack of space."""
        return replace(evidence, picture=self._there(evidence.picture), face=self._there(evidence.face))

    def _there(self, name: str | None) -> str | None:
        try:
            return None if name is None else self._folder.path(name).name
        except NotFoundError:
            return None

    def _say(self, problem: str) -> None:
        if problem and not self.problem:
            log.warning("no evidence is kept: %s", problem)
        elif self.problem and not problem:
            log.info("evidence is kept again")
        self.problem = problem


def _statement(event: Event, name: str, *actions: tuple[Literal["c2pa.drawing", "c2pa.cropped"], str]) -> Statement:
    facts: dict[str, str | float] = {"event": event.id, "camera": event.camera, "began_s": event.began_s}
    if event.judge is not None:
        facts |= {"model": event.judge.name, "model_sha256": event.judge.sha256}
    return Statement(f"{event.id}-{name}", actions, facts)


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _with_problem(evidence: Evidence, problem: str) -> Evidence:
    if problem in evidence.problem:
        return evidence
    return replace(evidence, problem=f"{evidence.problem}; {problem}" if evidence.problem else problem)
