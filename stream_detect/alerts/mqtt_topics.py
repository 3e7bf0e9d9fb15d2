"""The topics and payloads that are published over MQTT.

PREFIX/status                  retained  "online" or "offline" (also the last will)
PREFIX/cameras/NAME/state      retained  JSON, see `CameraPicture.payload`
PREFIX/cameras/NAME/event                JSON, {"id", "type", "at_s", "event"} as webhooks receive it
PREFIX/test                              JSON of a test alert

By Home Assistant's discovery (https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery), each camera is a
device with three entities that read the retained state.
"""

import json
from dataclasses import dataclass

from stream_detect.types import CameraState, Result, StateChange, VerdictState


@dataclass(frozen=True, slots=True)
class CameraPicture:
    """Last published data of a camera.

    Args:
        change: its state; None until it is known.
        result: the newest result while it is live; otherwise None.
        at_s: time of that result's frame, unix seconds.
    """

    change: StateChange | None = None
    result: Result | None = None
    at_s: float = 0.0

    @property
    def word(self) -> tuple[CameraState | None, VerdictState | None]:
        """The camera's state and verdict: a change is published at once."""
        return (self.change.state if self.change else None, self.result.verdict.state if self.result else None)

    def payload(self, camera: str, title: str) -> str:
        """JSON; `verdict`, `fake_probability` and `at_s` are null while there is no current result."""
        change, verdict = self.change, self.result.verdict if self.result else None
        return json.dumps(
            {
                "camera": camera,
                "title": title,
                "state": change.state if change else None,
                "reason": change.reason if change else "",
                "since_s": change.at_s if change else None,
                "verdict": verdict.state if verdict else None,
                "verdict_reason": verdict.reason if verdict else "",
                "fake_probability": _share(verdict.fake_probability) if verdict else None,
                "feed": self.result.feed if self.result else None,
                "faces": len(self.result.tracks) if self.result else 0,
                "at_s": self.at_s if self.result else None,
            }
        )


@dataclass(frozen=True, slots=True)
class Topics:
    """Topics of the messages.

    Args:
        prefix: first part of the topics.
        discovery_prefix: topic prefix of Home Assistant's discovery; None to disable it.
    """

    prefix: str
    discovery_prefix: str | None

    @property
    def status(self) -> str:
        """Topic that says whether this process is online."""
        return f"{self.prefix}/status"

    @property
    def trial(self) -> str:
        """Topic of test alerts."""
        return f"{self.prefix}/test"

    def state(self, camera: str) -> str:
        """Topic of a camera's state."""
        return f"{self.prefix}/cameras/{camera}/state"

    @property
    def states(self) -> str:
        """Filter for the topics of all cameras' states."""
        return self.state("+")

    def camera_of(self, topic: str) -> str:
        """Name of the camera of a topic that matches `states`."""
        return topic.removeprefix(f"{self.prefix}/cameras/").removesuffix("/state")

    def event(self, camera: str) -> str:
        """Topic of a camera's events."""
        return f"{self.prefix}/cameras/{camera}/event"

    def retained(self, camera: str) -> tuple[str, ...]:
        """All retained topics of a camera."""
        return (self.state(camera), *self.discovery(camera, camera))

    def discovery(self, camera: str, title: str) -> dict[str, str]:
        """Home Assistant's discovery messages of a camera: topic to payload; empty when discovery is off."""
        if self.discovery_prefix is None:
            return {}
        node = self.prefix.replace("/", "_")
        return {
            f"{self.discovery_prefix}/{component}/{node}/{camera}_{part}/config": json.dumps(
                {
                    "unique_id": f"{node}_{camera}_{part}",
                    "device": {
                        "identifiers": [f"{node}_{camera}"],
                        "name": title,
                        "manufacturer": "stream-detect",
                        "model": "camera",
                    },
                    "origin": {"name": "stream-detect"},
                    "availability_topic": self.status,
                    "state_topic": self.state(camera),
                    **entity,
                }
            )
            for component, part, entity in _ENTITIES
        }


# Without a verdict the templates return None, which Home Assistant shows as unknown.
_ENTITIES: tuple[tuple[str, str, dict[str, object]], ...] = (
    (
        "binary_sensor",
        "fake",
        {
            "name": "Fake face",
            "device_class": "problem",
            "value_template": (
                "{{ None if value_json.verdict is none else 'ON' if value_json.verdict == 'fake' else 'OFF' }}"
            ),
        },
    ),
    (
        "binary_sensor",
        "live",
        {
            "name": "Connection",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "value_template": "{{ 'ON' if value_json.state == 'live' else 'OFF' }}",
        },
    ),
    (
        "sensor",
        "fake_probability",
        {
            "name": "Fake probability",
            "icon": "mdi:drama-masks",
            "unit_of_measurement": "%",
            "state_class": "measurement",
            "suggested_display_precision": 0,
            "value_template": (
                "{{ None if value_json.fake_probability is none else value_json.fake_probability * 100 }}"
            ),
        },
    ),
)


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
