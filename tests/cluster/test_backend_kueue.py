"""The backend with Kueue: batch gives way, guarantees are kept, devices are held, and changed queues are noticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from jupyterhub_aiinfn.api.availability import DeviceAvailability
from jupyterhub_aiinfn.api.workloads import EndReason, JobClass, Phase
from jupyterhub_aiinfn.backends.kubernetes.backend import KubernetesBackend
from jupyterhub_aiinfn.errors import BackendError, NothingFree
from tests.cluster.away import kueue_away
from tests.cluster.backend_farm import Farm, running_farm
from tests.cluster.backend_steps import TRAP, devices, end_all, has_ended, job, logged, runs, shell, until
from tests.tools.cluster.cluster import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.root]
BOARD = {"accelerator": "board", "accelerator_count": 1}


@pytest.fixture(scope="module")
def farm(own: Cluster) -> Iterator[Farm]:
    with running_farm(own.client, kueue=True) as found, found.devices(2):
        yield found


@pytest.fixture
async def backend(farm: Farm) -> AsyncIterator[KubernetesBackend]:
    made = await KubernetesBackend.open(farm.values, farm.kubeconfig)
    await devices(made, total=1, used=0)
    yield made
    await end_all(made)
    await made.close()


async def seen(backend: KubernetesBackend, *groups: str) -> DeviceAvailability:
    return (await backend.availability()).devices["board"].seen_by(groups)


async def test_a_guarantee_is_seen_by_its_members_only(backend: KubernetesBackend, farm: Farm) -> None:
    assert ((await seen(backend)).free, (await seen(backend, "flash")).free) == (1, 2)
    first = await backend.start(shell(TRAP, project="flash", **BOARD, max_seconds=600))
    await until(backend, first.id, runs)
    pod = farm.client.get("pod", f"alice-{first.id}", farm.sessions)
    assert pod["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "flash-guaranteed"
    await devices(backend, total=2, used=1)  # the guarantee is used, so nothing is kept any more
    assert (await seen(backend)).free == (await seen(backend, "flash")).free == 1


@pytest.mark.timeout(200)
async def test_batch_gives_way_and_what_waits_in_its_queue_takes_nothing(backend: KubernetesBackend) -> None:
    batch = [await backend.start(job(TRAP, JobClass.batch, **BOARD)) for _ in range(3)]
    async with asyncio.timeout(60):
        while sum([runs(await backend.workload(one.id)) for one in batch]) < 2:
            await asyncio.sleep(0.1)
    found = await seen(backend, "flash")
    assert (found.total, found.used, found.gives_way, found.free) == (2, 2, 2, 2)
    session = await backend.start(shell(TRAP, **BOARD))
    await until(backend, session.id, runs, 60)
    still = [one for one in batch if runs(await backend.workload(one.id))]
    assert len(still) == 1
    assert {(await backend.workload(one.id)).phase for one in batch if one not in still} == {Phase.starting}
    found = await seen(backend, "flash")
    assert (found.used, found.gives_way, found.free) == (2, 1, 1)
    await backend.stop(session.id, grace_seconds=1)
    async with asyncio.timeout(60):  # the evicted one comes back by itself
        while sum([runs(await backend.workload(one.id)) for one in batch]) < 2:
            await asyncio.sleep(0.1)


async def test_platform_jobs_have_a_queue_of_their_own(backend: KubernetesBackend) -> None:
    made = await backend.start(job("exit 0"))
    assert (await until(backend, made.id, has_ended)).reason is EndReason.finished


async def test_devices_are_held_in_the_queue_of_the_project(backend: KubernetesBackend, farm: Farm) -> None:
    held = await backend.hold("board", 1, "the course", project="quantum-lab")
    found = await seen(backend)
    assert (found.total, found.used, found.free) == (1, 1, 0)
    assert (await seen(backend, "flash")).free == 1
    waits = await backend.start(shell(TRAP, **BOARD))
    await asyncio.sleep(2)
    assert (await backend.workload(waits.id)).phase is Phase.starting
    with pytest.raises(NothingFree, match="not free now"):
        await backend.hold("board", 1, "another course", project="quantum-lab")
    async with asyncio.timeout(60):
        while holds(farm) != [f"platform-{held.id}"]:
            await asyncio.sleep(0.2)
    await backend.release(held.id)
    await until(backend, waits.id, runs)


@pytest.mark.fault_minutes
@pytest.mark.timeout(250)
async def test_a_session_ends_with_its_reason_while_kueue_is_away(backend: KubernetesBackend, own: Cluster) -> None:
    made = await backend.start(shell(TRAP))
    await until(backend, made.id, runs)
    with kueue_away(own.client):
        ended = await backend.stop(made.id, "nothing ran in it", grace_seconds=2, reason=EndReason.idle)
        assert (ended.reason, ended.message, ended.inferred) == (EndReason.idle, "nothing ran in it", False)
        assert await backend.stop(made.id, "later") == ended
        with pytest.raises(BackendError, match="queues of the cluster do not answer"):
            await backend.start(shell(TRAP))


async def test_the_rights_of_the_service_are_enough_and_no_more(
    backend: KubernetesBackend, farm: Farm, tmp_path: Path
) -> None:
    assert farm.values.kubernetes is not None
    session = await backend.start(shell(TRAP, max_seconds=600))
    account = farm.account(farm.values.kubernetes.service_account, tmp_path / "service")
    service = await KubernetesBackend.open(farm.values, account)
    assert not service.trouble
    assert service._queues is not None
    assert await service._queues.look() == []
    assert await service.sweep(timedelta(0)) == []
    await until(service, session.id, runs)
    assert (await service.extend(session.id, 700)).ends_at is not None
    await service.log(session.id)
    made = await service.start(job("echo words; sleep 60", person="alice"), {"TOKEN": "s3cret-value"})
    await logged(service, made.id, "words")
    held = await service.hold("board", 1, "alice", project="quantum-lab")
    for one in (made, held, session):
        assert (await service.stop(one.id, grace_seconds=1)).reason is EndReason.stopped
        await service.acknowledge_end(one.id)
    with pytest.raises(BackendError, match="may not do this on the cluster"):
        await service.start(shell(TRAP))  # sessions are the hub's
    await service.close()


async def test_the_rights_of_the_hub_are_enough_for_sessions(
    backend: KubernetesBackend, farm: Farm, tmp_path: Path
) -> None:
    assert farm.values.kubernetes is not None
    account = farm.account(farm.values.kubernetes.hub_account, tmp_path / "hub")
    hub = await KubernetesBackend.open(farm.values, account, only_sessions=True)
    assert not hub.trouble
    made = await hub.start(shell(TRAP), {"TOKEN": "s3cret-value"})
    await until(hub, made.id, runs)
    with pytest.raises(BackendError, match="ask the platform service"):
        await hub.availability()
    assert (await hub.stop(made.id, "by the hub", grace_seconds=1)).message == "by the hub"
    assert (await until(backend, made.id, has_ended)).message == "by the hub"
    await hub.close()


def holds(farm: Farm) -> list[str]:
    listed = farm.client("get", "jobs", "--namespace", farm.sessions, "--output", "name").split()
    return [one.removeprefix("job.batch/") for one in listed]


async def test_a_changed_queue_and_a_lost_node_are_drift(backend: KubernetesBackend, farm: Farm) -> None:
    check = backend._queues
    assert check is not None
    assert await check.look() == []
    assert farm.values.kubernetes is not None
    queue = f"{farm.values.kubernetes.namespace}-sessions"
    before = farm.client.get("clusterqueue", queue)["spec"]["preemption"]["reclaimWithinCohort"]
    patch = '{"spec": {"preemption": {"reclaimWithinCohort": "%s"}}}'
    farm.client("patch", "clusterqueue", queue, "--type=merge", "--patch", patch % "Any")
    try:
        (sentence,) = await check.look()
        assert "reclaimWithinCohort is Any and should be LowerPriority" in sentence
    finally:
        farm.client("patch", "clusterqueue", queue, "--type=merge", "--patch", patch % before)
