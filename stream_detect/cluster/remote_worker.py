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

CALL_S = 2.0
"""Time limit of a call: its answer is due after a fifth of a second."""

BEGIN_S = 120.0
"""Of the first one: a process starts, imports and loads a model; 3 s, or a minute on a machine that is just booting."""

AGAIN_S = 0.25
REFUSED_AGAIN_S = 10.0

QUIET_S = 1.5
"""A worker not heard of for so long counts as lost on the page; its cameras go elsewhere once their lease is over."""

MAX_EVIDENCE = 64
"""Events that wait for a worker to be told of; the oldest go: their evidence would show what is over."""

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Incarnation:
    """A worker's process, from its start to its end.

    Args:
        key: unguessable.
        holder: its name in the table of leases.
        heard_s: monotonic seconds of the server when its newest batch came.
        sent_s: `sent_s` of that batch.
        hosted: as the batch says.
        revision: as the batch says.
        received: reliable items so far.
        evidence: events that it has yet to be told of.
        analyses: as the batch says.
        checks: as the batch says.
        wanted: keys of the analyses that it is to do, and whether each is to rest now.
        orders: all that it is to do; of a process that was started anew they begin empty.
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
    analyses: Mapping[str, AnalysisState] = field(default_factory=dict)
    checks: Mapping[str, bool] = field(default_factory=dict)
    wanted: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RemoteWorkerParts:
    """What all workers share.

    Args:
        settings: sections of the workers.
        model: the one that judges now.
        may_renew: whether the server may renew leases.
        listened: cameras whose results somebody follows.
        take: is given each batch; must return soon.
        changed: is called when a worker came, went or fell silent.
    """

    settings: dict[str, Any]
    model: Callable[[], ModelOrder]
    may_renew: Callable[[], bool]
    listened: Callable[[], frozenset[str]]
    take: Callable[[Incarnation, Batch], None]
    changed: Callable[[], None]


class RemoteWorker:
    """A worker as the server knows it. `start` once, then `close`.

    Args:
        node: where it is.
        index: of the worker on its node, from 0.
        link: to it.
        parts: what all share.
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
        """Why it cannot work; empty when all is well."""
        self.ice_problems: tuple[str, ...] = ()
        """What is wrong with STUN and TURN servers as seen from there; it works all the same."""
        self._parts = parts
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._talk, name=f"worker {self.name}", daemon=True)

    @property
    def closed(self) -> bool:
        """Whether its node has gone."""
        return self._closing.is_set()

    @property
    def quiet_s(self) -> float:
        """Seconds since it was heard of; inf before the first time."""
        return math.inf if self.current is None else time.monotonic() - self.current.heard_s

    @property
    def ready(self) -> bool:
        """Whether it can take cameras."""
        return self.quiet_s < QUIET_S and not self.problem and not self.closed

    def rename(self, node: Node) -> None:
        """Its node, which has another name now."""
        self.node = node
        self.name = f"{node.name}/{self._index}"

    def start(self) -> None:
        """Begins to call it; once."""
        self._thread.start()

    def close(self) -> None:
        """Calls it no more; returns at once."""
        self._closing.set()

    def join(self, timeout_s: float) -> None:
        """Waits for the end of its last call."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _talk(self) -> None:
        """The thread."""
        while not self._closing.is_set():
            try:
                pause_s = self._exchange() if self.current is not None else self._begin()
            except WorkerLostError as error:
                if not self._closing.is_set():
                    log.info("worker %s: %s", self.name, error)
                self._parts.changed()
                pause_s = AGAIN_S
            except Exception:  # the thread's edge: a batch that cannot be taken must not end the talk
                log.exception("worker %s: its answer could not be taken", self.name)
                pause_s = AGAIN_S
            self._closing.wait(pause_s)

    def _begin(self) -> float:
        model = self._parts.model()
        answer = self.link.call(
            "begin", __version__, self._parts.settings, (model.name, model.sha256), timeout_s=BEGIN_S
        )
        if isinstance(answer, Refusal):
            if answer.message != self.problem:
                log.error("worker %s watches nothing: %s", self.name, answer.message)
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
        )
        batch: Batch = self.link.call("exchange", call, timeout_s=CALL_S)
        if batch.incarnation != now.key:
            log.warning("worker %s was started anew", self.name)
            self.current = None
            self._parts.changed()
            return 0.0
        for _ in requests:
            now.evidence.popleft()
        now.analyses, now.checks = batch.analyses, batch.checks  # before its time: whoever sees that sees these
        now.sent_s, now.heard_s = batch.sent_s, time.monotonic()
        now.hosted, now.revision = batch.hosted, batch.revision
        self.load, self.problem, self.ice_problems = batch.load, batch.problem, batch.ice_problems
        self._parts.take(now, batch)
        now.received = batch.upto
        return 0.0
