"""What sessions were granted and warned of, what administrators say, and what they did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this version."""
    op.create_table(
        "stays",
        sa.Column("workload", sa.String(64), nullable=False),
        sa.Column("person", sa.String(255), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("extensions", sa.Integer(), nullable=False),
        sa.Column("keep_until", sa.Integer(), nullable=True),
        sa.Column("warned_at", sa.Integer(), nullable=True),
        sa.Column("stop_at", sa.Integer(), nullable=True),
        sa.Column("stop_message", sa.Text(), nullable=False),
        sa.Column("course", sa.JSON(), nullable=False),
        sa.Column("seen_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("workload", name="pk_stays"),
    )
    op.create_index("ix_stays_seen_at", "stays", ["seen_at"])
    op.create_table(
        "announcements",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("profile", sa.String(63), nullable=True),
        sa.Column("author", sa.String(255), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("until", sa.Integer(), nullable=True),
        sa.Column("withdrawn_at", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_announcements"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "acts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("who", sa.String(255), nullable=False),
        sa.Column("what", sa.String(32), nullable=False),
        sa.Column("whom", sa.String(255), nullable=False),
        sa.Column("workload", sa.String(64), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_acts"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_acts_at", "acts", ["at"])


def downgrade() -> None:
    """Back from this version."""
    for table in ("acts", "announcements", "stays"):
        op.drop_table(table)
