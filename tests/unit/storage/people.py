"""People in real sandboxes of one installation, without hub and service."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.api.workloads import Phase, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.values.document import Values

VALUES: dict[str, Any] = {
    "version": 1,
    "site": {"name": "Test"},
    "images": {"python": {"name": "Python", "folder": "images/python"}},
    "projects": {
        "flash-sim": {"groups": ["flash"], "storage_gib": 0.01},
        "quantum-lab": {"groups": ["quantum"]},
        "personal": {"personal": True},
    },
    "profiles": {
        "python": {"name": "P", "image": "python", "sizes": {"s": {"cores": 1, "memory_gib": 1}}, "max": "1h"}
    },
    "storage": {"public": {"writers": ["flash"]}, "home": {"quota_gib": 0.02}},
}


def installation(root: Path, values: dict[str, Any] | None = None) -> LocalBackend:
    """A backend on a fresh state folder."""
    state = StateFolder(root)
    state.prepare()
    return LocalBackend(Values.model_validate(values or VALUES, strict=False), state)


async def run(
    backend: LocalBackend,
    person: str,
    script: str,
    *,
    projects: tuple[str, ...] = (),
    public: bool = True,
    writes_public: bool = False,
    program: str = "/bin/bash",
) -> str:
    """What a script of the person printed, standard error included, in a sandbox with those folders."""
    spec = WorkloadSpec(
        kind=WorkloadKind.session,
        name="test",
        command=(program, "-c", script),
        cores=1,
        memory_gib=1,
        person=person,
        project=projects[0] if projects else None,
        folders=projects,
        public=public,
        writes_public=writes_public,
    )
    workload = await backend.start(spec)
    async with asyncio.timeout(60):
        while (await backend.workload(workload.id)).phase is not Phase.ended:
            await asyncio.sleep(0.02)
    return await backend.log(workload.id, 10_000)
