"""Copies of SQLite databases that are written to meanwhile."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

from jupyterhub_aiinfn.errors import BackendError, StateError

from .trees import CHUNK, Written, open_new

SECONDS = 60.0
"""How long another writer is waited for (arbitrary)."""


def copy_database(source: Path, target: Path) -> Written:
    """Copy a database in one piece with SQLite's own means, whoever writes to it; 0600. Blocking."""
    open_new(target).close()
    try:
        with (
            closing(sqlite3.connect(f"file:{quoted(source)}?mode=ro", uri=True, timeout=SECONDS)) as found,
            closing(sqlite3.connect(target, timeout=SECONDS)) as copy,
        ):
            found.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
        check_database(target)
    except sqlite3.Error as error:
        raise BackendError(f"the database {source} could not be copied: {error}; make room, or repair it") from error
    size, digest = digest_of(target)
    return Written(size, digest)


def check_database(file: Path) -> None:
    """:class:`StateError` unless the file is a whole database."""
    try:
        with closing(sqlite3.connect(f"file:{quoted(file)}?mode=ro&immutable=1", uri=True)) as database:
            answer = database.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.Error as error:
        raise StateError(f"{file} is no whole database ({error}); take another backup") from error
    if answer != ("ok",):
        raise StateError(f"{file} is no whole database ({answer}); take another backup")


def digest_of(file: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as stream:
        while data := stream.read(CHUNK):
            digest.update(data)
            size += len(data)
    return size, digest.hexdigest()


def quoted(file: Path) -> str:
    """A path as part of a file address."""
    return str(file.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
