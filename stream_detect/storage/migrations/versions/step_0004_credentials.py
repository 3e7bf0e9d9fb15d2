"""Content Credentials of analysed files."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; analyses that are there already have none."""
    op.add_column("analyses", sa.Column("credentials", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("analyses", "credentials")
