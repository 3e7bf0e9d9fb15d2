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
    """Somebody looked whether a person is real: a live check, or a challenge before a camera.

    Args:
        id: 32 hexadecimal digits; sorts by time (UUID version 7).
        camera: its name; None: a live check.
        who: name of the user who began it; empty where nobody signs in.
        began_s: wall clock, unix seconds: the client's video came, or the challenge began.
        ended_s: the client left, or the challenge ended.
        source_label: the name that the client's system gives its camera; empty where it gave none.
        virtual_camera: the program that makes the picture, by that name; empty where it names none. A hint.
        state: the stream's newest verdict; None: nothing was analysed.
        reason: of that verdict, in a sentence.
        fake_probability: of that verdict, in [0, 1]; None without enough evidence.
        judge: the model that judged.
        challenges: those that ended, the oldest first; the newest `challenge_control.MAX_ENDED` of a live check.
        challenges_ended: how many there were.
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
    """All records of checks.

    Args:
        database: theirs.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: CheckRecord) -> None:
        """Writes a check that has ended, and its entry in the chain, in one transaction.

        Raises:
            ConflictError: the id is taken.
        """
        with self._database.writing() as session:
            row = _row(record)
            session.add(row)
            chain.append(session, [(record.id, "check", chain.digest_of(row))])

    def get(self, check_id: str) -> CheckRecord:
        """One check.

        Raises:
            NotFoundError: no such check.
        """
        with self._database.reading() as session:
            return _value(_found(session, check_id))

    def page(self, camera: str | None = None, cursor: str | None = None, limit: int = 50) -> Page[CheckRecord]:
        """Checks, the newest beginning first.

        Args:
            camera: name; None for all, live checks among them.
            cursor: `next` of the page before; None for the first.
            limit: 1 to 500.

        Raises:
            RequestError: cursor or limit is not usable.
        """
        query = select(CheckRow)
        if camera is not None:
            query = query.where(CheckRow.camera == camera)
        return read_page(self._database, query, (CheckRow.began_s, CheckRow.id), _value, cursor=cursor, limit=limit)

    def delete(self, check_id: str) -> None:
        """Forgets one; the chain says that it was deleted.

        Raises:
            NotFoundError: no such check.
        """
        with self._database.writing() as session:
            _delete(session, [_found(session, check_id).id])

    def expire(self, before_s: float) -> None:
        """Forgets those that ended before then, some at a time."""
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
        raise NotFoundError("expected the id of a check, received one that is not here; it may have been deleted")
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
