"""A worker's orders: carries out the newest, and stops all cameras when the server has not renewed their leases."""

import logging
import threading
import time
from collections.abc import Callable

from stream_detect.cameras.fleet import Fleet
from stream_detect.cluster.messages import ModelOrder, Orders
from stream_detect.cluster.worker.outbox import Outbox

STOP_BEFORE_S = 1.0
"""A worker stops so long before the server may give its cameras to another: what a stop takes, and then some."""

WATCH_S = 0.1

NOT_RENEWED = "the server did not renew its lease"

log = logging.getLogger(__name__)


class WorkerLease:
    """Until when a worker may watch: of all its cameras together. Thread-safe.

    Args:
        lease_s: from the batch by which the server renews.
        clock: monotonic seconds.
    """

    def __init__(self, lease_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._for_s = lease_s - STOP_BEFORE_S
        self._clock = clock
        self._until_s = -1e9

    def renew(self, sent_s: float) -> None:
        """The server had a batch of that time, and so renews; one that comes late renews nothing."""
        self._until_s = max(self._until_s, sent_s + self._for_s)

    @property
    def holds(self) -> bool:
        """Whether cameras may be watched now."""
        return self._clock() < self._until_s


class OrderKeeper:
    """Makes the fleet be what the newest orders say, on a thread of its own, while the lease holds.

    Args:
        fleet: of the worker.
        outbox: is told of the numbers of leases.
        lease: of the cameras.
        use: judges by a model.
        leave: ends the viewers and publishers of a camera.
    """

    def __init__(
        self,
        fleet: Fleet,
        outbox: Outbox,
        lease: WorkerLease,
        use: Callable[[ModelOrder], None],
        leave: Callable[[str], None],
    ) -> None:
        self._fleet = fleet
        self._outbox = outbox
        self._lease = lease
        self._use = use
        self._leave = leave
        self.on_expired: Callable[[], None] = lambda: None
        """Called when the lease is over, whether or not cameras are watched."""
        self._newest: Orders | None = None  # one slot: the newest orders win
        self._hosted: dict[str, int] = {}
        self._started: dict[str, int] = {}  # numbers under which the fleet's cameras were started
        self._expiries = 0
        self._there = threading.Event()
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._carry_out, name="orders", daemon=True),
            threading.Thread(target=self._watch, name="lease", daemon=True),
        ]
        self.revision = 0
        """Of the orders that are carried out."""

    @property
    def hosted(self) -> dict[str, int]:
        """Numbers of the leases of cameras that are watched, or have yet to be stopped."""
        return self._hosted

    def start(self) -> None:
        """Starts the threads; once."""
        for thread in self._threads:
            thread.start()

    def renew(self, sent_s: float) -> None:
        """See `WorkerLease.renew`."""
        self._lease.renew(sent_s)

    def take(self, orders: Orders) -> None:
        """Carries these out soon, unless newer ones come before; returns at once. They may come again until then."""
        if orders.revision > self.revision:
            self._newest = orders
            self._there.set()

    def close(self) -> None:
        """Carries out nothing more, and says nothing more: a worker's end is not the end of its cameras."""
        self._outbox.attach({})
        self._closing.set()
        self._there.set()

    def _carry_out(self) -> None:
        while True:
            self._there.wait()
            self._there.clear()
            if self._closing.is_set():
                return
            orders = self._newest
            if orders is None or orders.revision <= self.revision or not self._lease.holds:
                continue
            try:
                self._apply(orders)
            except Exception:  # the thread's edge: what fails for one list of cameras must not end the next
                log.exception("orders %d could not be carried out", orders.revision)

    def _apply(self, orders: Orders) -> None:
        self._use(orders.model)
        wanted = [one.settings for one in orders.assignments]
        numbers = {one.settings.name: one.number for one in orders.assignments}
        expiries, before = self._expiries, self._started
        self._hosted = {**self._hosted, **numbers}
        # A camera under another number begins anew, even where its settings are the same.
        again = {name for name, number in before.items() if numbers.get(name, number) != number}
        self._outbox.attach({name: number for name, number in numbers.items() if name not in again})
        if again:
            self._fleet.apply([one for one in wanted if one.name in before and one.name not in again])
        self._outbox.attach(numbers)
        self._fleet.apply(wanted)
        self._started = numbers
        for name in set(before) - set(numbers):
            self._leave(name)
        # Where the lease ended in between, all were stopped, or are in a moment: nothing is watched.
        self._hosted = numbers if self._expiries == expiries else {}
        if self._expiries != expiries:
            self._fleet.stop_all(NOT_RENEWED)
        self.revision = orders.revision
        self._outbox.wake()

    def _watch(self) -> None:
        """Stops everything once the lease is over; the orders begin anew with the server's next ones."""
        held = False
        while not self._closing.wait(WATCH_S):
            if self._lease.holds:
                held = True
                continue
            if held:
                held = False
                self.on_expired()
            if self._hosted:
                log.warning("%d cameras are stopped: %s", len(self._hosted), NOT_RENEWED)
                names = list(self._hosted)
                self._expiries += 1
                self._outbox.attach({})
                self._fleet.stop_all(NOT_RENEWED)
                self._hosted = {}
                for name in names:
                    self._leave(name)
                self._outbox.wake()
