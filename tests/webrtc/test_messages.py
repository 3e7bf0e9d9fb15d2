"""The messages of the data channel follow docs/protocol.md."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stream_detect.challenge_record import ChallengeRecord, ChallengeState, Movement, PromptOutcome, StandingPrompt
from stream_detect.types import Face, Result, Thresholds, TrackResult, Verdict, VerdictState
from stream_detect.webrtc import results_channel as messages

DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol.md"

FACE = Face((210.512, 96.0, 402.1, 330.7), np.zeros((6, 2), np.float32), 0.9)
VERDICT = Verdict(VerdictState.REAL, "steady over 41 usable frames", 0.08, 41, 12)
RESULT = Result(
    sequence=57,
    time_s=5.69,
    arrived_s=100.0,
    pts=512_430,
    wh=(640, 480),
    verdict=VERDICT,
    tracks=(TrackResult(1, FACE, VERDICT, 0.11, None, (0.1, float("nan"))),),
    latency_s=0.0094,
    dropped_samples=0,
)


def test_a_result_has_exactly_the_documented_keys_and_values():
    documented = json.loads(re.search(r"```json\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[1])
    sent = json.loads(messages.result_message(RESULT, dropped_frames=2))
    documented["value"]["faces"][0]["reason"] = VERDICT.reason
    assert sent == documented


def test_a_challenge_has_exactly_the_documented_keys_and_values():
    section = DOCUMENT.read_text().split("## A challenge\n")[1]
    documented = json.loads(re.search(r"```json\n(.*?)```", section, re.DOTALL)[1])
    record = ChallengeRecord(
        challenge_id="9f0c61d2a8b35e47",
        state=ChallengeState.RUNNING,
        reason="",
        now=StandingPrompt(Movement.COVER_MOUTH, 2, 4, 5.41),
        done=(PromptOutcome(Movement.TURN_LEFT, Movement.TURN_LEFT, 1.3, 0.12, 0.3),),
        outside_mean=0.09,
        outside_max=0.2,
    )
    sent = json.loads(messages.result_message(replace(RESULT, challenge=record), 0))
    assert sent["value"]["challenge"] == documented


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "challenge", "value": {"action": "pause"}}',
        '{"type": "challenge", "value": "start"}',
        '{"type": "challenge", "value": {"action": ["start"]}}',
        '{"challenge": "start"}',
        "[" * 1000,
        '{"type": "challenge", "value": {"action": "start", "x": "' + "x" * messages.MAX_CLIENT_MESSAGE_CHARS + '"}}',
        b"\xff",
    ],
)
def test_what_asks_for_no_challenge_is_passed_over(text):
    assert messages.read_challenge(text) is None


def test_unknown_values_are_null():
    unknown = replace(RESULT, verdict=replace(VERDICT, fake_probability=None), tracks=(), error="analysis unavailable")
    value = json.loads(messages.result_message(unknown, 0))["value"]
    assert value["fake_probability"] is None
    assert value["faces"] == []
    assert value["error"] == "analysis unavailable"


def test_numbers_of_numpy_are_taken():
    face = replace(FACE, xyxy=tuple(np.array(FACE.xyxy, np.float32)))
    track = replace(RESULT.tracks[0], face=face, score=np.float32(0.25))
    assert (
        json.loads(messages.result_message(replace(RESULT, tracks=(track,)), 0))["value"]["faces"][0]["score"] == 0.25
    )


def test_hello_introduces_the_model():
    about = messages.Introduction("m", "Model", "ab", Thresholds(), 10.0, 12)
    value = json.loads(messages.hello_message("id", about))["value"]
    assert value["session"] == "id"
    assert value["protocol"] == 1
    assert value["model"] == {"name": "m", "title": "Model", "sha256": "ab"}
    assert set(value["thresholds"]) == {"fake_enter", "fake_leave", "real_enter", "real_leave"}
    assert (value["window_s"], value["needed"]) == (10.0, 12)


@pytest.mark.parametrize(
    ("text", "ping_id"),
    [
        ('{"type": "ping", "value": {"id": 7}}', 7),
        ('{"type": "ping", "value": {"id": "a"}}', "a"),
        ('{"type": "ping", "value": {"id": 7, "more": 1}}', 7),
        (b'{"type": "ping", "value": {"id": 7}}', 7),
        ('{"type": "ping", "value": {"id": true}}', None),
        ('{"type": "ping", "value": {"id": null}}', None),
        ('{"type": "ping", "value": 7}', None),
        ('{"type": "pang", "value": {"id": 7}}', None),
        ("[" * 1000, None),
        (b"\xff\xfe", None),
        ("", None),
        ('{"type": "ping", "value": {"id": "' + "a" * 1000 + '"}}', None),
    ],
)
def test_only_pings_are_read(text, ping_id):
    assert messages.read_ping(text) == ping_id
