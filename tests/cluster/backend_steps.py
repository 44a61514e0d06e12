"""What the tests of the backend do again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from jupyterhub_aiinfn.api.workloads import JobClass, Phase, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.backends.kubernetes.backend import KubernetesBackend


def shell(script: str, **fields: Any) -> WorkloadSpec:
    given = {"kind": WorkloadKind.session, "name": "test", "cores": 0.05, "memory_gib": 0.03, "person": "alice"}
    given |= {"image": "python", "project": "quantum-lab", "profile": "python", "server_name": ""}
    return WorkloadSpec(command=("/bin/sh", "-c", script), **{**given, **fields})


def job(script: str, job_class: JobClass = JobClass.platform, **fields: Any) -> WorkloadSpec:
    given = {"kind": WorkloadKind.job, "job_class": job_class, "person": None, "server_name": None, "grace_seconds": 1}
    return shell(script, **{**given, **fields})


async def until(
    backend: KubernetesBackend, workload_id: str, holds: Callable[[Workload], object], seconds: float = 90
) -> Workload:
    try:
        async with asyncio.timeout(seconds):
            while (found := known(backend, workload_id)) is None or not holds(found):
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"not as wanted: {known(backend, workload_id)!r}")
    return found


def known(backend: KubernetesBackend, workload_id: str) -> Workload | None:
    return backend.watched.known.get(workload_id)


def runs(workload: Workload) -> bool:
    return workload.phase is Phase.running


def has_ended(workload: Workload) -> bool:
    return workload.phase is Phase.ended


async def logged(backend: KubernetesBackend, workload_id: str, text: str) -> None:
    async with asyncio.timeout(60):
        while text not in await backend.log(workload_id):
            await asyncio.sleep(0.1)


TRAP = "trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done"


async def end_all(backend: KubernetesBackend) -> None:
    """End what lives, all at once, and let what has ended go."""
    live = [one.id for one in await backend.workloads() if one.phase is not Phase.ended]
    await asyncio.gather(*(backend.stop(one, grace_seconds=1) for one in live))
    for one in await backend.workloads():
        await backend.acknowledge_end(one.id)


async def record(backend: KubernetesBackend, seen: list[tuple[str, Phase]]) -> None:
    """Write down all that a watch tells."""
    async for one in backend.watch():
        seen.append((one.id, one.phase))


async def devices(backend: KubernetesBackend, total: int, used: int) -> Any:
    try:
        async with asyncio.timeout(60):
            while True:
                found = (await backend.availability()).devices["board"]
                if (found.total, found.used) == (total, used):
                    return found
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"not {total} and {used}: {found!r}")
