"""Bring a database to this program's version; refuse one of a newer program."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from jupyterhub_aiinfn.errors import StateError

FOLDER = Path(__file__).parent / "migrations"


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without a file of its own."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade(engine: Engine, path: Path) -> None:
    """Run the missing migrations in one transaction."""
    with engine.begin() as connection:
        config = alembic_config(connection)
        refuse_newer(
            MigrationContext.configure(connection).get_current_heads(), ScriptDirectory.from_config(config), path
        )
        command.upgrade(config, "head")


def refuse_newer(heads: tuple[str, ...], scripts: ScriptDirectory, path: Path) -> None:
    """:class:`StateError` when the database holds a version that this program does not know."""
    known = {script.revision for script in scripts.walk_revisions()}
    unknown = sorted(set(heads) - known)
    if unknown:
        raise StateError(
            f"the database {path} was made by a newer program (version {unknown[0]}); "
            "install that program again or restore the database from a backup"
        )
