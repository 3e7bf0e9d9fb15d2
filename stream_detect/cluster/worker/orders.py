"""A worker's orders: carries out the newest, and stops all cameras when the server has not renewed their leases."""

import logging
import threading
import time
from collections.abc import Callable, Mapping

from stream_detect.backoff import Outage
from stream_detect.cameras.fleet import Fleet
from stream_detect.cluster.messages import ModelOrder, Orders
from stream_detect.cluster.worker.outbox import Outbox

STOP_BEFORE_S = 1.0
"""How long before the server may give its cameras to another worker a worker stops: more than a stop takes."""

WATCH_S = 0.1

USE_AGAIN_S = 5.0
"""Interval at which a worker tries again to use a model that it did not have: its node may have it by now."""

NOT_RENEWED = "the server did not renew its lease"

log = logging.getLogger(__name__)


class WorkerLease:
    """The lease under which a worker may watch, for all its cameras together. Thread-safe.

    Args:
        lease_s: duration from the batch with which the server renews.
        clock: returns monotonic seconds.
    """

    def __init__(self, lease_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._for_s = lease_s - STOP_BEFORE_S
        self._clock = clock
        self._until_s = -1e9
        self.grants = 0
        """How often it was renewed after it had expired, or for the first time."""

    def renew(self, sent_s: float) -> None:
        """The server received the batch of that time and renews; an old one renews nothing."""
        until_s = sent_s + self._for_s
        self.grants += self._until_s <= self._clock() < until_s
        self._until_s = max(self._until_s, until_s)

    @property
    def holds(self) -> bool:
        """Whether cameras may be watched now."""
        return self._clock() < self._until_s


class OrderKeeper:
    """Applies the newest orders to the fleet, on its own thread, while the lease holds.

    Args:
        fleet: fleet of the worker.
        outbox: gets the lease numbers.
        lease: lease of the cameras.
        use: changes the model; returns False if it cannot be used here, and is called again later.
        leave: ends the viewers and publishers of a camera.
    """

    def __init__(
        self,
        fleet: Fleet,
        outbox: Outbox,
        lease: WorkerLease,
        use: Callable[[ModelOrder], bool],
        leave: Callable[[str], None],
    ) -> None:
        self._fleet = fleet
        self._outbox = outbox
        self._lease = lease
        self._use = use
        self._leave = leave
        self.on_expired: Callable[[], None] = lambda: None
        """Called when the lease expires, whether or not cameras are watched."""
        self._newest: Orders | None = None  # one slot: the newest orders win
        self._unused: ModelOrder | None = None  # the model of the newest orders, while it cannot be used
        self._hosted: dict[str, int] = {}
        self._started: dict[str, int] = {}  # lease numbers with which the fleet's cameras were started
        self._expiries = 0
        self._attaching = threading.Lock()
        self._there = threading.Event()
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._carry_out, name="orders", daemon=True),
            threading.Thread(target=self._watch, name="lease", daemon=True),
        ]
        self.revision = 0
        """Revision of the orders carried out."""

    @property
    def hosted(self) -> dict[str, int]:
        """Lease numbers of cameras that are watched, or have yet to be stopped."""
        return self._hosted

    def start(self) -> None:
        """Starts the threads; call once."""
        for thread in self._threads:
            thread.start()

    def renew(self, sent_s: float) -> None:
        """See `WorkerLease.renew`."""
        self._lease.renew(sent_s)

    def take(self, orders: Orders) -> None:
        """Carries out these orders soon, unless newer ones arrive; returns at once. They may be repeated until then."""
        if orders.revision > self.revision:
            self._newest = orders
            self._there.set()

    def close(self) -> None:
        """Stops carrying out and reporting: a worker's end is not the end of its cameras."""
        self._detach()
        self._closing.set()
        self._there.set()

    def _carry_out(self) -> None:
        while True:
            self._there.wait(None if self._unused is None else USE_AGAIN_S)
            self._there.clear()
            if self._closing.is_set():
                return
            orders = self._newest
            try:
                if orders is not None and orders.revision > self.revision and self._lease.holds:
                    self._apply(orders)
                elif self._unused is not None:
                    self._change_model(self._unused)
            except Exception:  # top of the thread: a failure for one list of cameras must not affect the next
                log.exception("orders %d could not be carried out", orders.revision if orders else 0)

    def _change_model(self, model: ModelOrder) -> None:
        self._unused = None if self._use(model) else model

    def _apply(self, orders: Orders) -> None:
        self._change_model(orders.model)
        # An operator may have started a camera that is disabled in the settings file.
        wanted = [one.settings.model_copy(update={"enabled": True}) for one in orders.assignments]
        numbers = {one.settings.name: one.number for one in orders.assignments}
        expiries, before = self._expiries, self._started
        self._hosted = {**self._hosted, **numbers}
        # A camera with another lease number restarts, even if its settings are the same.
        again = {name for name, number in before.items() if numbers.get(name, number) != number}
        self._attach({name: number for name, number in numbers.items() if name not in again}, expiries)
        if again:
            self._fleet.apply([one for one in wanted if one.name in before and one.name not in again])
        self._attach(numbers, expiries)
        self._fleet.apply(wanted)
        self._started = numbers
        for name in set(before) - set(numbers):
            self._leave(name)
        # If the lease expired in between, all cameras are stopped or will be in a moment: nothing is watched.
        self._hosted = numbers if self._expiries == expiries else {}
        if self._expiries != expiries:
            self._fleet.stop_all(NOT_RENEWED)
        self.revision = orders.revision
        self._outbox.wake()

    def _attach(self, numbers: Mapping[str, int], expiries: int) -> None:
        """Reports these cameras from now on, unless the lease has expired since.

        The server would take the end of a camera that stops for that reason for the end of its file.
        """
        with self._attaching:
            if self._expiries == expiries:
                self._outbox.attach(numbers)

    def _detach(self) -> None:
        """Reports no cameras until the next orders."""
        with self._attaching:
            self._expiries += 1
            self._outbox.attach({})

    def _watch(self) -> None:
        """Stops everything once the lease has expired; work resumes with the server's next orders."""
        grants, outage = 0, Outage(log, "stopping cameras whose lease expired")
        while not self._closing.wait(WATCH_S):
            holds, granted = self._lease.holds, self._lease.grants
            if holds and granted == (grants or granted):
                grants = granted
                continue
            try:
                # Also if it is renewed already: a process that was frozen may hear of the server before it looks here.
                if grants:
                    grants = 0
                    self.on_expired()
                if self._hosted and not holds:
                    self._stop_cameras()
            except Exception as error:  # noqa: BLE001 - the thread's edge: without it, a camera would be watched twice
                outage.failed("it failed, and is tried again", error)
            else:
                outage.ended()

    def _stop_cameras(self) -> None:
        log.warning("%d cameras are stopped: %s", len(self._hosted), NOT_RENEWED)
        names = list(self._hosted)
        self._detach()
        self._fleet.stop_all(NOT_RENEWED)
        self._hosted = {}
        for name in names:
            self._leave(name)
        self._outbox.wake()
