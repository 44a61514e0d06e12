"""Numbers for people and shared folders, each allotted once and never given to another."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jupyterhub_aiinfn.errors import BackendError

from .state import StateFolder, read_json, write_file


@dataclass(frozen=True)
class Numbers:
    """A range of numbers and the file of the state folder that says who has which."""

    file: str
    word: str
    """What a number is called: ``uid``."""
    first: int
    last: int


UIDS = Numbers("uids.json", "uid", 65_600, 94_999)
"""Above the uids of people, of systemd's dynamic users and nobody (to 65535), below those that ``/etc/subuid`` gives to
containers (from SUB_UID_MIN, 100000, on): otherwise a session and a container of somebody could be one user."""
GIDS = Numbers("gids.json", "gid", 95_000, 99_999)
"""Groups of shared folders: above the people's own groups, which have the numbers of their uids."""
QUOTA_IDS = Numbers("quota-ids.json", "project number", 100_000, 999_999)
"""What XFS calls projects: a number for each folder with a limit."""


def uid_of(state: StateFolder, person: str) -> int:
    """The uid of a person; the first call allots it. Blocking."""
    return allotted(state, UIDS, person)


def gid_of(state: StateFolder, folder: str) -> int:
    """The gid of a shared folder: a project's key, or ``/public``. Blocking."""
    return allotted(state, GIDS, folder)


def allotted(state: StateFolder, numbers: Numbers, name: str) -> int:
    """The number of ``name``; the first call allots it. Blocking."""
    file = state.root / numbers.file
    known = read_json(file) or {}
    if name in known:
        return int(known[name])
    with locked(file.with_suffix(".lock")):
        known = read_json(file)
        if known is None and file.exists():
            raise BackendError(
                f"{file} cannot be read; restore it from a backup: folders belong to the numbers it lists"
            )
        given = dict(known or {})
        # Earlier versions allotted uids above the range: whoever has one keeps it, because homes belong to it.
        in_range = [number for number in given.values() if numbers.first <= number <= numbers.last]
        number = given.setdefault(name, max([numbers.first - 1, *in_range]) + 1)
        if name not in (known or {}) and number > numbers.last:
            raise BackendError(
                f"no {numbers.word} is left for {name}: {file} has allotted all of {numbers.first} to {numbers.last}"
            )
        write_file(file, json.dumps(given, indent=1).encode())
        return int(number)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that other processes and other threads respect."""
    with path.open("a") as stream:
        path.chmod(0o600)
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
