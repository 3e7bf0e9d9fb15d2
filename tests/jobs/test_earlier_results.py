"""Stored results: they answer an identical file, and the annotated video is created from them on demand."""

import json

import av
import pytest

from stream_detect.errors import (
    ConflictError,
    MediaError,
    NotFoundError,
    StorageError,
)
from stream_detect.jobs.incoming import IncomingFile, ReceivedFile
from stream_detect.jobs.jobs import ReviewOptions
from stream_detect.jobs.library import RESULTS, annotated_name, flagged_name
from stream_detect.review.examination import Hooks
from stream_detect.storage.records import Annotation
from tests.jobs.conftest import BOTH, ONE
from tests.jobs.scripted_reviewer import MODELS


def test_the_same_bytes_are_answered_at_once_and_outlive_the_earlier_result(desk, clip):
    first = desk.ended(desk.submit(clip))
    (again,) = desk.jobs.submit([desk.received(clip, "renamed.mp4")], ONE)
    assert (again.state, again.same_as, again.verdict, again.upload.name) == ("done", first.id, "fake", "renamed.mp4")
    assert len(desk.reviewer.looked_at) == 1
    desk.jobs.delete(first.id)
    assert desk.jobs.get(again.id).same_as == ""
    results = json.loads(desk.library.path(again.id, RESULTS).read_text())
    assert (results["id"], results["file"]["name"]) == (again.id, "renamed.mp4")
    assert desk.library.path(again.id, flagged_name(0, 1)).stat().st_size > 100
    assert desk.ended(desk.submit(clip)).same_as == again.id


def test_the_same_bytes_from_an_address_are_answered_once_they_are_fetched(desk, clip, monkeypatch):
    first = desk.ended(desk.submit(clip))

    def fetched(_address: str, to: IncomingFile, _hooks: Hooks) -> ReceivedFile:
        to.write(clip.read_bytes())
        return to.finish()

    monkeypatch.setattr(desk.reviewer, "fetch", fetched)
    address = "https://example.org/a.mp4"
    again = desk.ended(desk.jobs.submit_address(address, address, "a.mp4", ONE))
    assert (again.state, again.same_as, again.url, again.address) == ("done", first.id, address, "")
    assert len(desk.reviewer.looked_at) == 1


@pytest.mark.parametrize(
    "options",
    [
        BOTH,
        ReviewOptions(MODELS[1:], 5.0),
        ReviewOptions(MODELS[:1], 4.0),
        ReviewOptions((("scripted", "c" * 64),), 5.0),
    ],
)
def test_other_models_or_rates_are_analysed_again(desk, clip, options):
    desk.ended(desk.submit(clip))
    anew = desk.submit(clip, options)
    assert (anew.state, desk.ended(anew).same_as) == ("queued", "")


def test_the_same_file_twice_in_one_request_is_looked_at_once(desk, clip):
    first, second = desk.jobs.submit([desk.received(clip), desk.received(clip)], ONE)
    assert desk.ended(first).same_as == ""
    assert desk.ended(second).same_as == first.id
    assert len(desk.reviewer.looked_at) == 1


def test_the_annotated_video_is_made_once_on_demand(desk, clip):
    analysis = desk.submit(clip)
    with pytest.raises(ConflictError):
        desk.jobs.annotate(analysis.id, None)
    desk.ended(analysis)
    assert desk.jobs.annotation(analysis.id, None) is None
    with pytest.raises(NotFoundError, match="expected one of scripted"):
        desk.jobs.annotate(analysis.id, "other")
    assert desk.jobs.annotate(analysis.id, None).state == "queued"
    desk.until(lambda: desk.jobs.annotation(analysis.id, "scripted").state == "done")
    assert desk.jobs.annotate(analysis.id, "scripted").state == "done"
    path = desk.library.path(analysis.id, annotated_name(0, "video"))
    with av.open(str(path)) as container:
        assert len(list(container.decode(video=0))) == 20
    assert desk.jobs.get(analysis.id).kept_bytes == sum(p.stat().st_size for p in path.parent.iterdir())
    desk.jobs.delete(analysis.id)
    assert desk.files() == []


def test_an_annotated_video_resumes_after_a_stop_and_can_be_retried(open_desk, clip):
    desk = open_desk()
    desk.jobs.start()
    analysis = desk.ended(desk.submit(clip))
    desk.reviewer.fails = MediaError("the encoder does not want to")
    desk.jobs.annotate(analysis.id, None)
    desk.until(lambda: desk.jobs.annotation(analysis.id, None).state == "failed")
    assert "does not want to" in desk.jobs.annotation(analysis.id, None).problem
    desk.reviewer.fails = None
    desk.reviewer.may_go_on.clear()
    assert desk.jobs.annotate(analysis.id, None).state == "queued"
    desk.until(lambda: desk.jobs.annotation(analysis.id, None).done_share == 0.5)
    desk.close()
    again = open_desk()
    assert again.jobs.annotation(analysis.id, None).state == "queued"
    again.jobs.start()
    again.until(lambda: again.jobs.annotation(analysis.id, None).state == "done")


def test_an_annotated_video_whose_request_failed_after_the_commit_can_be_requested_again(desk, clip, monkeypatch):
    analysis = desk.ended(desk.submit(clip))
    put = desk.analyses.put_annotation

    def breaks(annotation: Annotation, more_bytes: int = 0) -> bool:
        put(annotation, more_bytes)
        raise StorageError("the connection broke before the answer")

    with monkeypatch.context() as broken:
        broken.setattr(desk.analyses, "put_annotation", breaks)
        with pytest.raises(StorageError):
            desk.jobs.annotate(analysis.id, None)
    assert desk.jobs.annotate(analysis.id, None).state == "queued"
    desk.until(lambda: desk.jobs.annotation(analysis.id, None).state == "done")
