"""Leadership of the cluster: the server's own lease in the database, and how long it is valid.

While the database is away, the server continues to lead until its lease expires: no other server can have taken it.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from stream_detect.errors import ConflictError, StorageError
from stream_detect.storage.leases import LEADER, Lease, Leases

LEAD_S = 90.0
"""A database outage of a minute has no effect. A server on another machine waits this long for one that is gone."""

MARGIN_S = 10.0
"""How much earlier a server that cannot renew stops trusting its lease: clocks of machines differ by less."""

RENEW_S = 1.0

log = logging.getLogger(__name__)


class Leadership:
    """The lease of the leading server. Call `start` once, then `close`. Thread-safe.

    Args:
        leases: table of leases.
        holder: name of this server, unchanged after a restart on this machine.
        lease_s: duration of the workers' leases.
        holders: returns the workers that responded, whose leases are renewed.
        alone: nobody else can use the database, so nobody else can lead.
    """

    def __init__(
        self, leases: Leases, holder: str, lease_s: float, holders: Callable[[], Sequence[str]], *, alone: bool
    ) -> None:
        self._leases = leases
        self._holder = holder
        self._lease_s = lease_s
        self._holders = holders
        self._alone = alone
        self._lease: Lease | None = None
        self._until_s = -1e9
        self._replaced = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="leases", daemon=True)
        self.drained: frozenset[str] = frozenset()
        """Names of the nodes that must not watch cameras."""
        self.problem = ""
        """Why the database does not respond, or who leads instead; empty if all is well."""

    @property
    def holds(self) -> bool:
        """Whether this server may renew the leases of workers."""
        return not self._replaced and (self._alone or time.monotonic() < self._until_s)

    def start(self) -> frozenset[str]:
        """Becomes the leading server, and keeps renewing.

        Returns:
            Names of the cameras that workers of an earlier server may still watch, until their leases expire.

        Raises:
            StorageError: another server leads, or the database cannot be used.
        """
        begun_s = time.monotonic()
        try:
            self._lease = self._leases.lead(self._holder, LEAD_S)
        except ConflictError as error:
            raise StorageError(str(error)) from error
        self._until_s = begun_s + LEAD_S - MARGIN_S
        self.drained = self._leases.drained()
        held = frozenset(self._leases.held())
        self._thread.start()
        return held

    def grant(self, holders: Mapping[str, str]) -> dict[str, Lease]:
        """Grants leases of cameras to workers; returns them by camera name.

        Raises:
            ConflictError: another server leads.
            StorageError: the database does not respond.
        """
        if self._lease is None:
            raise ConflictError("expected the leading server, received one that is still starting")
        return self._leases.grant(self._lease, holders, self._lease_s)

    def close(self, cameras: Sequence[str]) -> None:
        """Releases these cameras' leases and its own; if the database does not respond, they expire."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(RENEW_S)
        if self._lease is None or self._replaced:
            return
        try:
            held = self._leases.held()
            self._leases.give_back(self._lease, [*cameras, *held, LEADER])
        except (StorageError, ConflictError) as error:
            log.warning("the leases could not be released; they will expire: %s", error)

    def _renew(self) -> None:
        while not self._closing.wait(RENEW_S):
            begun_s = time.monotonic()
            try:
                if self._lease is not None:
                    self._leases.keep_leading(self._lease, LEAD_S, self._holders(), self._lease_s)
                self.drained = self._leases.drained()
            except StorageError as error:
                self.problem = str(error)
            except ConflictError as error:
                if not self._replaced:
                    log.error("all cameras stop: %s", error)  # noqa: TRY400 - one line says it all
                self._replaced, self.problem = True, str(error)
            except Exception:  # top of the thread: a failure may not occur again in a second
                log.exception("the lease could not be renewed")
            else:
                self._until_s, self.problem = begun_s + LEAD_S - MARGIN_S, ""
