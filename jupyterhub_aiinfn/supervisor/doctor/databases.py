"""The databases of hub and service: readable, whole, and of which version."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .findings import Finding, Patient, broken, ok

SECONDS = 5.0


@dataclass(frozen=True)
class DatabaseState:
    """What can be said about a database without showing what is in it."""

    trouble: str = ""
    version: str = ""
    """Of the schema."""
    rows: dict[str, int] = field(default_factory=dict)
    """Rows of each table."""


def databases(patient: Patient) -> Iterator[Finding]:
    """Both, as far as they are there."""
    for name, file in files_of(patient).items():
        if not file.exists() and not file.is_symlink():
            yield ok(name, f"{file} is not there yet; the first start makes it")
            continue
        found = look(file)
        if found.trouble:
            remedy = "stop the platform and restore the file from a backup"
            yield broken(name, f"{file} cannot be used: {found.trouble}", remedy)
        else:
            rows = sum(found.rows.values())
            yield ok(name, f"{file} is whole: version {found.version or 'unknown'}, {rows} rows")


def files_of(patient: Patient) -> dict[str, Path]:
    """Name and file of each."""
    state = patient.state
    return {
        "database of the hub": state.hub / "jupyterhub.sqlite",
        "database of the service": state.service / "service.sqlite",
    }


def look(file: Path) -> DatabaseState:
    """Read-only; a database that is in use stays in use."""
    if file.is_symlink() or not file.is_file():
        return DatabaseState("it is not a regular file")
    try:
        address = f"{file.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=SECONDS)) as connection:
            return _look(connection)
    except sqlite3.Error as error:
        return DatabaseState(str(error))


def _look(connection: sqlite3.Connection) -> DatabaseState:
    whole = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if whole != "ok":
        return DatabaseState(str(whole)[:200])
    tables = [str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = {table: _count(connection, table) for table in sorted(tables) if not table.startswith("sqlite_")}
    version = ""
    if "alembic_version" in tables:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        version = str(found[0]) if found else ""
    return DatabaseState(version=version, rows=rows)


def _count(connection: sqlite3.Connection, table: str) -> int:
    quoted = table.replace('"', '""')
    # The name is one that the database itself gave, and is quoted.
    return int(connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0])  # noqa: S608
