"""The results channel never waits, and its buffer is bounded."""

import json

import pytest
from pyee import EventEmitter

from stream_detect.types import Result, Verdict, VerdictState
from stream_detect.webrtc.results_channel import MAX_BUFFERED_BYTES, ResultsChannel

RESULT = Result(1, 0.0, 0.0, 0, (4, 4), Verdict(VerdictState.NO_FACE, "no face", None, 0, 12), (), 0.0, 0)
PING = '{"type": "ping", "value": {"id": 1}}'


class Line(EventEmitter):
    """A data channel whose far end reads nothing."""

    def __init__(self, label: str = "results") -> None:
        super().__init__()
        self.label = label
        self.readyState = "open"
        self.bufferedAmount = 0
        self.longest = 10_000
        self.sent: list[str] = []

    def send(self, text: str) -> None:
        if len(text) > self.longest:
            raise ValueError("too long for the peer")
        self.sent.append(json.loads(text)["type"])


@pytest.fixture
def pings():
    return []


@pytest.fixture
def actions():
    return []


@pytest.fixture
def channel(pings, actions, about):
    return ResultsChannel("id", about, lambda: pings.append(1), actions.append)


def test_before_a_channel_is_open_results_are_dropped(channel):
    channel.send_result(RESULT, 0)
    line = Line()
    channel.adopt(line)
    channel.send_result(RESULT, 0)
    line.readyState = "closing"
    channel.send_result(RESULT, 0)
    assert line.sent == ["hello", "result"]


def test_only_the_first_channel_of_the_label_is_taken(channel):
    lines = [Line("chat"), Line(), Line()]
    for line in lines:
        channel.adopt(line)
    assert [line.sent for line in lines] == [[], ["hello"], []]


def test_when_too_much_waits_results_are_skipped_and_counted(channel, pings):
    line = Line()
    channel.adopt(line)
    line.bufferedAmount = MAX_BUFFERED_BYTES + 1
    for _ in range(3):
        channel.send_result(RESULT, 0)
    line.emit("message", PING)
    assert (line.sent, channel.skipped, len(pings)) == (["hello"], 3, 1)
    line.bufferedAmount = 0
    channel.send_result(RESULT, 0)
    assert line.sent == ["hello", "result"]


def test_a_message_longer_than_the_peer_takes_is_skipped(channel):
    line = Line()
    line.longest = 10
    channel.adopt(line)
    channel.send_result(RESULT, 0)
    assert (line.sent, channel.skipped) == ([], 2)


async def test_bye_waits_no_longer_than_it_must(channel):
    line = Line()
    channel.adopt(line)
    await channel.say_bye("closed")
    assert line.sent == ["hello", "bye"]


def test_a_challenge_is_started_and_stopped_by_message(channel, pings, actions):
    line = Line()
    channel.adopt(line)
    for action in ("start", "stop", "begin", None):
        line.emit("message", json.dumps({"type": "challenge", "value": {"action": action}}))
    line.emit("message", '{"type": "challenge", "value": "start"}')
    assert (actions, pings, line.sent) == (["start", "stop"], [], ["hello"])
