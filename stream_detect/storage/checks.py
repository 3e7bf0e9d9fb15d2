"""Records of checks: who looked whether a person is real, when, and what came out. No picture and no face is kept."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from stream_detect.challenge_record import ChallengeRecord
from stream_detect.errors import NotFoundError
from stream_detect.storage import chain
from stream_detect.storage.database import Database
from stream_detect.storage.events import EXPIRE_AT_ONCE
from stream_detect.storage.paging import read_page
from stream_detect.storage.records import Judge, Page
from stream_detect.storage.tables import CheckRow
from stream_detect.types import VerdictState


@dataclass(frozen=True, slots=True)
class CheckRecord:
    """Record of a check whether a person is real: a live check, or a challenge in front of a camera.

    Args:
        id: 32 hexadecimal digits; sorts by time (UUID version 7).
        camera: name of the camera; None for a live check.
        who: name of the user who started it; empty if nobody signs in.
        began_s: unix seconds at which the client's video arrived, or the challenge started.
        ended_s: unix seconds at which the client left, or the challenge ended.
        source_label: the camera's name on the client's system; empty if unknown.
        virtual_camera: the program that makes the video, guessed from that name; empty if it names none. A hint.
        state: the newest verdict of the stream; None if there was none.
        reason: reason for that verdict, a sentence; without one what went wrong, or empty if nothing was analysed.
        fake_probability: that of the verdict, in [0, 1]; None without enough evidence.
        judge: the model.
        challenges: ended challenges, oldest first; of a live check the newest `challenge_control.MAX_ENDED`.
        challenges_ended: number of challenges that ended.
    """

    id: str
    camera: str | None
    who: str
    began_s: float
    ended_s: float
    source_label: str = ""
    virtual_camera: str = ""
    state: VerdictState | None = None
    reason: str = ""
    fake_probability: float | None = None
    judge: Judge | None = None
    challenges: tuple[ChallengeRecord, ...] = ()
    challenges_ended: int = 0


class Checks:
    """The table of checks.

    Args:
        database: the database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: CheckRecord) -> None:
        """Inserts an ended check and its chain entry in one transaction.

        Raises:
            ConflictError: the id exists already.
        """
        with self._database.writing() as session:
            row = _row(record)
            session.add(row)
            chain.append(session, [(record.id, "check", chain.digest_of(row))])

    def get(self, check_id: str) -> CheckRecord:
        """Returns a check.

        Raises:
            NotFoundError: there is no such check.
        """
        with self._database.reading() as session:
            return _value(_found(session, check_id))

    def page(self, camera: str | None = None, cursor: str | None = None, limit: int = 50) -> Page[CheckRecord]:
        """Returns a page of checks, latest start first.

        Args:
            camera: name; None for all, including live checks.
            cursor: `next` of the previous page; None for the first.
            limit: 1 to 500.

        Raises:
            RequestError: cursor or limit is invalid.
        """
        query = select(CheckRow)
        if camera is not None:
            query = query.where(CheckRow.camera == camera)
        return read_page(self._database, query, (CheckRow.began_s, CheckRow.id), _value, cursor=cursor, limit=limit)

    def delete(self, check_id: str) -> None:
        """Deletes a check; the chain records the deletion.

        Raises:
            NotFoundError: there is no such check.
        """
        with self._database.writing() as session:
            _delete(session, [_found(session, check_id).id])

    def expire(self, before_s: float) -> None:
        """Deletes checks that ended before that time, in batches."""
        old = select(CheckRow.id).where(CheckRow.began_s < before_s, CheckRow.ended_s < before_s)
        old = old.order_by(CheckRow.began_s, CheckRow.id).limit(EXPIRE_AT_ONCE)
        while True:
            with self._database.writing() as session:
                ids = session.scalars(old).all()
                _delete(session, ids)
            if len(ids) < EXPIRE_AT_ONCE:
                return


def _found(session: Session, check_id: str) -> CheckRow:
    row = session.get(CheckRow, check_id) if check_id.isascii() and "\0" not in check_id else None
    if row is None:
        raise NotFoundError("expected the id of a check, received an unknown id; it may have been deleted")
    return row


def _delete(session: Session, ids: Sequence[str]) -> None:
    chain.append(session, [(check_id, "deleted", "{}") for check_id in ids])
    session.execute(delete(CheckRow).where(CheckRow.id.in_(ids)), execution_options={"synchronize_session": False})


def _row(record: CheckRecord) -> CheckRow:
    return CheckRow(
        id=record.id,
        camera=record.camera,
        who=record.who,
        began_s=record.began_s,
        ended_s=record.ended_s,
        source_label=record.source_label,
        virtual_camera=record.virtual_camera,
        state=None if record.state is None else record.state.value,
        reason=record.reason,
        fake_probability=record.fake_probability,
        judge=None if record.judge is None else asdict(record.judge),
        challenges=[challenge.value() for challenge in record.challenges],
        challenges_ended=record.challenges_ended,
    )


def _value(row: CheckRow) -> CheckRecord:
    return CheckRecord(
        id=row.id,
        camera=row.camera,
        who=row.who,
        began_s=row.began_s,
        ended_s=row.ended_s,
        source_label=row.source_label,
        virtual_camera=row.virtual_camera,
        state=None if row.state is None else VerdictState(row.state),
        reason=row.reason,
        fake_probability=row.fake_probability,
        judge=None if row.judge is None else Judge(**row.judge),
        challenges=tuple(map(ChallengeRecord.of, row.challenges)),
        challenges_ended=row.challenges_ended,
    )
