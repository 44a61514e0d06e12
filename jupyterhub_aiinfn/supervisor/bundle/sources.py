"""What an installation knows that must not leave it: its secrets, and the names of its people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.backends.local.records import Records
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.errors import AiinfnError
from jupyterhub_aiinfn.supervisor.known_values import known_values
from jupyterhub_aiinfn.values import Values

from .reading import MAX_SECRET, names_or_note, read_or_note

MAX_PEOPLE_FILE = 16 << 20
MAX_LOGS = 20


def known_secrets(folder: StateFolder, notes: list[str]) -> set[str]:
    """Every secret of the state folder as it is, first passwords, and password hashes. What cannot be read is noted."""
    found: set[str] = set()
    for place in (folder.secrets, folder.passwords):
        for name in names_or_note(place, notes):
            text = read_or_note(place, name, MAX_SECRET, notes).decode(errors="replace")
            found |= {text.strip(), *(line.strip() for line in text.splitlines())}
    for record in _people(folder, notes).values():
        found |= {str(record["hash"])} if isinstance(record, dict) and "hash" in record else set()
    return found - {""}


def known_names(folder: StateFolder, values: Path | None) -> set[str]:
    """Login names: of the values, of those added by hand, of whoever has a home or a workload."""
    notes: list[str] = []
    known = _values(folder, values)
    pattern = known.storage.home.path if known else "user-{name}"
    before, _, after = pattern.partition("{name}")
    names = {home.removeprefix(before).removesuffix(after) for home in names_or_note(folder.homes, notes)}
    names |= set(_people(folder, notes))
    if known is not None:
        names |= set(known.identity.users)
        names |= {leader for project in known.projects.values() for leader in project.leaders}
    return names | _of_workloads(folder)


def logs(folder: StateFolder, notes: list[str]) -> list[str]:
    """Names of the logs of hub, proxy and service."""
    found = [name for name in names_or_note(folder.logs, notes) if name.endswith((".log", ".log.1"))]
    return found[:MAX_LOGS]


def _values(folder: StateFolder, values: Path | None) -> Values | None:
    try:
        return known_values(values, folder).values
    except (AiinfnError, OSError):
        return None


def _of_workloads(folder: StateFolder) -> set[str]:
    try:
        return {one.person for one in Records(folder.workloads).all() if one.person}
    except OSError:
        return set()


def _people(folder: StateFolder, notes: list[str]) -> dict[str, Any]:
    data = read_or_note(folder.root, folder.people.name, MAX_PEOPLE_FILE, notes)
    try:
        found = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
