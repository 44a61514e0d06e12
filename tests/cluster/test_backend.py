"""The backend of a cluster, on a real one: what tests/contract does not see, such as what stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from jupyterhub_aiinfn.api.workloads import EndReason, JobClass, Phase
from jupyterhub_aiinfn.backends.base import new_workload_id
from jupyterhub_aiinfn.backends.kubernetes.backend import KubernetesBackend
from jupyterhub_aiinfn.errors import BackendError
from tests.cluster.backend_farm import Farm, running_farm
from tests.cluster.backend_steps import TRAP, devices, end_all, has_ended, job, logged, runs, shell, until
from tests.tools.cluster.cluster import Cluster
from tests.tools.cluster.place import NODE

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.root]


@pytest.fixture(scope="module")
def farm(own: Cluster) -> Iterator[Farm]:
    with running_farm(own.client) as found:
        yield found


@pytest.fixture
async def backend(farm: Farm) -> AsyncIterator[KubernetesBackend]:
    made = await KubernetesBackend.open(farm.values, farm.kubeconfig)
    yield made
    await end_all(made)
    await made.close()


async def test_whoever_stops_first_says_why_and_nothing_stays(backend: KubernetesBackend, farm: Farm) -> None:
    made = await backend.start(shell(TRAP), {"TOKEN": "secret-of-it"})
    await logged(backend, made.id, "up")
    ends = await asyncio.gather(*(backend.stop(made.id, f"reason {n}", reason=EndReason.idle) for n in range(4)))
    assert len({end.model_dump_json() for end in ends}) == 1
    assert ends[0].reason is EndReason.idle
    assert ends[0].message.startswith("reason ")
    assert not ends[0].inferred
    assert await backend.stop(made.id, "later") == ends[0]
    async with asyncio.timeout(60):
        while any(made.id in name for name in farm.names("pods") + farm.names("secrets")):
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("job_class", list(JobClass))
async def test_a_job_finishes_and_is_kept_until_it_is_released(
    backend: KubernetesBackend, farm: Farm, job_class: JobClass
) -> None:
    made = await backend.start(job("echo done", job_class))
    ended = await until(backend, made.id, has_ended)
    assert (ended.reason, ended.exit_code, ended.job_class) == (EndReason.finished, 0, job_class)
    name = f"platform-{made.id}"
    farm.client("delete", "job", name, "--namespace", farm.jobs, "--wait=false")
    assert name in farm.names("jobs")  # its finalizer keeps it
    await backend.acknowledge_end(made.id)
    async with asyncio.timeout(10):
        while name in farm.names("jobs"):
            await asyncio.sleep(0.1)
    assert await backend.workload(made.id) == ended


async def test_no_secret_is_in_anything_but_its_secret(backend: KubernetesBackend, farm: Farm) -> None:
    secret = f"s3cret-{new_workload_id()}"
    for one in (shell('printf %s "$TOKEN" | wc -c; sleep 60'), job('printf %s "$TOKEN" | wc -c; sleep 60')):
        made = await backend.start(one, {"TOKEN": secret})
        await logged(backend, made.id, str(len(secret)))
    kinds = "pods,jobs,events,persistentvolumeclaims,workloads.kueue.x-k8s.io"
    for namespace in (farm.sessions, farm.jobs):
        assert secret not in farm.client("get", kinds, "--namespace", namespace, "--output", "yaml")


async def test_a_refused_start_leaves_nothing_and_tells_no_secret(
    backend: KubernetesBackend, farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": farm.sessions}}
    farm.client.apply({**quota, "spec": {"hard": {"pods": "0"}}})
    farm.client.until("resourcequota", "none", lambda one: "hard" in one.get("status", {}), farm.sessions)
    try:
        spec = shell("true")
        with pytest.raises(BackendError, match="space that the cluster has for this is used up") as refused:
            await backend.start(spec, {"TOKEN": "s3cret-value"})
    finally:
        farm.client("delete", "resourcequota", "none", "--namespace", farm.sessions)
    assert "s3cret-value" not in str(refused.value) + caplog.text
    assert not [name for name in farm.names("secrets") if spec.id in name]


async def test_orphans_are_swept_and_others_get_their_owner(backend: KubernetesBackend, farm: Farm) -> None:
    made = await backend.start(job("sleep 60"), {"TOKEN": "s3cret-value"})
    labels = {"aiinfn/workload": new_workload_id(), "aiinfn/kind": "job"}
    head = {"name": "left", "namespace": farm.jobs, "labels": labels}
    farm.client.apply({"apiVersion": "v1", "kind": "Secret", "metadata": head})
    own = f"platform-{made.id}"
    farm.client("patch", "secret", own, "--namespace", farm.jobs, "--patch", '{"metadata": {"ownerReferences": null}}')
    assert await backend.sweep() == []  # it is young: another process may be about to make its Job
    assert await backend.sweep(timedelta(0)) == ["left"]
    owners = farm.client.get("secret", own, farm.jobs)["metadata"]["ownerReferences"]
    assert [one["name"] for one in owners] == [own]


async def test_two_backends_see_the_same_and_a_new_one_sees_all(backend: KubernetesBackend, farm: Farm) -> None:
    made = await backend.start(shell(TRAP))
    other = await KubernetesBackend.open(farm.values, farm.kubeconfig)
    await until(other, made.id, runs)
    await other.stop(made.id, "by the other")
    assert (await until(backend, made.id, has_ended)).message == "by the other"
    await other.close()


async def test_devices_are_counted_on_nodes_that_take_somebody(backend: KubernetesBackend, farm: Farm) -> None:
    with farm.devices(2):
        await devices(backend, total=2, used=0)
        first = await backend.start(shell(TRAP, accelerator="board", accelerator_count=1, max_seconds=600))
        await until(backend, first.id, runs)
        await devices(backend, total=2, used=1)
        batch = await backend.start(job(TRAP, JobClass.batch, accelerator="board", accelerator_count=1))
        await until(backend, batch.id, runs)
        found = await devices(backend, total=2, used=2)
        assert (found.gives_way, found.free, found.next_free_at) == (1, 1, None)  # batch goes when a session comes
        second = await backend.start(shell(TRAP, accelerator="board", accelerator_count=1))
        await until(backend, second.id, runs, 60)
        found = await devices(backend, total=2, used=2)
        assert (found.gives_way, found.next_free_at) == (0, (await backend.workload(first.id)).ends_at)
        waits = await backend.start(shell(TRAP, accelerator="board", accelerator_count=1))
        said = await until(backend, waits.id, lambda one: one.message)
        assert (said.phase, "is not free" in said.message) == (Phase.starting, True), said
        found = await devices(backend, total=2, used=3)
        assert found.next_free_at is None  # the first that ends is for the one who waits
        await backend.stop(second.id, grace_seconds=1)
        await until(backend, waits.id, runs)
        await backend.stop(waits.id, grace_seconds=1)
        try:
            farm.client("cordon", NODE)
            assert (await devices(backend, total=1, used=1)).free == 0
        finally:
            farm.client("uncordon", NODE)
        await devices(backend, total=2, used=1)
