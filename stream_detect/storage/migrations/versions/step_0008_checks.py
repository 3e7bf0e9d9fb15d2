"""Records of live checks and of challenges."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Creates the table."""
    op.create_table(
        "checks",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("camera", sa.String(40), nullable=True),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("began_s", sa.Double(), nullable=False),
        sa.Column("ended_s", sa.Double(), nullable=False),
        sa.Column("source_label", sa.String(128), nullable=False),
        sa.Column("virtual_camera", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("fake_probability", sa.Double(), nullable=True),
        sa.Column("judge", sa.JSON(), nullable=True),
        sa.Column("challenges", sa.JSON(), nullable=False),
        sa.Column("challenges_ended", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_checks"),
    )
    op.create_index("ix_checks_began_s_id", "checks", ["began_s", "id"])
    op.create_index("ix_checks_camera_began_s_id", "checks", ["camera", "began_s", "id"])


def downgrade() -> None:
    """Drops the table."""
    op.drop_table("checks")
