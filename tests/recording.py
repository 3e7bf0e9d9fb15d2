"""A process that records and announces one event after another until it is killed (test_killed_recorder.py)."""

import sys
import threading
import time
from pathlib import Path

from stream_detect.events.journal import Ledger
from stream_detect.events.recorder import Recorder
from stream_detect.evidence.folder import EvidenceFolder
from stream_detect.evidence.keeper import EvidenceKeeper, EvidenceSources
from stream_detect.settings import MonitoringSettings, StorageSettings
from stream_detect.settings.storage import EvidenceSettings
from stream_detect.storage.checks import Checks
from stream_detect.storage.database import Database
from stream_detect.storage.events import Events
from stream_detect.storage.history import History
from stream_detect.storage.records import Delivery, Event
from tests.scenes import JUDGE, change, film, picture, play, result


class Speaker:
    """Prints announcements at once."""

    def announce(self, event: Event, what: str) -> None:
        sys.stdout.write(f"{what} {event.id}\n")
        sys.stdout.flush()


def deliveries_for(event: Event, what: str) -> list[Delivery]:
    return [Delivery(event.id[:-1] + ("b" if what == "began" else "e"), "hook", event.id, "{}", 0, 0.0)]


def watch(recorder: Recorder, keeper: EvidenceKeeper) -> None:
    """A camera whose face is repeatedly called fake for a moment."""
    source = film(seconds=8, w=640, h=480)
    ring = keeper.tap("door")
    recorder.state(change("stalled", time.time(), camera="cellar"))
    while True:
        started_s = time.monotonic()
        for number, now_s in enumerate(play(source, ring, started_s)):
            time.sleep(max(0.0, now_s - time.monotonic()))
            state = "fake" if number % 12 < 4 else "real"
            recorder.result("door", result(state, 0.95, arrived_s=time.monotonic()), time.time())


def main(folder: Path) -> None:
    storage = StorageSettings(folder=folder)
    with Database.open(storage) as database:
        events = Events(database)
        settings = EvidenceSettings(clip_before_s=1, clip_after_s=0.3, min_free_bytes=0)
        keeper = EvidenceKeeper(
            EvidenceFolder(folder / "evidence", 0),
            settings,
            events,
            EvidenceSources(lambda _: True, lambda _: (picture(), None)),
        )
        ledger = Ledger(events, History(database), Checks(database), storage, deliveries_for, (Speaker(),))
        recorder = Recorder(ledger, MonitoringSettings(fake_rest_s=0.1, offline_after_s=0.1), lambda: JUDGE, keeper)
        recorder.start()
        threading.Thread(target=watch, args=(recorder, keeper), daemon=True).start()
        sys.stdin.read()
        recorder.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
