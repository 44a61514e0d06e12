"""A thousand sessions in the backend's watch: what it costs in memory and in time of the loop; KWOK runs them."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_aiinfn.api.workloads import Phase, Workload
from jupyterhub_aiinfn.backends.kubernetes import manifests
from jupyterhub_aiinfn.backends.kubernetes.backend import KubernetesBackend
from jupyterhub_aiinfn.backends.kubernetes.connection import Connection
from jupyterhub_aiinfn.backends.kubernetes.manifests import PodRequest
from tests.cluster.backend_farm import DEVICE, Farm, running_farm
from tests.cluster.backend_steps import shell
from tests.cluster.test_fake_nodes import fake_node
from tests.tools.cluster.cluster import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.root]
SESSIONS, NODES, AT_ONCE = 1000, 10, 20
Ask = Callable[[Connection, str], Awaitable[object]]


@pytest.fixture(scope="module")
def farm(own: Cluster) -> Iterator[Farm]:
    with running_farm(own.client) as found:
        nodes = [fake_node(f"{found.sessions}-{number}", found.sessions) for number in range(NODES)]
        for node in nodes:
            node["status"]["allocatable"][DEVICE] = node["status"]["capacity"][DEVICE] = str(2 * SESSIONS // NODES)
            node["spec"] = {}
        own.client.apply(*nodes)
        yield found
        own.client("delete", "nodes", "-l", f"group={found.sessions}")


class Loop:
    """Processor time that the loop used, and the most of it for which nobody else had a turn."""

    def __init__(self) -> None:
        self.longest, self.used = 0.0, 0.0

    async def tick(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0.001)
            now = time.thread_time()
            self.longest, self.used = max(self.longest, now - before), self.used + now - before
            before = now


@asynccontextmanager
async def measured(what: str) -> AsyncIterator[Loop]:
    found = Loop()
    gc.collect()
    gc.disable()  # how long its turns are depends on all that the tests of this process hold
    task = asyncio.create_task(found.tick())
    try:
        yield found
    finally:
        gc.enable()
        task.cancel()
    print(f"{what}: {found.used:.2f} s of processor time, longest turn {found.longest * 1000:.0f} ms")


async def each(farm: Farm, names: list[str], ask: Ask) -> None:
    """Ask something for each name, some at once, in a loop of its own: it is not what is measured."""
    connection, free = await Connection.open(farm.kubeconfig), asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> None:
        async with free:
            await ask(connection, name)

    await asyncio.gather(*map(one, names))
    await connection.close()


def pods_of(farm: Farm) -> dict[str, dict[str, Any]]:
    found = {}
    for number in range(SESSIONS):
        spec = shell("true", person=f"person-{number}", accelerator="board", accelerator_count=1, max_seconds=9999)
        pod = manifests.session_pod(farm.values, PodRequest(spec))
        pod["spec"] |= {"nodeName": f"{farm.sessions}-{number % NODES}"}
        found[pod["metadata"]["name"]] = pod
    return found


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.mark.fault_minutes
@pytest.mark.timeout(280)
async def test_a_thousand_sessions_are_watched_without_a_long_turn(farm: Farm) -> None:
    pods, path = pods_of(farm), f"/api/v1/namespaces/{farm.sessions}/pods"
    backend = await KubernetesBackend.open(farm.values, farm.kubeconfig)

    def make(api: Connection, one: str) -> Awaitable[object]:
        return api.ask("make it", "POST", path, pods[one])

    def delete(api: Connection, one: str) -> Awaitable[object]:
        return api.ask("delete it", "DELETE", f"{path}/{one}", {"gracePeriodSeconds": 0})

    told: list[Workload] = []
    watcher = asyncio.create_task(listen(backend, told))
    before = resident()
    async with measured("made and running") as loop:
        await asyncio.to_thread(asyncio.run, each(farm, list(pods), make))
        await until(lambda: sum(one.phase is Phase.running for one in told) >= SESSIONS)
    memory = (resident() - before) / SESSIONS
    print(f"{memory / 1024:.0f} KiB for each session")
    assert loop.longest < 0.1
    assert loop.used < SESSIONS * 0.01  # some three changes each
    assert memory < 100 * 1024
    began = time.thread_time()
    found = (await backend.availability()).devices["board"]
    print(f"counted in {(time.thread_time() - began) * 1000:.1f} ms")
    assert (found.used, found.total) == (SESSIONS, 2 * SESSIONS)
    assert time.thread_time() - began < 0.1
    async with measured("listed by a new one") as loop:
        other = await KubernetesBackend.open(farm.values, farm.kubeconfig)
    assert len(await other.workloads()) == SESSIONS
    assert loop.longest < 0.2  # a page of 250 pods is read at once
    await other.close()
    async with measured("all gone") as loop:
        await asyncio.to_thread(asyncio.run, each(farm, list(pods), delete))
        await until(lambda: sum(one.phase is Phase.ended for one in told) >= SESSIONS)
    assert loop.longest < 0.1
    assert len({one.id for one in told if one.phase is Phase.ended}) == SESSIONS
    assert sum(one.phase is Phase.ended for one in told) == SESSIONS
    watcher.cancel()
    await backend.close()


async def listen(backend: KubernetesBackend, told: list[Workload]) -> None:
    async for one in backend.watch():
        told.append(one)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not holds():
            await asyncio.sleep(0.1)
