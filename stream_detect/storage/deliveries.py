"""The outbox of webhooks: messages to be delivered, stored with their events and kept over restarts."""

import math
from collections.abc import Iterable

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from stream_detect.storage.database import Database
from stream_detect.storage.records import Delivery
from stream_detect.storage.tables import DeliveryRow


def put_all(session: Session, deliveries: Iterable[Delivery]) -> None:
    """Inserts deliveries in the caller's transaction: an event and its messages are written together or not at all."""
    session.add_all(
        DeliveryRow(
            id=delivery.id,
            webhook=delivery.webhook,
            event_id=delivery.event_id,
            body=delivery.body,
            attempts=delivery.attempts,
            due_s=delivery.due_s,
            problem=delivery.problem,
        )
        for delivery in deliveries
    )


class Deliveries:
    """The table of waiting deliveries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, delivery: Delivery) -> None:
        """Keeps a delivery until `done`.

        Raises:
            ConflictError: the id exists already.
        """
        with self._database.writing() as session:
            put_all(session, [delivery])

    def may_expire(self) -> bool:
        """Whether old deliveries may be given up now; False after the clock jumped."""
        return self._database.may_delete()

    def due(
        self, now_s: float, limit: int = 50, webhook: str | None = None, longest_wait_s: float = math.inf
    ) -> list[Delivery]:
        """Deliveries that are due, the longest due first.

        Args:
            now_s: wall clock, unix seconds.
            limit: maximum number.
            webhook: name of a webhook; None for all.
            longest_wait_s: what is due later than in this time is due now: the clock has been set back since.
        """
        first = (DeliveryRow.due_s, DeliveryRow.id)
        is_due = or_(DeliveryRow.due_s <= now_s, DeliveryRow.due_s > now_s + longest_wait_s)
        query = select(DeliveryRow).where(is_due).order_by(*first).limit(limit)
        if webhook is not None:
            query = query.where(DeliveryRow.webhook == webhook)
        with self._database.reading() as session:
            return [_value(row) for row in session.scalars(query)]

    def failed(self, delivery_id: str, due_s: float, problem: str) -> None:
        """Records a failed attempt; the next one is due at `due_s`. Does nothing if the delivery no longer waits."""
        with self._database.writing() as session:
            session.execute(
                update(DeliveryRow)
                .where(DeliveryRow.id == delivery_id)
                .values(attempts=DeliveryRow.attempts + 1, due_s=due_s, problem=problem)
            )

    def done(self, delivery_id: str) -> None:
        """Removes a delivery that arrived or was given up, if it still waits."""
        with self._database.writing() as session:
            session.execute(delete(DeliveryRow).where(DeliveryRow.id == delivery_id))

    def waiting(self, webhook: str) -> int:
        """Number of deliveries that wait for this webhook."""
        query = select(func.count()).select_from(DeliveryRow).where(DeliveryRow.webhook == webhook)
        with self._database.reading() as session:
            return session.scalar(query) or 0


def _value(row: DeliveryRow) -> Delivery:
    return Delivery(
        id=row.id,
        webhook=row.webhook,
        event_id=row.event_id,
        body=row.body,
        attempts=row.attempts,
        due_s=row.due_s,
        problem=row.problem,
    )
