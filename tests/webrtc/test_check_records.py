"""The record that a live check leaves when it ends."""

import asyncio
import threading
from dataclasses import replace

import pytest

from stream_detect.analysis.scripted import ScriptedClassifier
from stream_detect.errors import AnalysisError
from stream_detect.types import VerdictState
from stream_detect.webrtc.live_check import Client
from tests.patience import PATIENCE_S
from tests.webrtc.conftest import ABOUT


async def test_a_check_leaves_a_record_of_who_what_and_how_the_challenges_went(open_sessions, make_peer, engine_of):
    records = []
    sessions = open_sessions(engine_of(), keep=records.append)
    peer = make_peer()
    session_id = await peer.connect(sessions, Client("10.0.0.1", "anna", "OBS Virtual\n Camera"))
    await peer.until(lambda: peer.of_type("result") and peer.of_type("result")[-1]["state"] == "fake")
    assert peer.of_type("hello")[0]["virtual_camera"] == "OBS Studio"
    challenge = sessions.challenge(session_id)
    challenge.start("anna")
    challenge.stop()
    challenge.stop()  # cleared, but kept in the record
    challenge.start("anna")
    assert records == []
    await sessions.close(session_id)
    (record,) = records
    assert (record.camera, record.who, record.source_label, record.virtual_camera) == (
        None, "anna", "OBS Virtual Camera", "OBS Studio",
    )  # fmt: skip
    assert (record.state, record.judge.name) == (VerdictState.FAKE, "scripted")
    assert record.fake_probability > 0.9
    assert 0 < record.ended_s - record.began_s < PATIENCE_S
    assert [(one.state.value, one.reason) for one in record.challenges] == [
        ("stopped", "stopped on request"),
        ("stopped", "the live check ended"),
    ]
    assert record.challenges_ended == 2


async def test_the_record_names_the_model_of_the_newest_result_however_often_it_changed_since(
    open_sessions, make_peer, engine_of, about
):
    engine, records = engine_of(), []
    engine.judge_by(lambda: ScriptedClassifier(0.99), about.model_sha256)
    sessions, peer = open_sessions(engine, keep=records.append), make_peer()
    session_id = await peer.connect(sessions)
    await peer.until(lambda: peer.of_type("result") and peer.of_type("result")[-1]["state"] == "fake")
    for digit in "123":  # no frame is judged meanwhile: none of these models is that of the engine
        sessions.introduce(replace(about, model_name=f"other {digit}", model_sha256=64 * digit))
    await sessions.close(session_id)
    (record,) = records
    assert (record.judge.name, record.judge.sha256) == ("scripted", about.model_sha256)


@pytest.mark.parametrize("judged_first", [True, False])
async def test_the_record_has_the_newest_verdict_and_no_failed_analysis(
    open_sessions, make_peer, engine_of, judged_first
):
    failing = threading.Event()
    if not judged_first:
        failing.set()

    def judge(_crop) -> float:
        if failing.is_set():
            raise AnalysisError("the model is gone")
        return 0.99

    records = []
    sessions, peer = open_sessions(engine_of(lambda: ScriptedClassifier(judge)), keep=records.append), make_peer()
    session_id = await peer.connect(sessions)
    if judged_first:
        await peer.until(lambda: peer.of_type("result") and peer.of_type("result")[-1]["state"] == "fake")
    failing.set()
    await peer.until(lambda: peer.of_type("result") and peer.of_type("result")[-1]["error"])
    await sessions.close(session_id)
    (record,) = records
    if judged_first:
        assert (record.state, record.judge.sha256) == (VerdictState.FAKE, ABOUT.model_sha256)
        assert record.fake_probability > 0.9
    else:
        assert (record.state, record.reason, record.fake_probability) == (None, "analysis unavailable", None)


async def test_an_offer_without_a_connection_leaves_no_record(open_sessions, make_peer):
    records = []
    sessions = open_sessions(keep=records.append)
    await sessions.answer(await make_peer().offer())
    await sessions.close_all()
    assert records == []


async def test_the_records_of_running_checks_are_kept_before_the_server_waits_for_anything(open_sessions, make_peer):
    records = []
    sessions = open_sessions(keep=records.append)
    peer = make_peer()
    await peer.connect(sessions)
    await peer.until(lambda: peer.of_type("result"))
    closing = asyncio.ensure_future(sessions.close_all())
    await asyncio.sleep(0)
    assert len(records) == 1
    await closing
    assert len(records) == 1
