"""Leases of cameras and of the leading server, and drained nodes."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Creates the tables."""
    op.create_table(
        "leases",
        sa.Column("name", sa.String(48), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("granted_s", sa.Double(), nullable=False),
        sa.Column("until_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "drained_nodes",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("since_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_drained_nodes"),
    )


def downgrade() -> None:
    """Drops the tables."""
    op.drop_table("drained_nodes")
    op.drop_table("leases")
