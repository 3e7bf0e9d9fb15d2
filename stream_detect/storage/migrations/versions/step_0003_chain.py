"""The hash chain of events."""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Creates the table; existing events are entered as older than the chain."""
    table = op.create_table(
        "event_chain",
        sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("event_id", sa.String(32), nullable=False),
        sa.Column("what", sa.String(16), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_event_chain"),
    )
    ids = [row[0] for row in op.get_bind().execute(sa.text("SELECT id FROM events ORDER BY began_s, id"))]
    previous, rows = "0" * 64, []
    for number, event_id in enumerate(ids, 1):
        parts = json.dumps([number, event_id, "before", "{}", previous], separators=(",", ":"))
        entry = {"number": number, "event_id": event_id, "what": "before", "content": "{}", "previous": previous}
        previous = entry["hash"] = hashlib.sha256(parts.encode()).hexdigest()
        rows.append(entry)
    if rows:
        op.bulk_insert(table, rows)


def downgrade() -> None:
    """Drops the table."""
    op.drop_table("event_chain")
