"""The backend with Kueue: batch gives way, guarantees are kept, devices are held, and changed queues are noticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_aiinfn.api.availability import DeviceAvailability
from jupyterhub_aiinfn.api.workloads import EndReason, JobClass, Phase
from jupyterhub_aiinfn.backends.kubernetes.backend import KubernetesBackend
from jupyterhub_aiinfn.errors import BackendError, NothingFree
from tests.cluster.away import kueue_away
from tests.cluster.backend_farm import DEVICE, Farm, running_farm
from tests.cluster.backend_steps import TRAP, devices, end_all, has_ended, job, logged, runs, shell, until
from tests.tools.cluster.cluster import Cluster
from tests.tools.cluster.errors import ClusterError

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


SERVICE_MAY = [("list", "pods", "default"), ("watch", "pods", "default"), ("list", "nodes", "default")]
SERVICE_MAY_NOT = [
    *((verb, "pods", "default") for verb in ("get", "create", "patch", "delete")),
    *((verb, what, "default") for verb in ("get", "list") for what in ("secrets", "configmaps", "pods/log")),
    ("create", "pods/exec", "default"),
    ("update", "clusterqueues.kueue.x-k8s.io", "default"),
]
HUB_MAY_NOT = [("list", "pods", "default"), ("list", "nodes", "default"), ("list", "secrets", "default")]


def test_what_the_accounts_may_beyond_their_own_namespaces(farm: Farm) -> None:
    assert farm.values.kubernetes is not None
    cluster = farm.values.kubernetes

    def may(account: str, verb: str, what: str, namespace: str) -> bool:
        user = f"--as=system:serviceaccount:{cluster.namespace}:{account}"
        resource, _, inner = what.partition("/")  # for kubectl what follows a slash is a name
        try:
            answer = farm.client("auth", "can-i", verb, resource, f"--subresource={inner}", "-n", namespace, user)
        except ClusterError as error:  # kubectl fails when the answer is no
            answer = str(error)
        said = {"yes", "no"} & set(answer.split())
        assert len(said) == 1, answer
        return said == {"yes"}

    service, hub = cluster.service_account, cluster.hub_account
    assert [one for one in SERVICE_MAY if not may(service, *one)] == []
    assert [one for one in SERVICE_MAY_NOT if may(service, *one)] == []
    assert [one for one in HUB_MAY_NOT if may(hub, *one)] == []
    assert may(hub, "create", "pods", farm.sessions)
    assert not may(service, "create", "pods", farm.sessions)


HOLDER = "registry.example.org/none/of-ours:1"
"""An image that no node has: a pod holds its devices from the moment at which it is on a node."""


async def test_devices_that_pods_of_others_hold_are_in_use(farm: Farm, tmp_path: Path) -> None:
    assert farm.values.kubernetes is not None
    account = farm.account(farm.values.kubernetes.service_account, tmp_path / "service")
    service = await KubernetesBackend.open(farm.values, account)
    other = f"{farm.values.kubernetes.namespace}-other"
    told: list[None] = []
    service.watched.on_nodes = lambda: told.append(None)
    try:
        assert ((await seen(service)).used, (await seen(service)).free) == (0, 1)
        farm.client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}})
        farm.client.wait_until_pods_may_be_made(other)
        farm.client.apply(holder(other, literal="not-ours-to-know"))
        await devices(service, total=1, used=1)
        assert told
        assert (await seen(service)).next_free_at is None
        assert (await seen(service, "flash")).free == 1  # their guarantee is kept
        assert service.watched.strangers is not None
        assert "not-ours-to-know" not in str(service.watched.strangers.objects)
        with pytest.raises(NothingFree, match="not free now"):
            await service.hold("board", 2, "alice", project="quantum-lab")
        farm.client("delete", "pod", "holder", "--namespace", other, "--grace-period=0", "--force")
        await devices(service, total=1, used=0)
    finally:
        await service.close()
        farm.client("delete", "namespace", other, "--ignore-not-found", "--wait=false")


def holder(namespace: str, literal: str) -> dict[str, Any]:
    """A pod of somebody else that asks for a board."""
    container = {"name": "main", "image": HOLDER, "imagePullPolicy": "Never", "resources": {"limits": {DEVICE: "1"}}}
    container["env"] = [{"name": "PASSWORD", "value": literal}]
    head = {"name": "holder", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": head, "spec": {"containers": [container]}}


async def test_without_the_right_to_see_others_all_but_them_is_counted(farm: Farm, tmp_path: Path) -> None:
    """As after an upgrade, before the manifests are applied again."""
    assert farm.values.kubernetes is not None
    account = farm.account(farm.values.kubernetes.service_account, tmp_path / "service")
    role = farm.client.get("clusterrole", "aiinfn-service")
    narrow = {**role, "rules": [rule for rule in role["rules"] if rule["resources"] != ["pods"]]}
    kept = {"name": role["metadata"]["name"], "labels": role["metadata"]["labels"]}
    assert len(narrow["rules"]) == len(role["rules"]) - 1
    try:
        farm.client.apply({**narrow, "metadata": kept})
        service = await KubernetesBackend.open(farm.values, account)
        await devices(service, total=1, used=0)
        assert "the platform may not do this on the cluster" in service.trouble
        assert service.trouble.endswith("so what pods of others hold seems free")
        await service.close()
    finally:
        farm.client.apply({**role, "metadata": kept})


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
