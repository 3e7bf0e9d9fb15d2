"""Analyses of uploads and their annotated videos in the database: add, change, find, list and delete them.

A change of state names the states that it may start from, because the thread of a job and a cancellation can coincide.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, cast

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from stream_detect.errors import NotFoundError
from stream_detect.media.credentials import Credentials
from stream_detect.storage.database import Database
from stream_detect.storage.paging import read_page
from stream_detect.storage.records import (
    ENDED_STATES,
    Analysis,
    AnalysisState,
    Annotation,
    AnnotationState,
    Page,
    Upload,
)
from stream_detect.storage.tables import AnalysisRow, AnnotationRow

_UPLOAD = tuple(field.name for field in fields(Upload))
_OWN = tuple(field.name for field in fields(Analysis) if field.name not in {"upload", "models", "credentials"})


class Analyses:
    """The table of analyses.

    Args:
        database: the database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def may_expire(self) -> bool:
        """Whether old entries may be deleted now; False after the clock jumped."""
        return self._database.may_delete()

    def put(self, analyses: Sequence[Analysis]) -> None:
        """Inserts analyses, all or none.

        Raises:
            ConflictError: an id exists already.
        """
        with self._database.writing() as session:
            session.add_all([AnalysisRow(id=analysis.id, **_columns(analysis)) for analysis in analyses])

    def change(self, analysis: Analysis, expected: Collection[AnalysisState]) -> bool:
        """Updates an analysis if it is in one of the expected states.

        Returns:
            False if it is in another state, or deleted: then nothing is written.
        """
        query = update(AnalysisRow).where(AnalysisRow.id == analysis.id, AnalysisRow.state.in_(expected))
        with self._database.writing() as session:
            return session.execute(query.values(**_columns(analysis)).returning(AnalysisRow.id)).first() is not None

    def get(self, analysis_id: str) -> Analysis:
        """Returns an analysis.

        Raises:
            NotFoundError: there is no such analysis.
        """
        with self._database.reading() as session:
            return _value(_found(session, analysis_id))

    def ids(self) -> set[str]:
        """Ids of all analyses."""
        with self._database.reading() as session:
            return set(session.scalars(select(AnalysisRow.id)))

    def keeping_files(self) -> set[str]:
        """Ids of the analyses that have files: finished or unfinished ones."""
        query = select(AnalysisRow.id).where(AnalysisRow.state.not_in(("failed", "cancelled")))
        with self._database.reading() as session:
            return set(session.scalars(query))

    def page(
        self, search: str = "", state: AnalysisState | None = None, cursor: str | None = None, limit: int = 50
    ) -> Page[Analysis]:
        """Returns a page of analyses, newest first.

        Args:
            search: part of the file name, ignoring case; empty for all.
            state: only analyses in this state; None for all.
            cursor: `next` of the previous page; None for the first.
            limit: 1 to 500.

        Raises:
            RequestError: cursor or limit is invalid.
        """
        query = select(AnalysisRow).where(*_conditions(search, state))
        return read_page(
            self._database, query, (AnalysisRow.created_s, AnalysisRow.id), _value, cursor=cursor, limit=limit
        )

    def unfinished(self) -> list[Analysis]:
        """Unfinished analyses, oldest first, which a start resumes."""
        query = select(AnalysisRow).where(AnalysisRow.state.not_in(ENDED_STATES))
        with self._database.reading() as session:
            return [_value(row) for row in session.scalars(query.order_by(AnalysisRow.created_s, AnalysisRow.id))]

    def find_same(self, sha256: str, models: Sequence[tuple[str, str]], rate_hz: float) -> Analysis | None:
        """The newest finished analysis of the same bytes by the same models at the same rate."""
        wanted = [list(model) for model in models]
        query = select(AnalysisRow).where(
            AnalysisRow.sha256 == sha256, AnalysisRow.state == "done", AnalysisRow.rate_hz == rate_hz
        )
        with self._database.reading() as session:
            rows = session.scalars(query.order_by(AnalysisRow.created_s.desc(), AnalysisRow.id.desc()))
            return next((_value(row) for row in rows if row.models == wanted), None)

    def delete(self, analysis_id: str) -> Analysis:
        """Deletes an analysis; others that share its results keep them.

        Raises:
            NotFoundError: there is no such analysis.
        """
        with self._database.writing() as session:
            gone = _value(_found(session, analysis_id, locked=True))  # no annotated video is inserted meanwhile
            session.execute(update(AnalysisRow).where(AnalysisRow.same_as == analysis_id).values(same_as=""))
            session.execute(delete(AnnotationRow).where(AnnotationRow.analysis_id == analysis_id))
            session.execute(delete(AnalysisRow).where(AnalysisRow.id == analysis_id))
            return gone

    def old(self, before_s: float, limit: int = 100) -> list[str]:
        """Ids of analyses that ended before that time, oldest first."""
        query = select(AnalysisRow.id).where(AnalysisRow.ended_s < before_s, AnalysisRow.state.in_(ENDED_STATES))
        with self._database.reading() as session:
            return list(session.scalars(query.order_by(AnalysisRow.created_s, AnalysisRow.id).limit(limit)))

    def kept_bytes(self) -> int:
        """Total size of the files of all analyses."""
        with self._database.reading() as session:
            return int(session.scalar(select(func.coalesce(func.sum(AnalysisRow.kept_bytes), 0))) or 0)

    def counts(self) -> Mapping[str, int]:
        """Number of analyses in each state."""
        query = select(AnalysisRow.state, func.count()).group_by(AnalysisRow.state)
        with self._database.reading() as session:
            return dict(session.execute(query).tuples().all())

    def put_annotation(self, annotation: Annotation, more_bytes: int = 0) -> bool:
        """Inserts or updates an annotated video.

        Args:
            annotation: the annotated video.
            more_bytes: size of its new file, added to that of its analysis in the same transaction.

        Returns:
            False if its analysis is deleted: then nothing is written.
        """
        with self._database.writing() as session:
            analysis = session.get(AnalysisRow, annotation.analysis_id, with_for_update=True)
            if analysis is None:
                return False
            analysis.kept_bytes += more_bytes
            session.merge(AnnotationRow(**asdict(annotation)))
            return True

    def annotation(self, analysis_id: str, model: str) -> Annotation | None:
        """The annotated video of a model; None if it was not requested."""
        with self._database.reading() as session:
            row = session.get(AnnotationRow, (analysis_id, model))
            return None if row is None else _annotation(row)

    def unfinished_annotations(self) -> list[Annotation]:
        """Unfinished annotated videos, oldest first."""
        query = select(AnnotationRow).where(AnnotationRow.state.in_(("queued", "running")))
        with self._database.reading() as session:
            return [_annotation(row) for row in session.scalars(query.order_by(AnnotationRow.created_s))]


def _conditions(search: str, state: AnalysisState | None) -> Iterable[ColumnElement[bool]]:
    if search:
        yield AnalysisRow.name_folded.contains(_folded(search), autoescape=True)
    if state is not None:
        yield AnalysisRow.state == state


def _folded(name: str) -> str:
    return name.replace("\0", "").casefold()


def _found(session: Session, analysis_id: str, *, locked: bool = False) -> AnalysisRow:
    is_id = analysis_id.isascii() and "\0" not in analysis_id
    row = session.get(AnalysisRow, analysis_id, with_for_update=locked) if is_id else None
    if row is None:
        raise NotFoundError("expected the id of an analysis, received an unknown id; it may have been deleted")
    return row


def _columns(analysis: Analysis) -> dict[str, Any]:
    values = {name: getattr(analysis, name) for name in _OWN if name != "id"}
    values |= {name: getattr(analysis.upload, name) for name in _UPLOAD}
    return values | {
        "models": [list(model) for model in analysis.models],
        "name_folded": _folded(analysis.upload.name),
        "credentials": None if analysis.credentials is None else analysis.credentials.as_json(),
    }


def _value(row: AnalysisRow) -> Analysis:
    return Analysis(
        upload=Upload(**{name: getattr(row, name) for name in _UPLOAD}),
        models=tuple((name, sha256) for name, sha256 in row.models),
        credentials=None if row.credentials is None else Credentials.of(row.credentials),
        **{name: getattr(row, name) for name in _OWN},
    )


def _annotation(row: AnnotationRow) -> Annotation:
    return Annotation(
        row.analysis_id,
        row.model,
        cast("AnnotationState", row.state),
        row.created_s,
        row.done_share,
        row.problem,
        row.attempts,
    )
