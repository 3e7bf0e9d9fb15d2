"""Tables of cameras: events, scores, states, deliveries, and the cameras that were added by the API."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Creates the tables."""
    op.create_table(
        "events",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("camera", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("began_s", sa.Double(), nullable=False),
        sa.Column("ended_s", sa.Double(), nullable=True),
        sa.Column("updated_s", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("interrupted", sa.Boolean(), nullable=False),
        sa.Column("peak", sa.Double(), nullable=True),
        sa.Column("mean", sa.Double(), nullable=True),
        sa.Column("track", sa.BigInteger(), nullable=True),
        sa.Column("judge", sa.JSON(), nullable=True),
        sa.Column("gaps_s", sa.JSON(), nullable=False),
        sa.Column("picture", sa.Text(), nullable=True),
        sa.Column("face", sa.Text(), nullable=True),
        sa.Column("clip", sa.Text(), nullable=True),
        sa.Column("evidence_bytes", sa.BigInteger(), nullable=False),
        sa.Column("evidence_problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_began_s_id", "events", ["began_s", "id"])
    op.create_index("ix_events_camera_began_s_id", "events", ["camera", "began_s", "id"])
    op.create_index("ix_events_kind_began_s_id", "events", ["kind", "began_s", "id"])
    for name, rows in (("ix_events_open", "ended_s IS NULL"), ("ix_events_evidence", "evidence_bytes > 0")):
        where = sa.text(rows)
        op.create_index(name, "events", ["began_s", "id"], sqlite_where=where, postgresql_where=where)
    _create_scores("score_seconds")
    _create_scores("score_minutes")
    op.create_table(
        "states",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("camera", sa.String(40), nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_states"),
    )
    op.create_index("ix_states_camera_at_s_id", "states", ["camera", "at_s", "id"])
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("webhook", sa.Text(), nullable=False),
        sa.Column("event_id", sa.String(32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_s", sa.Double(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
    )
    op.create_index("ix_deliveries_webhook", "deliveries", ["webhook"])
    op.create_index("ix_deliveries_event_id", "deliveries", ["event_id"])
    op.create_index("ix_deliveries_due_s_id", "deliveries", ["due_s", "id"])
    op.create_table(
        "cameras",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_cameras"),
    )


def _create_scores(name: str) -> None:
    op.create_table(
        name,
        sa.Column("camera", sa.String(40), nullable=False),
        sa.Column("at_s", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("mean", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("scored", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("camera", "at_s", name=f"pk_{name}"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drops the tables."""
    for table in ("cameras", "deliveries", "states", "score_minutes", "score_seconds", "events"):
        op.drop_table(table)
