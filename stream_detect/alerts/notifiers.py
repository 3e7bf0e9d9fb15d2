"""Notifies webhooks and the MQTT broker of events, within a rate limit for each camera and kind.

Messages of webhooks are stored with the event in one transaction (`deliveries_for`); the broker is notified afterwards.
"""

import contextlib
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, get_args

from stream_detect.alerts.messages import AlertTest, NotifierStatus, What, event_message
from stream_detect.alerts.webhook import WebhookOutbox
from stream_detect.alerts.webhook_sender import WebhookSender
from stream_detect.errors import NotFoundError
from stream_detect.extras import require
from stream_detect.settings import AlertSettings, MqttSettings, WebhookSettings
from stream_detect.storage.records import Delivery, Event, EventKind
from stream_detect.types import Result, StateChange

if TYPE_CHECKING:
    from stream_detect.alerts.mqtt import MqttPublisher

_REMEMBERED = 4096
"""Number of decisions kept; the oldest are forgotten first. An unknown event, as after a restart, is let through."""


class AlertLimit:
    """Lets through one event of a camera and kind within an interval. All notifiers share one limit. Thread-safe.

    Args:
        min_interval_s: from the start of one event that was let through to the next.
        clock: monotonic seconds.
    """

    def __init__(self, min_interval_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._min_interval_s = min_interval_s
        self._clock = clock
        self._decided: dict[str, bool] = {}
        self._newest_s: dict[tuple[str, EventKind], float] = {}
        self._suppressed: Counter[EventKind] = Counter()
        self._lock = threading.Lock()

    def lets_through(self, event: Event) -> bool:
        """Whether to notify of this event: of its end exactly if of its start."""
        with self._lock:
            known = self._decided.get(event.id)
            if known is None:
                known = event.ended_s is not None or self._is_due(event)
                self._decided[event.id] = known
                if len(self._decided) > _REMEMBERED:
                    del self._decided[next(iter(self._decided))]
            return known

    @property
    def suppressed(self) -> Mapping[EventKind, int]:
        """Events that the limit held back since the start of the process, by kind."""
        with self._lock:
            return {kind: self._suppressed[kind] for kind in get_args(EventKind)}

    def _is_due(self, event: Event) -> bool:
        now_s = self._clock()
        recent = {key: at_s for key, at_s in self._newest_s.items() if now_s - at_s < self._min_interval_s}
        key = (event.camera, event.kind)
        due = key not in recent
        if due:
            recent[key] = now_s
        else:
            self._suppressed[event.kind] += 1
        self._newest_s = recent
        return due


MQTT = "mqtt"
"""Name of the broker among the notifiers; no webhook may have it."""


class Alerts:
    """All notifiers. An `Observer` (for the broker: states and verdicts) and an `Announcer`. Thread-safe.

    Args:
        settings: the limit.
        webhooks: to notify.
        mqtt: the broker.
        outbox: keeps webhooks' messages.
        title_of: a camera's title for people, by its name; called on the cameras' threads, so it must not block.

    Raises:
        MissingExtraError: a broker is set and the MQTT client is not installed.
    """

    def __init__(
        self,
        settings: AlertSettings,
        webhooks: Sequence[WebhookSettings],
        mqtt: MqttSettings,
        outbox: WebhookOutbox,
        title_of: Callable[[str], str] = str,
    ) -> None:
        self._limit = AlertLimit(settings.min_interval_s)
        self._webhooks = tuple(webhooks)
        self._sender = WebhookSender(webhooks, outbox)
        self._mqtt = _publisher(mqtt, title_of) if mqtt.url else None

    def start(self) -> None:
        """Starts to notify. Does not block."""
        self._sender.start()
        if self._mqtt:
            self._mqtt.start()

    def close(self) -> None:
        """Stops within three seconds. Webhook messages that still wait are sent after the next start."""
        with contextlib.ExitStack() as both:
            both.callback(self._sender.close)
            if self._mqtt:
                both.callback(self._mqtt.close)

    def deliveries_for(self, event: Event, what: What) -> list[Delivery]:
        """Messages for the outbox: one for each webhook that wants this kind of event; none beyond the limit."""
        if not self._limit.lets_through(event):
            return []
        return [self._delivery(webhook, event, what) for webhook in self._webhooks if event.kind in webhook.kinds]

    def announce(self, event: Event, what: What) -> None:
        """Notifies the broker of a committed event, and wakes the sender of webhooks."""
        self._sender.wake()
        if self._mqtt and self._limit.lets_through(event):
            self._mqtt.announce(event, what)

    def result(self, camera: str, result: Result, at_s: float) -> None:
        """For the broker. See `Observer`."""
        if self._mqtt:
            self._mqtt.result(camera, result, at_s)

    def state(self, change: StateChange) -> None:
        """For the broker. See `Observer`."""
        if self._mqtt:
            self._mqtt.state(change)

    def clear_others(self) -> None:
        """For the broker: clears what it keeps of cameras that are not there any more. Call after their start."""
        if self._mqtt:
            self._mqtt.clear_others()

    def removed(self, camera: str) -> None:
        """For the broker. See `Observer`."""
        if self._mqtt:
            self._mqtt.removed(camera)

    @property
    def suppressed(self) -> Mapping[EventKind, int]:
        """Events that the limit held back since the start of the process, by kind."""
        return self._limit.suppressed

    def statuses(self) -> list[NotifierStatus]:
        """Status of each notifier, webhooks first."""
        return [*self._sender.statuses(), *([self._mqtt.status()] if self._mqtt else [])]

    def test(self, name: str) -> AlertTest:
        """Sends a test alert by one notifier at once; returns whether it arrived. Blocks for up to ten seconds.

        Raises:
            NotFoundError: there is no notifier of that name.
        """
        if self._mqtt and name == MQTT:
            return self._mqtt.test()
        if name in self._sender.names():
            return self._sender.test(name)
        there = [*self._sender.names(), *([MQTT] if self._mqtt else [])]
        raise NotFoundError(
            f"expected one of the notifiers ({', '.join(there) or 'none is configured'}), received {name!r}"
        )

    def _delivery(self, webhook: WebhookSettings, event: Event, what: What) -> Delivery:
        message_id, now_s = uuid.uuid4().hex, time.time()
        body = event_message(message_id, event, what, now_s)
        return Delivery(message_id, webhook.name, event.id, body, attempts=0, due_s=now_s)


def _publisher(settings: MqttSettings, title_of: Callable[[str], str]) -> "MqttPublisher":
    require("mqtt", "mqtt.url")
    from stream_detect.alerts.mqtt import MqttPublisher  # noqa: PLC0415 - its client is an optional package

    return MqttPublisher(settings, title_of)
