"""Leases: which worker watches a camera, and which server leads the cluster, with increasing numbers (fencing tokens).

Only the leading server grants leases, in a transaction that also checks that it still leads: a server that was replaced
meanwhile grants none.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from stream_detect.errors import ConflictError
from stream_detect.storage.database import Database
from stream_detect.storage.tables import DrainedNodeRow, LeaseRow

LEADER = "#leader"
"""Name of the lease of the leading server; it is not a valid camera name."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease, which one holder has at a time.

    Args:
        name: name of the camera, or `LEADER`.
        holder: who has it; empty if it was given back.
        number: increases with each grant; a lower number is out of date.
        until_s: unix seconds at which it expires unless renewed.
    """

    name: str
    holder: str
    number: int
    until_s: float


class Leases:
    """The tables of leases and of drained nodes.

    Args:
        database: the database.
        clock: wall clock, unix seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def lead(self, holder: str, lease_s: float) -> Lease:
        """Makes a server the leader. A holder of the same name may take the lease again at any time.

        Raises:
            ConflictError: another server leads.
        """
        now_s = self._clock()
        with self._database.writing() as session:
            row = session.get(LeaseRow, LEADER, with_for_update=True)
            if row is not None and row.holder not in {"", holder} and row.until_s > now_s:
                raise ConflictError(
                    f"expected no other server on this database, received {row.holder}, which leads the cluster: stop "
                    f"it, or wait {row.until_s - now_s:.0f} s if it is gone"
                )
            return _granted(session, row, Lease(LEADER, holder, 0, now_s + lease_s), now_s)

    def keep_leading(self, leader: Lease, lease_s: float, holders: Sequence[str], holder_s: float) -> None:
        """Renews the lease of the leading server and those of the given holders.

        Args:
            leader: from `lead`.
            lease_s: duration of the leader's lease from now.
            holders: holders whose leases are renewed.
            holder_s: duration of their leases from now.

        Raises:
            ConflictError: another server leads.
        """
        now_s = self._clock()
        with self._database.writing() as session:
            _check(session, leader)
            session.execute(update(LeaseRow).where(LeaseRow.name == LEADER).values(until_s=now_s + lease_s))
            if holders:
                renewed = update(LeaseRow).where(LeaseRow.holder.in_(holders), LeaseRow.name != LEADER)
                session.execute(renewed.values(until_s=now_s + holder_s))

    def grant(self, leader: Lease, holders: Mapping[str, str], lease_s: float) -> dict[str, Lease]:
        """Grants cameras to holders, whoever had them; the caller ensures that nobody watches them any more.

        Args:
            leader: from `lead`.
            holders: holder by camera name.
            lease_s: duration from now.

        Returns:
            The leases by camera name.

        Raises:
            ConflictError: another server leads.
        """
        now_s = self._clock()
        with self._database.writing() as session:
            _check(session, leader)
            rows = {row.name: row for row in session.scalars(select(LeaseRow).where(LeaseRow.name.in_(holders)))}
            return {
                name: _granted(session, rows.get(name), Lease(name, holder, 0, now_s + lease_s), now_s)
                for name, holder in holders.items()
            }

    def give_back(self, leader: Lease, names: Sequence[str]) -> None:
        """Releases these leases; their numbers are kept.

        Raises:
            ConflictError: another server leads.
        """
        with self._database.writing() as session:
            _check(session, leader)
            session.execute(update(LeaseRow).where(LeaseRow.name.in_(names)).values(holder="", until_s=0.0))

    def held(self) -> dict[str, Lease]:
        """Held camera leases, by name."""
        query = select(LeaseRow).where(LeaseRow.holder != "", LeaseRow.name != LEADER)
        with self._database.reading() as session:
            return {row.name: _value(row) for row in session.scalars(query)}

    def leader(self) -> Lease | None:
        """Lease of the leading server; None if there is none."""
        with self._database.reading() as session:
            row = session.get(LeaseRow, LEADER)
            return None if row is None or not row.holder else _value(row)

    def drained(self) -> frozenset[str]:
        """Names of the nodes that must not watch cameras."""
        with self._database.reading() as session:
            return frozenset(session.scalars(select(DrainedNodeRow.name)))

    def drain(self, node: str, *, drained: bool) -> None:
        """Marks a node as drained, so that it watches no cameras, or removes the mark."""
        with self._database.writing() as session:
            session.execute(delete(DrainedNodeRow).where(DrainedNodeRow.name == node))
            if drained:
                session.add(DrainedNodeRow(name=node, since_s=self._clock()))


def _granted(session: Session, row: LeaseRow | None, wanted: Lease, now_s: float) -> Lease:
    """The row of a lease with its next number."""
    if row is None:
        row = LeaseRow(name=wanted.name, number=0)
        session.add(row)
    row.holder, row.number, row.granted_s, row.until_s = wanted.holder, row.number + 1, now_s, wanted.until_s
    return _value(row)


def _check(session: Session, leader: Lease) -> None:
    """Locks the row until the end of the transaction, so that nobody else becomes the leader meanwhile."""
    row = session.get(LeaseRow, LEADER, with_for_update=True)
    if row is None or row.number != leader.number:
        holder = "another one" if row is None else row.holder
        raise ConflictError(f"expected this server to lead the cluster, received {holder}: it was replaced")


def _value(row: LeaseRow) -> Lease:
    return Lease(row.name, row.holder, row.number, row.until_s)
