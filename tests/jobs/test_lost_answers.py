"""Analyses whose database is away, or commits a change whose answer is lost."""

import json
from collections.abc import Callable

import pytest

from stream_detect.errors import MediaError, StorageError
from stream_detect.jobs import queue as job_queue
from stream_detect.jobs.library import RESULTS
from tests.jobs.conftest import ONE
from tests.jobs.scripted_reviewer import MODELS
from tests.patience import PATIENCE_S


class LostAnswers:
    """Replaces a method of `Analyses`: some of its calls raise an error.

    Args:
        method: the method.
        written: whether those calls are committed anyway, and only the answers are lost.
        calls: number of those calls, the first ones.
        of: whether a call with these arguments is one of them; default all.
    """

    def __init__(
        self,
        method: Callable[..., object],
        *,
        written: bool,
        calls: int = 1,
        of: Callable[..., bool] = lambda *_: True,
    ) -> None:
        self._method, self._written, self._of = method, written, of
        self.left = calls

    def __call__(self, *arguments: object) -> object:
        if not self.left or not self._of(*arguments):
            return self._method(*arguments)
        self.left -= 1
        if self._written:
            self._method(*arguments)
        raise StorageError("the connection broke before the answer")


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("how", ["upload", "address"])
def test_what_was_refused_is_not_analysed_even_if_only_the_answer_was_lost(desk, clip, monkeypatch, how, written):
    monkeypatch.setattr(job_queue, "AGAIN_S", 0.05)
    monkeypatch.setattr(desk.analyses, "delete", LostAnswers(desk.analyses.delete, written=False))
    address = "http://a.test/a.mp4"
    submit = {"upload": lambda: desk.submit(clip), "address": lambda: desk.jobs.submit_address(address, "", "a", ONE)}
    with monkeypatch.context() as broken:
        broken.setattr(desk.analyses, "put", LostAnswers(desk.analyses.put, written=written))
        with pytest.raises(StorageError):
            submit[how]()
    desk.until(lambda: not desk.jobs.queue.waiting and not desk.analyses.ids())
    desk.until(lambda: not desk.files())
    assert desk.ended(desk.submit(clip)).state == "done"
    assert len(desk.reviewer.looked_at) == 1


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("state", ["running", "done"])
def test_a_deletion_is_completed_even_if_its_answer_was_lost(desk, clip, monkeypatch, state, written):
    monkeypatch.setattr(job_queue, "AGAIN_S", 0.05)
    if state == "running":
        desk.reviewer.may_go_on.clear()
    analysis = desk.submit(clip)
    assert desk.reviewer.begun.wait(PATIENCE_S)
    if state == "done":
        desk.ended(analysis)
    monkeypatch.setattr(desk.analyses, "delete", LostAnswers(desk.analyses.delete, written=written))
    with pytest.raises(StorageError):
        desk.jobs.delete(analysis.id)
    desk.reviewer.may_go_on.set()
    desk.until(lambda: not desk.analyses.ids())
    desk.until(lambda: not desk.files())


def test_no_more_deletions_wait_for_the_database_than_analyses(open_desk, monkeypatch, caplog):
    desk = open_desk(max_waiting=3)
    monkeypatch.setattr(desk.analyses, "delete", LostAnswers(desk.analyses.delete, written=False, calls=5))
    for number in range(5):
        with pytest.raises(StorageError):
            desk.jobs.delete(f"{number:032x}")
    assert desk.jobs.queue.waiting == 3
    assert f"analyses {4:032x} may have to be deleted again" in caplog.text


def test_a_failure_whose_answer_was_lost_leaves_no_file(desk, clip, monkeypatch):
    monkeypatch.setattr(job_queue, "AGAIN_S", 0.05)
    answers = LostAnswers(desk.analyses.change, written=True, of=lambda analysis, _: analysis.state == "failed")
    monkeypatch.setattr(desk.analyses, "change", answers)
    desk.reviewer.fails = MediaError("the file is damaged")
    assert desk.ended(desk.submit(clip)).problem == "the file is damaged"
    desk.until(lambda: not desk.files())
    assert not answers.left


def test_while_the_database_is_away_jobs_wait(open_desk, clip, monkeypatch):
    monkeypatch.setattr(job_queue, "AGAIN_S", 0.05)
    desk = open_desk()
    analysis = desk.submit(clip)
    answers = LostAnswers(desk.analyses.get, written=False)
    monkeypatch.setattr(desk.analyses, "get", answers)
    desk.jobs.start()
    desk.until(lambda: not answers.left)
    assert desk.ended(analysis).state == "done"


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("state", ["running", "done"])
def test_a_database_error_does_not_fail_an_analysis_or_delete_its_results(desk, clip, monkeypatch, state, written):
    monkeypatch.setattr(job_queue, "AGAIN_S", 0.05)
    answers = LostAnswers(desk.analyses.change, written=written, of=lambda analysis, _: analysis.state == state)
    monkeypatch.setattr(desk.analyses, "change", answers)
    analysis = desk.submit(clip)
    desk.until(lambda: desk.changes and desk.changes[-1].ended)
    assert not answers.left
    assert (desk.changes[-1].state, desk.analyses.get(analysis.id).state) == ("done", "done")
    assert json.loads(desk.library.path(analysis.id, RESULTS).read_text())["id"] == analysis.id


@pytest.mark.parametrize("written", [False, True])
def test_a_database_error_does_not_fail_an_annotated_video_or_count_it_twice(desk, clip, monkeypatch, written):
    monkeypatch.setattr(job_queue, "AGAIN_S", 0.05)
    analysis = desk.ended(desk.submit(clip))
    answers = LostAnswers(
        desk.analyses.put_annotation, written=written, calls=4, of=lambda annotation, *_: annotation.state == "done"
    )
    monkeypatch.setattr(desk.analyses, "put_annotation", answers)
    desk.jobs.annotate(analysis.id, None)
    desk.until(lambda: desk.analyses.annotation(analysis.id, MODELS[0][0]).state in {"done", "failed"})
    assert desk.analyses.annotation(analysis.id, MODELS[0][0]).problem == ""
    folder = desk.folder / analysis.id
    assert desk.jobs.get(analysis.id).kept_bytes == sum(path.stat().st_size for path in folder.iterdir())
