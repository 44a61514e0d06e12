"""``supervisor.json``: which process supervises this state folder and where its parts listen; and its lock."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.backends.local.processes import ProcessIdentity
from jupyterhub_aiinfn.backends.local.state import StateFolder, read_json, write_file
from jupyterhub_aiinfn.errors import StateError

ROOM = 32 * 1024 * 1024
"""Bytes that must be free in the state folder's file system to start: arbitrary, some hours of logs and records."""


@dataclass(frozen=True)
class Record:
    """What the running supervisor writes about itself."""

    url: str
    """Where people go."""
    local_url: str
    """The same place as this machine reaches it."""
    hub_port: int
    proxy_api_port: int
    service_port: int
    values: str
    cache: str
    ready_file: str | None = None

    def write(self, state: StateFolder, identity: ProcessIdentity) -> None:
        """Write ``supervisor.json``, together with the identity."""
        write_file(state.supervisor, json.dumps(asdict(self) | identity.as_json()).encode())


def read_record(state: StateFolder) -> tuple[ProcessIdentity, Record] | None:
    """The process that wrote ``supervisor.json`` (it may have died since) and its record; None when there is none."""
    try:
        found = read_json(state.supervisor)
    except PermissionError as error:
        raise of_another_user(error, state.supervisor) from error
    identity = ProcessIdentity.from_json(found)
    if identity is None:
        return None
    try:
        return identity, Record(**{key: found[key] for key in Record.__dataclass_fields__})
    except KeyError:
        return None


def of_another_user(error: PermissionError, place: Path) -> StateError:
    """What to say when ``place``, or a file in it, may not be looked at."""
    return StateError(f"{error.filename or place} belongs to another user; run this command as that user")


def lock(state: StateFolder) -> int:
    """Take the lock of the state folder (held until the descriptor returned is closed), or say who has it."""
    descriptor = os.open(state.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StateError(
            f"the state folder {state.root} is in use{_by_whom(read_record(state))}; "
            f"stop that one with `aiinfn down --state {state.root}`, or choose another folder with --state"
        ) from None
    return descriptor


def is_locked(state: StateFolder) -> bool:
    """Whether a supervisor holds the lock."""
    try:
        os.close(lock(state))
    except StateError:
        return True
    return False


def check_owner(state: StateFolder) -> None:
    """Raise :class:`StateError` when the folder is another user's: what we write there, its owner could not read."""
    owner = state.root.stat().st_uid
    if owner != os.geteuid():
        raise StateError(
            f"the state folder {state.root} belongs to the user id {owner}; run this command as that user, "
            "or choose another folder with --state"
        )


def check_room(state: StateFolder) -> None:
    """Raise :class:`StateError` when the disk is full."""
    disk = os.statvfs(state.root)
    free = disk.f_bavail * disk.f_frsize
    if free < ROOM:
        raise StateError(
            f"only {free / 2**20:.0f} MiB are free for the state folder {state.root}, "
            f"{ROOM // 2**20} are needed to start; "
            "make room, or choose another folder with --state"
        )


def _by_whom(found: tuple[ProcessIdentity, Any] | None) -> str:
    return f" by process {found[0].pid} ({found[1].url})" if found else " by another process"
