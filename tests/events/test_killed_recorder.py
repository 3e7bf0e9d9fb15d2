"""A real process is killed (SIGKILL) during events: announced events are stored, and referenced files are complete."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import pytest

from stream_detect.events.journal import Ledger
from stream_detect.events.recorder import Recorder
from stream_detect.evidence.folder import EvidenceFolder, names_of
from stream_detect.evidence.keeper import EvidenceKeeper, EvidenceSources
from stream_detect.settings import MonitoringSettings, StorageSettings
from stream_detect.settings.storage import EvidenceSettings
from stream_detect.storage.checks import Checks
from stream_detect.storage.database import Database
from stream_detect.storage.deliveries import Deliveries
from stream_detect.storage.events import Events
from stream_detect.storage.history import History
from stream_detect.storage.records import Event, EventFilter
from tests.conftest import ROOT
from tests.patience import until
from tests.scenes import JUDGE


def at_once(_folder: Path) -> bool:
    """It is announcing an event."""
    return True


def is_writing(folder: Path) -> bool:
    """An evidence file is half written."""
    return any((folder / "evidence").glob(".*.part"))


def has_clip(folder: Path) -> bool:
    """Whether an event has a clip, according to the database, while another process writes to it."""
    with Database.open(StorageSettings(folder=folder), alone=False) as database:
        return any(event.evidence and event.evidence.clip for event in all_events(Events(database)))


KILLS = ((1, at_once), (5, is_writing), (6, at_once), (7, has_clip))
"""Number of announced events, and the moment of the kill, at which the process does different work each time."""


def run_and_kill(folder: Path, events: int, moment: Callable[[Path], bool]) -> list[str]:
    """The events that a process announced before it was killed.

    Args:
        folder: folder of its data.
        events: number of events that it announces before.
        moment: whether, judging by the folder, it has reached the point at which it is killed.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.recording", str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = []
    try:
        while sum(line.startswith("began") for line in lines) < events:
            line = process.stdout.readline()
            assert line, "it ended by itself"
            lines.append(line)
        until(lambda: moment(folder))
    finally:
        process.kill()
        process.stdin.close()
        lines += process.stdout.readlines()
        process.stdout.close()
        process.wait()
    return [line.strip() for line in lines if line.endswith("\n")]


def all_events(events: Events) -> Iterator[Event]:
    cursor = None
    while True:
        page = events.page(EventFilter(), cursor, 500)
        yield from page.items
        cursor = page.next
        if cursor is None:
            return


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A folder in which processes were killed, each continuing after the previous one, and all their announcements."""
    folder = tmp_path_factory.mktemp("killed")
    lines = []
    for events, moment in KILLS:
        lines += run_and_kill(folder, events, moment)
    return folder, lines


def test_nothing_that_was_announced_is_lost(killed: tuple[Path, list[str]]):
    folder, lines = killed
    with Database.open(StorageSettings(folder=folder)) as database:
        events = Events(database)
        for line in lines:
            what, event_id = line.split()
            event = events.get(event_id)
            assert what == "began" or event.ended_s is not None, "an end that was announced is written too"
        hooked = {delivery.event_id for delivery in Deliveries(database).due(time.time(), 10_000)}
        assert hooked >= {line.split()[1] for line in lines}, "what is to be delivered went with it"
        assert {event.kind for event in all_events(events)} == {"fake", "offline"}


def test_every_file_that_is_referenced_is_whole(killed: tuple[Path, list[str]]):
    folder, _ = killed
    kinds = set()
    with Database.open(StorageSettings(folder=folder)) as database:
        for event in all_events(Events(database)):
            for name in names_of(event.evidence) if event.evidence else ():
                path = folder / "evidence" / name
                if path.suffix == ".jpg":
                    assert cv2.imread(str(path)) is not None
                else:
                    with av.open(str(path)) as clip:
                        assert sum(1 for _ in clip.decode(video=0)) == clip.streams.video[0].frames > 0
                kinds.add(name.partition("-")[2])
    assert kinds == {"picture.jpg", "face.jpg", "clip.mp4"}


def test_the_next_start_ends_what_was_left_open_and_sweeps(killed: tuple[Path, list[str]]):
    folder, _ = killed
    evidence = folder / "evidence"
    half = evidence / ".0123-clip.mp4.part"
    half.write_bytes(b"half")
    with Database.open(StorageSettings(folder=folder)) as database:
        events = Events(database)
        left_open = [event.id for event in events.page(EventFilter(open=True)).items]
        assert left_open
        announced = []
        ledger = Ledger(
            events, History(database), Checks(database), StorageSettings(folder=folder), announce=(Ear(announced),)
        )
        keeper = EvidenceKeeper(
            EvidenceFolder(evidence, 0), EvidenceSettings(), events, EvidenceSources(lambda _: True, lambda _: None)
        )
        recorder = Recorder(ledger, MonitoringSettings(), lambda: JUDGE, keeper)
        recorder.start()
        until(lambda: not half.exists() and len(announced) >= len(left_open))
        recorder.close()
        assert not events.page(EventFilter(open=True)).items
        for event_id in left_open:
            event = events.get(event_id)
            assert event.interrupted
            assert event.ended_s >= event.began_s
        assert sorted(announced) == sorted(("ended", event_id) for event_id in left_open)
        referenced = {name for event in all_events(events) if event.evidence for name in names_of(event.evidence)}
        assert {path.name for path in evidence.iterdir()} == referenced


class Ear:
    def __init__(self, announced: list[tuple[str, str]]) -> None:
        self._announced = announced

    def announce(self, event: Event, what: str) -> None:
        self._announced.append((what, event.id))
