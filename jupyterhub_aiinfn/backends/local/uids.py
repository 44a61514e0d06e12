"""An own uid for each person, allotted once and never given to another name."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyterhub_aiinfn.errors import BackendError

from .state import StateFolder, read_json, write_file

FIRST, LAST = 65_600, 99_999
"""Above the uids of people, of systemd's dynamic users and nobody (to 65535), below those that ``/etc/subuid`` gives to
containers (from SUB_UID_MIN, 100000, on): otherwise a session and a container of somebody could be one user."""


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
        # Earlier versions allotted uids above the range: whoever has one keeps it, because homes belong to it.
        in_range = [uid for uid in allotted.values() if FIRST <= uid <= LAST]
        uid = allotted.setdefault(person, max([FIRST - 1, *in_range]) + 1)
        if person not in (known or {}) and uid > LAST:
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
