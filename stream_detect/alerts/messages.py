"""The messages about events that webhooks and MQTT send, as JSON (docs/protocol.md)."""

import json
from dataclasses import asdict, dataclass
from typing import Literal

from stream_detect.storage.records import Event, Evidence, Judge

What = Literal["began", "ended"]


def event_json(event: Event) -> dict[str, object]:
    """An event as the API returns it: evidence as the routes to read it, never the pictures themselves."""
    return {
        "id": event.id,
        "camera": event.camera,
        "kind": event.kind,
        "began_s": event.began_s,
        "ended_s": event.ended_s,
        "interrupted": event.interrupted,
        "reason": event.reason,
        "peak": _share(event.peak),
        "mean": _share(event.mean),
        "track": event.track,
        "gaps_s": event.gaps_s,
        "model": _model(event.judge) if event.judge else None,
        "evidence": _evidence(event.id, event.evidence) if event.evidence else None,
    }


def event_message(message_id: str, event: Event, what: What, at_s: float) -> str:
    """A message that an event began or ended.

    Args:
        message_id: the same in every attempt.
        event: its current state.
        what: what happened.
        at_s: current time, unix seconds.
    """
    return _message(message_id, f"event.{what}", at_s, event_json(event))


def trial_message(message_id: str, at_s: float) -> str:
    """A test alert."""
    return _message(message_id, "test", at_s, None)


def told_at_s(message: str) -> float:
    """When a message was made, unix seconds."""
    return float(json.loads(message)["at_s"])


def _message(message_id: str, kind: str, at_s: float, event: dict[str, object] | None) -> str:
    return json.dumps({"id": message_id, "type": kind, "at_s": at_s, "event": event})


def _model(judge: Judge) -> dict[str, object]:
    thresholds = asdict(judge)
    return {"name": thresholds.pop("name"), "sha256": thresholds.pop("sha256"), "thresholds": thresholds}


def _evidence(event_id: str, evidence: Evidence) -> dict[str, object]:
    folder = f"/api/events/{event_id}"
    return {
        "picture": f"{folder}/picture.jpg" if evidence.picture else None,
        "face": f"{folder}/face.jpg" if evidence.face else None,
        "clip": f"{folder}/clip.mp4" if evidence.clip else None,
        "bytes": evidence.bytes,
        "problem": evidence.problem,
    }


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


@dataclass(frozen=True, slots=True)
class NotifierStatus:
    """Status of a webhook or the MQTT broker. Counts are since the start.

    Args:
        name: name of the webhook; "mqtt" for the broker.
        kind: which of the two.
        state: "ok": the newest attempt succeeded, or none was made yet; "connecting": the first is under way;
            "failing": it did not succeed.
        detail: a sentence, without addresses.
        delivered: messages of events that arrived.
        failed: messages given up, or dropped because too many waited.
        attempts_failed: failed attempts; each message is tried many times.
        waiting: messages that have not arrived yet.
    """

    name: str
    kind: Literal["webhook", "mqtt"]
    state: Literal["ok", "failing", "connecting"]
    detail: str
    delivered: int
    failed: int
    attempts_failed: int
    waiting: int


@dataclass(frozen=True, slots=True)
class AlertTest:
    """Result of a test alert.

    Args:
        ok: whether it arrived.
        detail: a sentence.
    """

    ok: bool
    detail: str
