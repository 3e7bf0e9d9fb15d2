"""Where users signed in: address and name of the browser of each session."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Adds the columns; they are empty for existing sessions."""
    op.add_column("user_sessions", sa.Column("address", sa.String(64), nullable=False, server_default=""))
    op.add_column("user_sessions", sa.Column("user_agent", sa.String(256), nullable=False, server_default=""))


def downgrade() -> None:
    """Drops the columns."""
    op.drop_column("user_sessions", "user_agent")
    op.drop_column("user_sessions", "address")
