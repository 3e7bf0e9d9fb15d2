"""Analyses as jobs: queueing, running, ending, cancellation, and resumption after a restart."""

import errno
import io
import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from stream_detect.errors import (
    CapacityError,
    ConflictError,
    DiskFullError,
    MediaError,
    NotFoundError,
    ReviewCrashedError,
)
from stream_detect.jobs import jobs
from stream_detect.jobs.library import RESULTS, flagged_name
from stream_detect.jobs.progress import JobProgress
from stream_detect.jobs.queue import Task
from stream_detect.jobs.work import MAX_ATTEMPTS
from stream_detect.storage.records import Analysis, Upload
from tests.jobs.conftest import BOTH, ONE
from tests.jobs.scripted_reviewer import MODELS
from tests.patience import PATIENCE_S, in_time


def test_a_file_is_judged_by_two_models_side_by_side(desk, clip):
    queued = desk.submit(clip, BOTH)
    assert (queued.state, queued.upload.bytes, len(queued.upload.sha256)) == ("queued", clip.stat().st_size, 64)
    done = desk.ended(queued)
    assert (done.state, done.verdict, done.models, done.done_share) == ("done", "fake", MODELS, 1.0)
    upload = done.upload
    assert (upload.kind, upload.width_px, upload.height_px, upload.codec) == ("video", 160, 120, "h264")
    results = json.loads(desk.library.path(done.id, RESULTS).read_text())
    assert (results["id"], results["file"]["sha256"]) == (done.id, upload.sha256)
    assert [review["verdict"]["state"] for review in results["models"]] == ["fake", "real"]
    flagged = results["models"][0]["flagged"]
    assert flagged
    picture = desk.library.path(done.id, flagged_name(0, flagged[0]["n"])).read_bytes()
    assert Image.open(io.BytesIO(picture)).size == (160, 120)
    with pytest.raises(NotFoundError):  # the other one flagged nothing
        desk.library.path(done.id, flagged_name(1, 1))
    assert done.kept_bytes == sum(path.stat().st_size for path in (desk.folder / done.id).iterdir())
    states = [one.state for one in desk.changes]
    assert (states[0], states[-1]) == ("running", "done")


def test_progress_is_reported_four_times_a_second_at_most(desk, clip):
    desk.reviewer.may_go_on.clear()
    begun_s = time.monotonic()
    analysis = desk.submit(clip)
    desk.until(lambda: len(desk.halves()) >= 3)
    assert len(desk.halves()) <= 4 * (time.monotonic() - begun_s)
    assert desk.jobs.get(analysis.id).done_share == 0.5
    assert desk.jobs.page("", None, None, 10).items[0].done_share == 0.5


@pytest.mark.parametrize("state", ["running", "queued"])
def test_a_cancelled_analysis_ends_and_leaves_no_file(desk, clip, other_clip, state):
    desk.reviewer.may_go_on.clear()
    first = desk.submit(other_clip)
    assert desk.reviewer.begun.wait(PATIENCE_S)
    analysis = first if state == "running" else desk.submit(clip)
    assert desk.jobs.cancel(analysis.id).state == "cancelled"
    desk.until(lambda: not [name for name in desk.files() if name.startswith(analysis.id)])
    desk.reviewer.may_go_on.set()
    assert desk.changes[-1].id in {analysis.id, first.id}
    with pytest.raises(ConflictError, match="has ended"):
        desk.jobs.cancel(analysis.id)
    assert desk.ended(desk.submit(clip)).state == "done"
    assert desk.jobs.get(analysis.id).state == "cancelled"
    assert analysis.id not in " ".join(desk.files())


@pytest.mark.parametrize("how", ["done", "failed", "cancelled"])
def test_no_analysis_ends_before_it_began_when_the_clock_is_set_back(desk, clip, monkeypatch, how):
    desk.reviewer.may_go_on.clear()
    if how == "failed":
        desk.reviewer.fails = MediaError("the file is damaged")
    queued = desk.submit(clip)
    assert desk.reviewer.begun.wait(PATIENCE_S)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 3600)
    if how == "cancelled":
        desk.jobs.cancel(queued.id)
    desk.reviewer.may_go_on.set()
    ended = desk.ended(queued)
    assert ended.state == how
    assert queued.created_s <= ended.started_s <= ended.ended_s


def test_deleting_a_running_analysis_leaves_nothing(desk, clip):
    desk.reviewer.may_go_on.clear()
    analysis = desk.submit(clip)
    assert desk.reviewer.begun.wait(PATIENCE_S)
    desk.jobs.delete(analysis.id)
    assert desk.changes[-1].state == "cancelled"  # listeners are notified of the end
    desk.reviewer.may_go_on.set()
    desk.until(lambda: not desk.files())
    with pytest.raises(NotFoundError):
        desk.jobs.get(analysis.id)
    done = desk.ended(desk.submit(clip))
    desk.jobs.delete(done.id)
    assert desk.files() == []


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MediaError("no picture in it"), "no picture in it"),
        (ReviewCrashedError("its process ended"), "its process ended"),
        (ZeroDivisionError(), "log says more"),
    ],
)
def test_a_failure_is_reported_leaves_no_file_and_stops_no_other_job(desk, clip, error, message):
    desk.reviewer.fails = error
    failed = desk.ended(desk.submit(clip))
    assert failed.state == "failed"
    assert message in failed.problem
    desk.until(lambda: not desk.files())
    desk.reviewer.fails = None
    assert desk.ended(desk.submit(clip)).state == "done"


def test_what_ended_its_process_is_not_begun_again_by_the_next_start(open_desk, clip):
    desk = open_desk()
    desk.jobs.start()
    desk.reviewer.fails = ReviewCrashedError("its process ended")
    failed = desk.ended(desk.submit(clip))
    desk.close()
    again = open_desk()
    again.jobs.start()
    assert again.jobs.get(failed.id).state == "failed"
    assert again.ended(again.submit(clip)).state == "done"
    assert len(again.reviewer.looked_at) == 1


@pytest.mark.parametrize("how", ["cancel", "delete"])
@pytest.mark.parametrize("written", ["flagged-0-1.jpg", RESULTS])
def test_an_end_while_results_are_written_leaves_nothing_and_is_reported(desk, clip, monkeypatch, how, written):
    write = desk.library.write

    def meanwhile(analysis_id: str, name: str, put: Callable[[Path], None]) -> int:
        def put_and_end(path: Path) -> None:
            put(path)
            if name == written:
                getattr(desk.jobs, how)(analysis_id)

        return write(analysis_id, name, put_and_end)

    monkeypatch.setattr(desk.library, "write", meanwhile)
    analysis = desk.submit(clip)
    desk.until(lambda: desk.changes and desk.changes[-1].state == "cancelled")
    monkeypatch.undo()
    assert desk.ended(desk.submit(clip)).state == "done"  # the thread is free again
    assert [one.state for one in desk.changes if one.id == analysis.id][-1] == "cancelled"
    assert not [name for name in desk.files() if name.startswith((analysis.id, "deleted"))]


def test_files_that_cannot_be_removed_fail_no_cancel(desk, clip, monkeypatch):
    desk.reviewer.may_go_on.clear()
    analysis = desk.submit(clip)
    assert desk.reviewer.begun.wait(PATIENCE_S)

    def refused(_path: Path, _to: Path) -> None:
        raise OSError(errno.EROFS, "read-only file system")

    monkeypatch.setattr(Path, "rename", refused)
    assert desk.jobs.cancel(analysis.id).state == "cancelled"
    assert desk.changes[-1].state == "cancelled"
    assert desk.files() == [f"{analysis.id}/original"]
    desk.jobs.close(PATIENCE_S)
    monkeypatch.undo()
    desk.library.sweep(desk.analyses.keeping_files())
    assert desk.files() == []


def test_a_long_analysis_lets_others_go_first(open_desk, clip, other_clip):
    desk = open_desk(turn_s=0.01)
    desk.jobs.start()
    desk.reviewer.may_go_on.clear()
    slow = desk.submit(clip)
    assert desk.reviewer.begun.wait(PATIENCE_S)
    looked_at = len(desk.reviewer.looked_at)
    quick = desk.submit(other_clip)
    desk.until(lambda: len(desk.reviewer.looked_at) > looked_at)
    assert desk.jobs.get(slow.id).state == "running"
    desk.reviewer.may_go_on.set()
    assert {desk.ended(slow).state, desk.ended(quick).state} == {"done"}


def test_a_stop_in_the_middle_is_gone_on_with_by_the_next_start(open_desk, clip):
    desk = open_desk()
    desk.jobs.start()
    desk.reviewer.may_go_on.clear()
    analysis = desk.submit(clip)
    assert desk.reviewer.begun.wait(PATIENCE_S)
    with in_time():
        desk.jobs.close(2 * PATIENCE_S)
    assert (desk.analyses.get(analysis.id).state, desk.analyses.get(analysis.id).attempts) == ("queued", 0)
    desk.database.close()
    again = open_desk()
    again.jobs.start()
    assert again.ended(analysis).state == "done"


@pytest.mark.parametrize("attempts", [0, MAX_ATTEMPTS - 1])
def test_a_stop_while_a_file_is_fetched_leaves_the_attempts_as_they_were(open_desk, attempts):
    desk = open_desk()
    desk.reviewer.may_go_on.clear()
    address = "http://127.0.0.1:9/a.mp4"
    analysis = desk.jobs.submit_address(address, address, "a.mp4", ONE)
    assert desk.analyses.change(replace(analysis, attempts=attempts), ("queued",))
    desk.jobs.start()
    assert desk.reviewer.begun.wait(PATIENCE_S)
    under_way = desk.analyses.get(analysis.id)
    assert (under_way.state, under_way.attempts) == ("fetching", attempts + 1)
    desk.jobs.close(2 * PATIENCE_S)
    left = desk.analyses.get(analysis.id)
    assert (left.state, left.attempts, left.address) == ("queued", attempts, address)


@pytest.mark.parametrize(("attempts", "end"), [(MAX_ATTEMPTS - 1, "done"), (MAX_ATTEMPTS, "failed")])
def test_a_file_that_crashes_the_process_is_not_retried_forever(open_desk, clip, attempts, end):
    desk = open_desk()
    analysis = desk.submit(clip)  # as left by a process that was killed while running
    assert desk.analyses.change(replace(analysis, state="running", attempts=attempts), ("queued",))
    desk.jobs.start()
    ended = desk.ended(analysis)
    assert ended.state == end
    assert ("ended 3 times" in ended.problem) == (end == "failed")


def test_a_refusal_because_of_a_full_queue_keeps_nothing(open_desk, clip, other_clip):
    desk = open_desk(max_waiting=2)
    first = desk.submit(clip)
    with pytest.raises(CapacityError, match=r"expected at most 2 waiting analyses .* and 1 are waiting") as refused:
        desk.jobs.submit([desk.received(other_clip), desk.received(other_clip)], ONE)
    assert refused.value.retry_after_s > 0
    assert [one.id for one in desk.jobs.page("", None, None, 10).items] == [first.id]
    assert [name for name in desk.files() if not name.startswith("incoming")] == [f"{first.id}/original"]


def test_a_full_disk_fails_the_job_and_leaves_nothing(desk, clip, monkeypatch):
    desk.reviewer.may_go_on.clear()
    analysis = desk.submit(clip)
    assert desk.reviewer.begun.wait(PATIENCE_S)

    def full(_bytes_more: int = 0) -> None:
        raise DiskFullError("the disk is full: 1 MB is free")

    monkeypatch.setattr(desk.library, "check_room", full)
    desk.reviewer.may_go_on.set()
    failed = desk.ended(analysis)
    assert (failed.state, failed.problem) == ("failed", "the disk is full: 1 MB is free")
    desk.until(lambda: not desk.files())


def test_old_ones_leave(open_desk, clip):
    desk = open_desk(keep_days=1)
    analysis = desk.submit(clip)
    desk.analyses.change(replace(analysis, state="done", ended_s=time.time() - 90_000), ("queued",))
    desk.jobs.start()
    desk.until(lambda: not desk.files())
    with pytest.raises(NotFoundError):
        desk.jobs.get(analysis.id)


def test_more_old_ones_than_are_read_at_once_leave_together(open_desk, clip, monkeypatch):
    desk = open_desk(keep_days=1)
    for _ in range(3):
        analysis = desk.submit(clip)
        desk.analyses.change(replace(analysis, state="done", ended_s=time.time() - 90_000), ("queued",))
    old = desk.analyses.old
    monkeypatch.setattr(desk.analyses, "old", lambda before_s: old(before_s, limit=1))
    desk.jobs.start()
    desk.until(lambda: not desk.analyses.ids())  # the next upkeep is an hour away
    desk.until(lambda: not desk.files())


def test_no_progress_is_reported_after_a_cancellation():
    """The cancellation arrives while progress is about to be reported."""
    reported: list[Analysis] = []
    ending: list[threading.Thread] = []
    running = Analysis("1" * 32, "running", Upload("a", 1, "0" * 64), "", MODELS, 5.0, 1.0)

    def clock() -> float:
        if followed:
            cancelled = replace(running, state="cancelled")
            ending.append(threading.Thread(target=progress.changed, args=(cancelled,)))
            ending[0].start()
            ending[0].join(0.5)  # it has to wait for the report
        return 10.0 * len(ending)

    followed = False
    progress = JobProgress(reported.append, clock)
    on_progress = progress.follow(Task(running.id), running)
    followed = True
    on_progress(0.5)
    ending[0].join(PATIENCE_S)
    on_progress(0.6)
    assert reported[-1].state == "cancelled"


def test_an_exception_does_not_end_the_deletion_of_old_analyses(open_desk, clip, monkeypatch):
    monkeypatch.setattr(jobs, "UPKEEP_S", 0.01)
    desk = open_desk(keep_days=1)
    analysis = desk.submit(clip)
    desk.analyses.change(replace(analysis, state="done", ended_s=time.time() - 90_000), ("queued",))
    old, calls = desk.analyses.old, []

    def breaks(before_s: float) -> list[str]:
        calls.append(before_s)
        if len(calls) == 1:
            raise RuntimeError("a defect")
        return old(before_s)

    monkeypatch.setattr(desk.analyses, "old", breaks)
    desk.jobs.start()
    desk.until(lambda: not desk.files())
