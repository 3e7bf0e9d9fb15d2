"""One worker on the server's side: calls it again and again, and knows when it answered last."""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stream_detect import __version__
from stream_detect.cluster.messages import (
    AnalysisState,
    Batch,
    Call,
    EvidenceRequest,
    Load,
    ModelOrder,
    Orders,
    Refusal,
)
from stream_detect.cluster.nodes import Node, WorkerLink, WorkerLostError
from stream_detect.cluster.placement import Overload
from stream_detect.storage.records import Evidence
from stream_detect.webrtc.results_channel import ByeReason

CALL_S = 2.0
"""Time limit of a call, whose answer is due after a fifth of a second."""

BEGIN_S = 120.0
"""Time limit of the first call: a process starts, imports and loads a model; 3 s, or a minute on a machine that is
booting."""

AGAIN_S = 0.25
REFUSED_AGAIN_S = 10.0

QUIET_S = 1.5
"""A worker that is silent for this time is shown as lost on the page; its cameras move once their lease has expired."""

MAX_EVIDENCE = 64
"""Events of which a worker has yet to be told; the oldest are dropped, because their evidence would come too late."""

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Incarnation:
    """A process of a worker, from start to end.

    Args:
        key: unguessable key.
        holder: its name in the table of leases.
        heard_s: arrival of its newest batch, in the server's monotonic seconds.
        sent_s: `sent_s` of that batch.
        hosted: from the batch.
        revision: from the batch.
        received: number of reliable items so far.
        evidence: events that have yet to be sent to it.
        unfinished: evidence so far of the events that it was told of, by event id, until it is complete.
        analyses: from the batch.
        checks: from the batch.
        sessions: from the batch.
        ended_checks: live checks that it has yet to end, by session id, with the reason for `bye`.
        wanted: keys of its analyses, and whether each must pause now.
        orders: its orders; empty for a new process.
    """

    key: str
    holder: str
    heard_s: float
    orders: Orders
    sent_s: float = -math.inf
    hosted: dict[str, int] = field(default_factory=dict)
    revision: int = 0
    received: int = 0
    evidence: deque[EvidenceRequest] = field(default_factory=lambda: deque(maxlen=MAX_EVIDENCE))
    unfinished: dict[str, Evidence] = field(default_factory=dict)
    analyses: Mapping[str, AnalysisState] = field(default_factory=dict)
    checks: Mapping[str, bool] = field(default_factory=dict)
    sessions: frozenset[str] = frozenset()
    ended_checks: dict[str, ByeReason] = field(default_factory=dict)
    wanted: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RemoteWorkerParts:
    """Parts shared by all workers.

    Args:
        settings: sections for the workers.
        model: returns the current model.
        may_renew: returns whether the server may renew leases.
        listened: returns the cameras whose results somebody follows.
        take: called with each batch; must return soon.
        changed: called when a worker joined, left or fell silent.
        ended: called with a process that has ended, on the worker's own thread.
    """

    settings: dict[str, Any]
    model: Callable[[], ModelOrder]
    may_renew: Callable[[], bool]
    listened: Callable[[], frozenset[str]]
    take: Callable[[Incarnation, Batch], None]
    changed: Callable[[], None]
    ended: Callable[[Incarnation], None]


class RemoteWorker:
    """A worker from the server's point of view. Call `start` once, then `close`.

    Args:
        node: its node.
        index: index of the worker on its node, from 0.
        link: link to it.
        parts: the shared parts.
    """

    def __init__(self, node: Node, index: int, link: WorkerLink, parts: RemoteWorkerParts) -> None:
        self._index = index
        self.rename(node)
        self.link = link
        self.load = Load()
        self.overload = Overload()
        self.current: Incarnation | None = None
        """The process that answered last; None before the first."""
        self.problem = ""
        """Why it cannot work; empty if all is well."""
        self.ice_problems: tuple[str, ...] = ()
        """Problems of STUN and TURN servers as seen from there; it works in spite of them."""
        self._parts = parts
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._talk, name=f"worker {self.name}", daemon=True)

    @property
    def closed(self) -> bool:
        """Whether its node has left."""
        return self._closing.is_set()

    @property
    def quiet_s(self) -> float:
        """Seconds since its last answer; inf before the first."""
        return math.inf if self.current is None else time.monotonic() - self.current.heard_s

    @property
    def ready(self) -> bool:
        """Whether it can accept cameras."""
        return self.quiet_s < QUIET_S and not self.problem and not self.closed

    def answered_since(self, at_s: float) -> bool:
        """Whether it has answered since this time, in monotonic seconds."""
        return self.current is not None and self.current.heard_s > at_s

    def rename(self, node: Node) -> None:
        """Sets its node, which has a new name."""
        self.node = node
        self.name = f"{node.name}/{self._index}"

    def start(self) -> None:
        """Starts to call it; call once."""
        self._thread.start()

    def close(self) -> None:
        """Stops calling it; returns at once."""
        self._closing.set()

    def join(self, timeout_s: float) -> None:
        """Waits for the end of its last call."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _talk(self) -> None:
        """The thread that calls the worker."""
        while not self._closing.is_set():
            try:
                pause_s = self._exchange() if self.current is not None else self._begin()
            except WorkerLostError as error:
                if not self._closing.is_set():
                    log.info("worker %s: %s", self.name, error)
                self._parts.changed()
                pause_s = AGAIN_S
            except Exception:  # top of the thread: a batch that cannot be processed must not end it
                log.exception("worker %s: its report could not be processed", self.name)
                pause_s = AGAIN_S
            self._closing.wait(pause_s)
        if self.current is not None:
            self._parts.ended(self.current)

    def _begin(self) -> float:
        model = self._parts.model()
        answer = self.link.call(
            "begin", __version__, self._parts.settings, (model.name, model.contract_sha256), timeout_s=BEGIN_S
        )
        if isinstance(answer, Refusal):
            if answer.message != self.problem:
                log.error("worker %s cannot be used: %s", self.name, answer.message)
            self.problem = answer.message
            self._parts.changed()
            return REFUSED_AGAIN_S
        self.problem = ""
        self.current = Incarnation(answer, f"{self.name}/{answer}", time.monotonic(), Orders(0, (), model))
        log.info("worker %s is ready", self.name)
        self._parts.changed()
        return 0.0

    def _exchange(self) -> float:
        now = self.current
        if now is None:
            return 0.0
        orders = now.orders
        requests = tuple(now.evidence)
        call = Call(
            incarnation=now.key,
            received=now.received,
            renewed_s=now.sent_s if self._parts.may_renew() else -math.inf,
            orders=orders if orders.revision > now.revision else None,
            evidence=requests,
            listened=self._parts.listened(),
            analyses=now.wanted.copy(),
            ended_checks=now.ended_checks.copy(),
        )
        batch: Batch = self.link.call("exchange", call, timeout_s=CALL_S)
        if batch.incarnation != now.key:
            log.warning("worker %s was restarted", self.name)
            self.current = None
            self._parts.changed()
            self._parts.ended(now)
            return 0.0
        for _ in requests:
            now.evidence.popleft()
        for session_id in call.ended_checks.keys() - batch.checks.keys():
            del now.ended_checks[session_id]
        # Set before the time of the batch: whoever sees the new time sees these too.
        now.analyses, now.checks, now.sessions = batch.analyses, batch.checks, batch.sessions
        now.sent_s, now.heard_s = batch.sent_s, time.monotonic()
        now.hosted, now.revision = batch.hosted, batch.revision
        self.load, self.problem, self.ice_problems = batch.load, batch.problem, batch.ice_problems
        self._parts.take(now, batch)
        now.received = batch.upto
        return 0.0
