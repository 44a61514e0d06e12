"""`aiinfn doctor`: what this machine and this installation can do, what not, and what to do about it.

Each check is a function from :class:`Patient` to findings; :data:`CHECKS` lists them. A check that fails itself is a
finding too: nothing that is broken may hide the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.backends.local.installation import default_cache
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.errors import AiinfnError
from jupyterhub_aiinfn.supervisor.known_values import known_values
from jupyterhub_aiinfn.supervisor.places import find_state
from jupyterhub_aiinfn.values import Values

from .databases import databases
from .findings import Finding, Level, Patient
from .machine import clock, enforcement, gpu_driver, programs
from .platform import ports, values_file, workload_records
from .quotas import quotas
from .state_folder import permissions, room

Check = Callable[[Patient], Iterable[Finding]]
CHECKS: tuple[Check, ...] = (
    *(values_file, programs, enforcement, quotas, gpu_driver, clock),
    *(permissions, room, ports, databases, workload_records),
)


def examine(state: Path | None, values: Path | None, port: int) -> list[Finding]:
    """Everything there is to know. Raises nothing that a check can meet."""
    folder = StateFolder(find_state(state))
    patient = Patient(folder, values, default_cache(), port, _values(values, folder))
    return [finding for check in CHECKS for finding in _carefully(check, patient)]


def exit_code(findings: Iterable[Finding]) -> int:
    """1 when something breaks the platform, else 0."""
    return int(any(finding.level is Level.broken for finding in findings))


def as_text(findings: list[Finding]) -> str:
    """One line a finding, what is broken last, where it is seen."""
    order = {Level.ok: 0, Level.warning: 1, Level.broken: 2}
    lines = [f"{one.level:<8}  {one}" for one in sorted(findings, key=lambda one: order[one.level])]
    counts = {level: sum(one.level is level for one in findings) for level in Level}
    said = f"{counts[Level.broken]} broken, {counts[Level.warning]} to know, {counts[Level.ok]} in order"
    return "\n".join([*lines, said])


def as_json(findings: list[Finding]) -> str:
    """The same for programs."""
    return json.dumps(as_data(findings), indent=1)


def as_data(findings: list[Finding]) -> dict[str, Any]:
    """The same as plain data."""
    return {"exit_code": exit_code(findings), "findings": [asdict(one) for one in findings]}


def _values(given: Path | None, folder: StateFolder) -> Values | None:
    try:
        return known_values(given, folder).values
    except (AiinfnError, OSError):
        return None  # the check of the values says why


def _carefully(check: Check, patient: Patient) -> list[Finding]:
    name = check.__name__.replace("_", " ")
    try:
        return list(check(patient))
    except PermissionError as error:
        why = f"{error.filename} is not yours to look at"
        return [Finding(name, Level.broken, why, "run this as the user who runs the platform")]
    except (AiinfnError, OSError, ValueError) as error:
        return [Finding(name, Level.broken, f"it could not be looked at: {error}")]
