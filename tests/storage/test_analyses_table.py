"""Analyses in the database: insertion, changes of state, pages, identical files, deletion."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from stream_detect.errors import ConflictError, NotFoundError, RequestError
from stream_detect.settings import StorageSettings
from stream_detect.storage.analyses import Analyses
from stream_detect.storage.database import Database
from stream_detect.storage.records import Analysis, Annotation, Upload
from stream_detect.storage.tables import AnalysisRow, AnnotationRow
from tests.patience import PATIENCE_S, until
from tests.storage.conftest import waits_for_a_row

ROOT = Path(__file__).parents[2]
MODELS = (("meso4-dfdc", "ab" * 32),)


def make(number: int, **given) -> Analysis:
    upload = given.pop("upload", Upload(f"clip {number}.mp4", 1000 + number, f"{number:064x}"))
    values = {"id": f"{number:032x}", "state": "queued", "upload": upload, "url": "", "models": MODELS, "rate_hz": 5.0,
              "created_s": float(number)}  # fmt: skip
    return Analysis(**(values | given))


@pytest.fixture
def analyses(database) -> Analyses:
    return Analyses(database)


def test_a_stored_analysis_is_read_back(analyses):
    whole = make(
        1, state="done", started_s=2.0, ended_s=3.0, done_share=1.0, verdict="fake", same_as="2" * 32,
        kept_bytes=1 << 40, attempts=2, url="https://example.org/a.mp4", models=(*MODELS, ("other", "cd" * 32)),
        upload=Upload("Ünï \u202ex.mp4", 1 << 33, "ef" * 32, "video", 1920, 1080, 31.25, 29.97, "h264"),
    )  # fmt: skip
    analyses.put([whole, make(2)])
    assert analyses.get(whole.id) == whole
    assert analyses.ids() == {whole.id, make(2).id}
    assert analyses.kept_bytes() == 1 << 40
    assert analyses.counts() == {"done": 1, "queued": 1}


def test_all_are_put_or_none(analyses):
    analyses.put([make(1)])
    with pytest.raises(ConflictError):
        analyses.put([make(2), make(1)])
    assert analyses.ids() == {make(1).id}


@pytest.mark.parametrize("absent", ["0" * 32, "nonsense", "ü", "\0"])
def test_unknown_ids_are_not_found(analyses, absent):
    with pytest.raises(NotFoundError):
        analyses.get(absent)
    with pytest.raises(NotFoundError):
        analyses.delete(absent)


def test_a_state_changes_only_from_where_it_was_expected(analyses):
    analyses.put([make(1)])
    running = replace(make(1), state="running", started_s=5.0)
    assert analyses.change(running, ("queued",))
    assert not analyses.change(replace(running, state="cancelled"), ("queued", "fetching"))
    assert analyses.get(running.id) == running
    analyses.delete(running.id)
    assert not analyses.change(running, ("running",))


def test_pages_go_through_a_thousand_newest_first(analyses):
    analyses.put([make(number, created_s=float(number // 3)) for number in range(1, 1001)])
    seen, cursor = [], None
    while True:
        page = analyses.page(cursor=cursor, limit=300)
        seen += page.items
        if (cursor := page.next) is None:
            break
    assert [one.id for one in seen] == [make(number).id for number in range(1000, 0, -1)]


@pytest.mark.parametrize("wanted", [{"cursor": "no cursor"}, {"limit": 0}, {"limit": 501}])
def test_unusable_pages_are_refused(analyses, wanted):
    with pytest.raises(RequestError):
        analyses.page(**wanted)


@pytest.mark.parametrize(
    ("search", "found"),
    [("STRASSE", 1), ("100%", 1), ("%", 1), ("_", 2), ("", 4), ("\\", 0), ("GARTEN", 1), ("\0garten", 1)],
)
def test_names_are_searched_in_any_case_and_taken_literally(analyses, search, found):
    names = ("Straße.mp4", "100% real.mp4", "a_b.mp4", "Garten_.mp4")
    analyses.put([make(number, upload=Upload(name, 1, "0" * 64)) for number, name in enumerate(names)])
    assert len(analyses.page(search).items) == found


def test_pages_by_state(analyses):
    analyses.put([make(1), make(2, state="done"), make(3, state="done")])
    assert [one.id for one in analyses.page(state="done").items] == [make(3).id, make(2).id]


def test_what_has_not_ended_is_gone_on_with_oldest_first(analyses):
    states = ["running", "done", "queued", "failed", "fetching", "cancelled"]
    analyses.put([make(10 - i, state=state) for i, state in enumerate(states)])
    assert [one.state for one in analyses.unfinished()] == ["fetching", "queued", "running"]


def test_the_same_bytes_by_the_same_models_at_the_same_rate(analyses):
    done = make(1, state="done")
    two = make(2, state="done", models=(*MODELS, ("other", "cd" * 32)), upload=done.upload)
    analyses.put([done, two, make(3, upload=done.upload)])
    assert analyses.find_same(done.upload.sha256, MODELS, 5.0) == done
    assert analyses.find_same(done.upload.sha256, two.models, 5.0) == two
    assert analyses.find_same(done.upload.sha256, MODELS, 4.0) is None
    assert analyses.find_same(done.upload.sha256, (("meso4-dfdc", "cd" * 32),), 5.0) is None
    assert analyses.find_same("0" * 64, MODELS, 5.0) is None


def test_deleted_analyses_are_no_longer_referenced(analyses):
    analyses.put([make(1, state="done"), make(2, state="done", same_as=make(1).id)])
    analyses.put_annotation(Annotation(make(1).id, "meso4-dfdc", "queued", 1.0))
    assert analyses.delete(make(1).id) == make(1, state="done")
    assert analyses.get(make(2).id).same_as == ""
    assert analyses.annotation(make(1).id, "meso4-dfdc") is None
    assert not analyses.put_annotation(Annotation(make(1).id, "meso4-dfdc", "running", 1.0))


def test_old_ones_are_those_that_ended_before(analyses):
    analyses.put([make(1, state="done", ended_s=10.0), make(2, state="failed", ended_s=30.0), make(3)])
    assert analyses.old(20.0) == [make(1).id]
    assert analyses.old(40.0, limit=1) == [make(1).id]


def test_annotations_are_written_again(analyses):
    analyses.put([make(1, state="done")])
    asked = Annotation(make(1).id, "meso4-dfdc", "queued", 1.0)
    assert analyses.annotation(asked.analysis_id, asked.model) is None
    assert analyses.put_annotation(asked)
    assert analyses.unfinished_annotations() == [asked]
    ended = replace(asked, state="failed", done_share=0.5, problem="disk full", attempts=1)
    assert analyses.put_annotation(ended)
    assert analyses.annotation(asked.analysis_id, asked.model) == ended
    assert analyses.unfinished_annotations() == []
    assert analyses.put_annotation(replace(ended, state="done"), 77)
    assert analyses.get(asked.analysis_id).kept_bytes == 77


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from pydantic import SecretStr
from stream_detect.settings import StorageSettings
from stream_detect.storage.analyses import Analyses
from stream_detect.storage.database import Database
from stream_detect.storage.records import Analysis, Upload
url = SecretStr(sys.argv[2]) if sys.argv[2] else None
analyses = Analyses(Database.open(StorageSettings(folder=Path(sys.argv[1]), database_url=url)))
for number in range(1, 1_000_000):
    new = Analysis(f"{number:032x}", "queued", Upload("a", 1, "0" * 64), "", (("m", "1" * 64),), 5.0, 1.0)
    analyses.put([new, replace(new, id=f"{number:031x}f")])
    analyses.change(replace(new, state="running", attempts=1), ("queued",))
    print(new.id, flush=True)
"""


@pytest.mark.parametrize("after", [1, 13])
def test_kill_9_loses_nothing_that_was_answered(settings, after):
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    command = [sys.executable, "-c", WRITER, str(settings.folder), url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        answered = [writer.stdout.readline().strip() for _ in range(after)]
        os.kill(writer.pid, signal.SIGKILL)
        answered += writer.stdout.read().split()
    with Database.open(settings) as database:
        there = {one.id: one for one in Analyses(database).unfinished()}
    assert all(there[one].state == "running" and there[one].attempts == 1 for one in answered)
    assert len(there) % 2 == 0  # inserted together or not at all


def test_an_annotated_video_requested_during_a_deletion_is_deleted_too(cluster, tmp_path):
    settings = StorageSettings(folder=tmp_path, database_url=SecretStr(cluster.new()))
    with Database.open(settings) as database, ThreadPoolExecutor(1) as threads:
        analyses = Analyses(database)
        analyses.put([make(1, state="done")])
        with database.writing() as session:
            session.get(AnalysisRow, make(1).id, with_for_update=True)
            deleting = threads.submit(analyses.delete, make(1).id)
            until(lambda: waits_for_a_row(database))
            session.merge(AnnotationRow(**asdict(Annotation(make(1).id, "meso4-dfdc", "queued", 1.0))))
        deleting.result(PATIENCE_S)
        assert analyses.unfinished_annotations() == []
