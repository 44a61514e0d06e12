"""Workloads that are to end: at the end of the platform, and those that a killed supervisor left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyterhub_aiinfn.backends.local.installation import Installation
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.values import Values

if TYPE_CHECKING:
    from jupyterhub_aiinfn.backends.local.backend import LocalBackend


def local_backend(installation: Installation, values: Values) -> LocalBackend:
    """The backend of an installation. Imported here: it is not needed to start the processes."""
    from jupyterhub_aiinfn.backends.local.backend import LocalBackend

    return LocalBackend(values, installation.state)


def has_leftovers(state: StateFolder) -> bool:
    """Whether a workload has no record of its end; a look at folders, quick enough for every start."""
    try:
        return any(not (folder / "ended").exists() for folder in state.workloads.iterdir() if folder.is_dir())
    except FileNotFoundError:
        return False


async def end_workloads(installation: Installation, values: Values, grace_seconds: float) -> int:
    """End every live workload, politely for so many seconds and then hard; how many there were."""
    backend = local_backend(installation, values)
    await backend.sweep()
    return len(await backend.end_all("the platform was stopped", grace_seconds))
