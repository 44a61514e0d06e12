"""What happened to workloads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this version."""
    op.create_table(
        "facts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(96), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("inferred", sa.Boolean(), nullable=False),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
        sa.Column("workload", sa.JSON(), nullable=False),
        sa.Column("taken_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_facts"),
        sa.UniqueConstraint("subject", "kind", "source", name="uq_facts_subject"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Back from this version."""
    op.drop_table("facts")
