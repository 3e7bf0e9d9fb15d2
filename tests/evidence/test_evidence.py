"""Evidence of fake events: complete, referenced, and deleted in time; a full disk stops nothing but evidence."""

import errno
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import av
import cv2
import pytest

from stream_detect.evidence.folder import EvidenceFolder, file_sha256, names_of
from stream_detect.evidence.keeper import MAX_WAITING, EvidenceKeeper, EvidenceSources
from stream_detect.media.credentials import CredentialsReader
from stream_detect.settings.storage import EvidenceSettings
from stream_detect.storage.events import Events
from stream_detect.storage.records import Event, Evidence
from tests.authority import Authority, made_before_expiry
from tests.patience import PATIENCE_S, until
from tests.scenes import WALL_S, Clock, event, film, kept, picture, play, result

film = cache(film)


@dataclass
class Stage:
    """A keeper with real files, and a clock that tests set."""

    folder: Path
    events: Events
    clock: Clock
    keeper: EvidenceKeeper
    wanted: set[str] = field(default_factory=lambda: {"door"})
    shows: bool = True
    reported: list[tuple[str, Evidence]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def report(self, event_id: str, evidence: Evidence) -> None:
        with self.changed:
            self.reported.append((event_id, evidence))
            self.changed.notify_all()

    def reports(self, count: int) -> list[Evidence]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.reported) >= count, PATIENCE_S), self.reported
            return [evidence for _, evidence in self.reported]

    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()} if self.folder.exists() else set()


@pytest.fixture
def make_stage(tmp_path: Path, events: Events) -> Iterator[Callable[..., Stage]]:
    stages: list[Stage] = []

    def make(folder: Path = tmp_path / "evidence", **settings: object) -> Stage:
        clock = Clock()
        chosen = EvidenceSettings(**{"min_free_bytes": 0, **settings})
        sight = EvidenceSources(
            lambda name: name in stage.wanted, lambda _name: (picture(), None) if stage.shows else None
        )
        keeper = EvidenceKeeper(EvidenceFolder(folder, int(chosen.min_free_bytes)), chosen, events, sight, clock)
        stage = Stage(folder, events, clock, keeper)
        keeper.report_to(stage.report)
        stages.append(stage)
        return stage

    yield make
    for stage in stages:
        stage.keeper.close()


def test_signs_what_it_keeps_and_the_sha256_is_of_the_signed_file(make_stage, tmp_path):
    authority = Authority()
    certificate, key = authority.holder().write(tmp_path)
    stage = make_stage(signing_certificate=certificate, signing_key=key)
    stage.keeper.start()
    began = plays(stage, film(), 13.0)
    evidence = stage.reports(2)[-1]
    assert evidence.problem == ""
    assert stage.names() == set(names_of(evidence))
    actions = {"picture": "c2pa.drawing", "face": "c2pa.cropped", "clip": None}
    for what, name in zip(actions, names_of(evidence), strict=True):
        found = CredentialsReader(authority.pem).read(stage.folder / name)
        assert (found.state, found.signer) == ("valid", "Operator (Example Ltd)"), name
        assert found.actions == tuple(filter(None, ("c2pa.opened", actions[what])))
        assert began.id.encode() in (stage.folder / name).read_bytes()
    assert dict(evidence.sha256) == {name: file_sha256(stage.folder / name) for name in names_of(evidence)}
    assert evidence.bytes == sum((stage.folder / name).stat().st_size for name in names_of(evidence))


def test_keeps_what_cannot_be_signed_any_more_and_says_so(make_stage, tmp_path):
    def make(holder):
        certificate, key = holder.write(tmp_path)
        return make_stage(signing_certificate=certificate, signing_key=key)

    holder, stage = made_before_expiry(Authority(), make)
    until(lambda: datetime.now(UTC) > holder.certificate.not_valid_after_utc + timedelta(seconds=1))
    stage.keeper.start()
    plays(stage, film(), 13.0)
    evidence = stage.reports(2)[-1]
    assert stage.names() == set(names_of(evidence))
    assert len(stage.names()) == 3
    assert "not signed: " in evidence.problem
    assert "not valid at time of signing" in evidence.problem


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    return make_stage()


def plays(stage: Stage, source: bytes, moment_s: float, upto_s: float = 99.0) -> Event:
    """The camera sends a video; at one moment, a face is called fake."""
    began = None
    for now_s in play(source, stage.keeper.tap("door")):
        stage.clock.now_s = now_s
        if began is None and now_s >= moment_s:
            began = event(now_s)
            stage.keeper.begin(began, result(arrived_s=now_s))
        if now_s > upto_s:
            break
    assert began is not None
    return began


def test_keeps_picture_face_and_clip(stage: Stage):
    stage.keeper.start()
    began = plays(stage, film(), 13.0)
    evidence = stage.reports(2)[-1]
    assert evidence == Evidence(
        f"{began.id}-picture.jpg", f"{began.id}-face.jpg", f"{began.id}-clip.mp4", evidence.bytes, ""
    )
    assert stage.names() == set(names_of(evidence))
    assert evidence.bytes == sum((stage.folder / name).stat().st_size for name in names_of(evidence))
    drawn, plain = cv2.imread(str(stage.folder / evidence.picture)), picture().to_ndarray(format="bgr24")
    assert drawn.shape == (480, 640, 3)
    assert abs(drawn.astype(int) - plain)[100:340, 220:420].max() > 80, "the badge and the box are drawn"
    assert cv2.imread(str(stage.folder / evidence.face)).shape == (320, 320, 3)
    with av.open(str(stage.keeper.path(evidence.clip))) as clip:
        frames = list(clip.decode(video=0))
    assert frames[0].key_frame
    assert frames[-1].time - frames[0].time > 20
    assert (stage.folder.stat().st_mode & 0o777) == 0o700


def test_picture_is_there_before_the_clip(stage: Stage):
    stage.keeper.start()
    plays(stage, film(), 13.0, upto_s=14.0)
    evidence = stage.reports(1)[0]
    assert evidence.picture
    assert evidence.face
    assert evidence.clip is None
    assert not evidence.problem


def test_a_camera_that_falls_silent_has_its_clip_all_the_same(stage: Stage):
    stage.keeper.start()
    plays(stage, film(), 13.0, upto_s=14.0)
    stage.reports(1)
    stage.clock.passes(12.0)
    assert stage.reports(2)[-1].clip


def test_a_clip_ends_where_its_camera_was_stopped(stage: Stage):
    stage.keeper.start()
    began = plays(stage, film(), 13.0, upto_s=14.0)
    stage.keeper.forget(began.camera)
    for now_s in play(film(), stage.keeper.tap(began.camera)):  # as after a change of its address
        stage.clock.now_s = now_s
    clip = stage.reports(2)[-1].clip
    assert clip is not None
    with av.open(str(stage.keeper.path(clip))) as file:
        frames = list(file.decode(video=0))
    assert 9 < frames[-1].time - frames[0].time < 13


def test_closing_cuts_what_there_is(stage: Stage):
    stage.keeper.start()
    plays(stage, film(), 13.0, upto_s=14.0)
    stage.keeper.close()
    assert stage.reports(2)[-1].clip in stage.names()


def test_closing_keeps_what_waits(stage: Stage):
    for _ in range(3):
        stage.keeper.begin(event(), result())
    stage.keeper.close()
    stage.keeper.start()
    assert len([evidence for evidence in stage.reports(6) if evidence.picture]) == 6


def test_a_folder_that_cannot_be_written_is_reported_until_it_can(stage: Stage):
    stage.folder.write_text("a file is in its place")
    stage.keeper.start()
    stage.keeper.begin(event(), result())
    assert "expected" in stage.reports(1)[0].problem
    for _ in range(3):
        looked = stage.keeper._look_at_s
        stage.clock.passes(2.0)
        until(lambda looked=looked: stage.keeper._look_at_s > looked)
        assert "readable and writable" in stage.keeper.problem
    stage.folder.unlink()
    stage.keeper.begin(event(), result())
    until(lambda: any(evidence.picture for _, evidence in stage.reported))
    stage.clock.passes(2.0)
    until(lambda: not stage.keeper.problem)


def test_a_publisher_has_no_clip_and_says_why(stage: Stage):
    stage.keeper.start()
    stage.keeper.begin(event(), result())
    stage.clock.passes(12.0)
    evidence = stage.reports(2)[-1]
    assert evidence.picture
    assert evidence.face
    assert evidence.clip is None
    assert "WHIP" in evidence.problem


def test_a_camera_without_a_picture_says_so(stage: Stage):
    stage.shows = False
    stage.keeper.start()
    stage.keeper.begin(event(), result())
    assert "no picture" in stage.reports(1)[0].problem


def test_nothing_is_kept_without_the_setting(stage: Stage):
    stage.wanted.clear()
    stage.keeper.start()
    plays(stage, film(), 13.0)
    stage.keeper.close()
    assert stage.reported == []
    assert stage.names() == set()


def test_packets_of_cameras_that_want_none_are_not_held(stage: Stage):
    ring = stage.keeper.tap("door")
    for now_s in play(film(), ring):
        stage.clock.now_s = now_s
    assert ring.bytes
    stage.wanted.clear()
    stage.keeper.start()
    stage.clock.passes(2.0)
    until(lambda: not ring.bytes)
    assert stage.keeper.tap("door") is ring, "a reconnect goes on with it"
    stage.keeper.forget("door")
    assert stage.keeper.tap("door") is not ring


def test_too_many_at_once_are_reported_and_counted(stage: Stage):
    for _ in range(MAX_WAITING + 2):  # its thread is not running
        stage.keeper.begin(event(), result())
    assert stage.keeper.dropped == 2
    assert [evidence.problem for _, evidence in stage.reported] == ["too many events began at once"] * 2


def test_little_room_stops_it_and_more_room_starts_it_again(make_stage: Callable[..., Stage], monkeypatch):
    free = 1_000_000
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: replace_free(free))
    stage = make_stage(min_free_bytes=5_000_000)
    stage.keeper.start()
    stage.keeper.begin(event(), result())
    evidence = stage.reports(1)[0]
    assert evidence.picture is None
    assert evidence.bytes == 0
    assert "the disk is full" in evidence.problem
    assert "the disk is full" in stage.keeper.problem
    free = 100_000_000
    stage.clock.passes(2.0)
    until(lambda: not stage.keeper.problem)
    stage.keeper.begin(event(), result())
    until(lambda: any(evidence.picture for _, evidence in stage.reported))


def replace_free(free: int):
    return type("usage", (), {"free": free})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A disk of two megabytes; None if it cannot be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], check=False, capture_output=True
    )
    yield place if mount.returncode == 0 else None
    if mount.returncode == 0:
        subprocess.run(["/bin/umount", "-l", str(place)], check=True)


def test_a_full_disk_leaves_no_partial_file(
    small_disk: Path | None, make_stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """The picture fits, but the clip does not. Free space was not checked before: the write itself fails."""
    monkeypatch.setattr(EvidenceFolder, "check_room", lambda _self, _more=0: None)
    if small_disk is None:
        small_disk = tmp_path / "disk"
        full = OSError(errno.ENOSPC, "No space left on device")
        monkeypatch.setattr("stream_detect.evidence.stills.write_clip", raising(full))
        filler = 0
    else:
        filler = 1_700_000
    stage = make_stage(folder=small_disk / "evidence")
    (small_disk / "filler").write_bytes(b"\0" * filler)
    stage.keeper.start()
    plays(stage, film(w=640, h=480), 13.0)
    evidence = stage.reports(2)[-1]
    assert evidence.picture in stage.names()
    assert evidence.clip is None
    assert "is full" in evidence.problem
    assert stage.names() == {evidence.picture, evidence.face}
    assert evidence.bytes == sum((stage.folder / name).stat().st_size for name in names_of(evidence))


def raising(error: Exception) -> Callable[..., None]:
    def fails(*_: object, **__: object) -> None:
        raise error

    return fails


def test_a_start_sweeps_what_no_event_references(stage: Stage):
    mine = kept(stage.events, stage.folder, WALL_S, 10)
    for orphan in (f"{mine.id}-clip.mp4", f".{mine.id}-clip.mp4.part", f"{'0' * 32}-picture.jpg", "stranger"):
        (stage.folder / orphan).touch()
    stage.keeper.start()
    until(lambda: len(stage.names()) == 1)
    assert stage.names() == {mine.evidence.picture}


def test_a_start_does_not_sweep_what_begins_meanwhile(stage: Stage):
    """The database does not reference these files yet."""
    stage.keeper.begin(event(), result())
    stage.keeper.start()
    stage.reports(1)
    stage.keeper.begin(event(), result())
    first, second = stage.reports(2)
    assert {*names_of(first), *names_of(second)} == stage.names()


def test_evidence_that_was_deleted_meanwhile_is_not_referenced(stage: Stage):
    stage.keeper.start()
    plays(stage, film(), 13.0, upto_s=14.0)
    stage.keeper.delete(stage.reports(1)[0])
    stage.clock.passes(12.0)
    evidence = stage.reports(2)[-1]
    assert (evidence.picture, evidence.face) == (None, None)
    assert stage.names() == {evidence.clip}


def test_an_unexpected_failure_does_not_end_the_keeper(stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog):
    stage.keeper.start()
    with monkeypatch.context() as broken:
        broken.setattr("stream_detect.evidence.stills.annotated", raising(RuntimeError("broken")))
        stage.keeper.begin(event(), result())
        until(lambda: "evidence could not be kept" in caplog.text)
    stage.keeper.begin(event(), result())
    assert stage.reports(1)[0].picture
