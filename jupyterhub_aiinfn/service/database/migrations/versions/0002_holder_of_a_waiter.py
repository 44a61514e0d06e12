"""Who asked for a start that waits: an administrator may ask for another person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this version: so far everybody asked for themselves."""
    op.add_column("waiters", sa.Column("holder", sa.String(255), nullable=False, server_default=""))
    op.execute("UPDATE waiters SET holder = person")
    with op.batch_alter_table("waiters") as table:
        table.alter_column("holder", server_default=None)
        table.create_index("ix_waiters_holder", ["holder"])


def downgrade() -> None:
    """Back from this version."""
    with op.batch_alter_table("waiters") as table:
        table.drop_index("ix_waiters_holder")
        table.drop_column("holder")
