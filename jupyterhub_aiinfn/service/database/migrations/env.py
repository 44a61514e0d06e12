"""What Alembic runs for each command: the connection comes from ``migrate.py``."""

from __future__ import annotations

from alembic import context

from jupyterhub_aiinfn.service.database.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
