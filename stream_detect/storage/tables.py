"""The tables, as typed declarative classes. Rows stay in this room; other rooms get the values of `records`.

A change here needs a revision in `migrations/versions`; a test compares the two.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, Double, Index, Integer, MetaData, SmallInteger, String, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""Naming convention, so that later migrations can name what they change."""

Counting = BigInteger().with_variant(Integer(), "sqlite")  # SQLite auto-increments only "INTEGER" keys


class Table(DeclarativeBase):
    """Base class of all tables."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it so
        float: Double(),
        str: Text(),
        dict[str, Any]: JSON(none_as_null=True),
        list[float]: JSON(),
        list[list[str]]: JSON(),
        list[dict[str, Any]]: JSON(),
    }


class EventRow(Table):
    """One `records.Event`."""

    __tablename__ = "events"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    camera: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(16))
    began_s: Mapped[float]
    ended_s: Mapped[float | None]
    updated_s: Mapped[float]  # last update: its end, if the process dies during the event
    reason: Mapped[str]
    interrupted: Mapped[bool]
    peak: Mapped[float | None]
    mean: Mapped[float | None]
    track: Mapped[int | None] = mapped_column(BigInteger)
    judge: Mapped[dict[str, Any] | None]
    gaps_s: Mapped[list[float]]
    picture: Mapped[str | None]
    face: Mapped[str | None]
    clip: Mapped[str | None]
    evidence_bytes: Mapped[int] = mapped_column(BigInteger)
    evidence_problem: Mapped[str | None]  # NULL: evidence is not enabled

    __table_args__ = (
        Index(None, "began_s", "id"),
        Index(None, "camera", "began_s", "id"),
        Index(None, "kind", "began_s", "id"),
        Index(
            "ix_events_open",
            "began_s",
            "id",
            sqlite_where=text("ended_s IS NULL"),
            postgresql_where=text("ended_s IS NULL"),
        ),
        Index(
            "ix_events_evidence",
            "began_s",
            "id",
            sqlite_where=text("evidence_bytes > 0"),
            postgresql_where=text("evidence_bytes > 0"),
        ),
    )


class CheckRow(Table):
    """One `checks.CheckRecord`; written once, when it ends."""

    __tablename__ = "checks"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    camera: Mapped[str | None] = mapped_column(String(40))
    who: Mapped[str] = mapped_column(String(64))
    began_s: Mapped[float]
    ended_s: Mapped[float]
    source_label: Mapped[str] = mapped_column(String(128))
    virtual_camera: Mapped[str] = mapped_column(String(32))
    state: Mapped[str | None] = mapped_column(String(16))
    reason: Mapped[str]
    fake_probability: Mapped[float | None]
    judge: Mapped[dict[str, Any] | None]
    challenges: Mapped[list[dict[str, Any]]]
    challenges_ended: Mapped[int]

    __table_args__ = (Index(None, "began_s", "id"), Index(None, "camera", "began_s", "id"))


class ChainRow(Table):
    """One `chain.Entry`."""

    __tablename__ = "event_chain"

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    event_id: Mapped[str] = mapped_column(String(32))  # or the id of a check
    what: Mapped[str] = mapped_column(String(16))
    content: Mapped[str]
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class ScoreColumns:
    """Columns of `records.Score`, for any step."""

    camera: Mapped[str] = mapped_column(String(40), primary_key=True)
    at_s: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    low: Mapped[float | None]
    mean: Mapped[float | None]
    high: Mapped[float | None]
    state: Mapped[int] = mapped_column(SmallInteger)  # index in history.STATES: the worse of two is the greater
    samples: Mapped[int] = mapped_column(BigInteger)
    scored: Mapped[int] = mapped_column(BigInteger)  # number of samples of `mean`: its weight when rows are merged


class SecondRow(ScoreColumns, Table):
    """Scores of a camera in one second."""

    __tablename__ = "score_seconds"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - rows lie in the order they are read in


class MinuteRow(ScoreColumns, Table):
    """Scores of a camera in one minute, once its seconds are old."""

    __tablename__ = "score_minutes"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - see SecondRow


class StateRow(Table):
    """One `records.StateEntry`."""

    __tablename__ = "states"

    id: Mapped[int] = mapped_column(Counting, primary_key=True, autoincrement=True)
    camera: Mapped[str] = mapped_column(String(40))
    at_s: Mapped[float]
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str]

    __table_args__ = (Index(None, "camera", "at_s", "id"),)


class DeliveryRow(Table):
    """One `records.Delivery`. No foreign key, because its event may have been deleted."""

    __tablename__ = "deliveries"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    webhook: Mapped[str] = mapped_column(Text, index=True)
    event_id: Mapped[str] = mapped_column(String(32), index=True)
    body: Mapped[str]
    attempts: Mapped[int]
    due_s: Mapped[float]
    problem: Mapped[str]

    __table_args__ = (Index(None, "due_s", "id"),)


class CameraRow(Table):
    """A camera added by the API. The settings contain its address with the password."""

    __tablename__ = "cameras"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    settings: Mapped[dict[str, Any]]


class LeaseRow(Table):
    """One `leases.Lease`: who watches a camera, or leads the cluster."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(48), primary_key=True)
    holder: Mapped[str]  # empty: given back
    number: Mapped[int] = mapped_column(BigInteger)
    granted_s: Mapped[float]
    until_s: Mapped[float]


class DrainedNodeRow(Table):
    """A node of the cluster that must not watch cameras."""

    __tablename__ = "drained_nodes"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    since_s: Mapped[float]


class AnalysisRow(Table):
    """One `records.Analysis`."""

    __tablename__ = "analyses"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    name: Mapped[str]
    name_folded: Mapped[str]  # used for searching: databases fold the case of few languages
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    width_px: Mapped[int]
    height_px: Mapped[int]
    duration_s: Mapped[float]
    fps: Mapped[float]
    codec: Mapped[str]
    url: Mapped[str]
    models: Mapped[list[list[str]]]
    rate_hz: Mapped[float]
    created_s: Mapped[float]
    started_s: Mapped[float | None]
    ended_s: Mapped[float | None]
    done_share: Mapped[float]
    problem: Mapped[str]
    verdict: Mapped[str] = mapped_column(String(16))
    same_as: Mapped[str] = mapped_column(String(32))
    kept_bytes: Mapped[int] = mapped_column(BigInteger)
    attempts: Mapped[int]
    address: Mapped[str]
    credentials: Mapped[dict[str, Any] | None]

    __table_args__ = (Index(None, "created_s", "id"), Index(None, "state", "created_s", "id"))


class AnnotationRow(Table):
    """One `records.Annotation`; deleted with its analysis."""

    __tablename__ = "annotations"

    analysis_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    model: Mapped[str] = mapped_column(Text, primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    created_s: Mapped[float]
    done_share: Mapped[float]
    problem: Mapped[str]
    attempts: Mapped[int]


class UserRow(Table):
    """One `users.User`."""

    __tablename__ = "users"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str | None]  # NULL: signs in by single sign-on only
    disabled: Mapped[bool]
    created_s: Mapped[float]
    last_sign_in_s: Mapped[float | None]


class UserSessionRow(Table):
    """One `users.UserSession`; deleted with its user."""

    __tablename__ = "user_sessions"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user: Mapped[str] = mapped_column("user_name", String(64), index=True)
    began_s: Mapped[float]
    seen_s: Mapped[float]
    expires_s: Mapped[float]
    address: Mapped[str] = mapped_column(String(64), server_default="")
    user_agent: Mapped[str] = mapped_column(String(256), server_default="")


class ApiTokenRow(Table):
    """One `users.ApiToken`; deleted with its owner."""

    __tablename__ = "api_tokens"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(16))
    camera: Mapped[str | None] = mapped_column(String(40))
    owner: Mapped[str] = mapped_column(String(64), index=True)
    created_s: Mapped[float]
    expires_s: Mapped[float | None]
    last_used_s: Mapped[float | None]


class AccessVersionRow(Table):
    """Counts the changes of users, sessions and tokens in one row, so that a cache notices newer ones.

    Each change updates it first, which serialises changes on PostgreSQL too.
    """

    __tablename__ = "access_version"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(BigInteger)


class AuditRow(Table):
    """One `audit.WrittenEntry`."""

    __tablename__ = "audit_log"

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at_s: Mapped[float]
    who: Mapped[str] = mapped_column(String(64))
    by: Mapped[str] = mapped_column("by_what", String(16))  # BY is a keyword in SQL
    address: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(32))
    target: Mapped[str] = mapped_column(String(128))
    result: Mapped[str] = mapped_column(String(8))
    detail: Mapped[str]
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))

    __table_args__ = (Index(None, "who", "number"), Index(None, "action", "number"))
