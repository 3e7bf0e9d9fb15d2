"""Content Credentials of analysed files."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds the column; existing analyses have none."""
    op.add_column("analyses", sa.Column("credentials", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Drops the column."""
    op.drop_column("analyses", "credentials")
