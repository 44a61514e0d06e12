"""An own uid for each person, allotted once and never given to another name."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyterhub_aiinfn.errors import BackendError

from .state import StateFolder, read_json, write_file

FIRST, LAST = 210_000, 259_999
"""Above the uids of people and of systemd's dynamic users, below those of containers; arbitrary within that."""


def uid_of(state: StateFolder, person: str) -> int:
    """The uid of a person; the first call allots it. Blocking."""
    file = state.root / "uids.json"
    known = read_json(file) or {}
    if person in known:
        return int(known[person])
    with locked(state.root / "uids.lock"):
        known = read_json(file)
        if known is None and file.exists():
            raise BackendError(f"{file} cannot be read; restore it from a backup: homes belong to the uids it lists")
        allotted = dict(known or {})
        uid = allotted.setdefault(person, max([FIRST - 1, *allotted.values()]) + 1)
        if uid > LAST:
            raise BackendError(f"no uid is left for {person}: {file} has allotted all of {FIRST} to {LAST}")
        write_file(file, json.dumps(allotted, indent=1).encode())
        return int(uid)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that other processes and other threads respect."""
    with path.open("a") as stream:
        path.chmod(0o600)
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
