"""Browser sessions and starts that wait for an environment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this version."""
    op.create_table(
        "browser_sessions",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("person", sa.String(255), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("hub_session", sa.String(255), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_browser_sessions"),
    )
    op.create_index("ix_browser_sessions_person", "browser_sessions", ["person"])
    op.create_index("ix_browser_sessions_expires_at", "browser_sessions", ["expires_at"])
    op.create_table(
        "waiters",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("ticket", sa.String(128), nullable=False),
        sa.Column("person", sa.String(255), nullable=False),
        sa.Column("server_name", sa.String(255), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("image", sa.String(63), nullable=False),
        sa.Column("job", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.Integer(), nullable=False),
        sa.Column("claimed_at", sa.Integer(), nullable=True),
        sa.Column("finished_at", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_waiters"),
        sa.UniqueConstraint("ticket", name="uq_waiters_ticket"),
    )
    for column in ("person", "job", "state"):
        op.create_index(f"ix_waiters_{column}", "waiters", [column])


def downgrade() -> None:
    """Back from this version."""
    op.drop_table("waiters")
    op.drop_table("browser_sessions")
