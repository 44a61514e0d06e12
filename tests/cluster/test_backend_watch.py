"""The backend's watch on a real cluster, over everything that breaks one: each end is told once, and none is lost."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from jupyterhub_aiinfn.api.workloads import EndReason, Phase
from jupyterhub_aiinfn.backends.kubernetes.backend import KubernetesBackend
from jupyterhub_aiinfn.backends.kubernetes.connection import GONE, Connection
from jupyterhub_aiinfn.backends.kubernetes.watched import LATE
from jupyterhub_aiinfn.errors import BackendError, ClusterRefused
from tests.cluster.away import api_server_away
from tests.cluster.backend_farm import Farm, running_farm
from tests.cluster.backend_steps import TRAP, end_all, has_ended, job, record, runs, shell, until
from tests.cluster.cut import Cut, behind_cut
from tests.tools.cluster import namespaces
from tests.tools.cluster.cluster import Cluster

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


@pytest.fixture
async def cut(farm: Farm, tmp_path: Path) -> AsyncIterator[tuple[Cut, KubernetesBackend]]:
    """A backend that sees the API server through a stretch of network that can be cut."""
    async with behind_cut(farm.kubeconfig, tmp_path) as (found, kubeconfig):
        made = await KubernetesBackend.open(farm.values, kubeconfig)
        yield found, made
        found.mend()
        await made.close()


@pytest.mark.timeout(200)
async def test_connections_that_break_again_and_again_cost_nothing(
    backend: KubernetesBackend, cut: tuple[Cut, KubernetesBackend]
) -> None:
    stretch, other = cut
    seen: list[tuple[str, Phase]] = []
    watcher = asyncio.create_task(record(other, seen))
    made = []
    for number in range(6):
        stretch.break_all()
        made.append((await backend.start(job(f"exit {number}"))).id)
        stretch.cut()
        await asyncio.sleep(0.3)
        stretch.mend()
    ends = [await until(other, one, has_ended) for one in made]
    assert [one.exit_code for one in ends] == list(range(6))
    assert not any(one.inferred for one in ends)
    assert {Counter(seen)[one, Phase.ended] for one in made} == {1}
    watcher.cancel()


@pytest.mark.timeout(250)
async def test_what_vanished_while_etcd_forgot_it_is_ended_once_and_inferred(
    backend: KubernetesBackend, cut: tuple[Cut, KubernetesBackend], farm: Farm, own: Cluster
) -> None:
    stretch, other = cut
    stays, goes = [await backend.start(shell(TRAP)) for _ in range(2)]
    for one in (stays, goes):
        await until(other, one.id, runs)
    seen: list[tuple[str, Phase]] = []
    watcher = asyncio.create_task(record(other, seen))
    await asyncio.sleep(0.2)
    stretch.cut()
    listed = json.loads(farm.client("get", "--raw", f"/api/v1/namespaces/{farm.sessions}/pods?limit=1"))
    old = listed["metadata"]["resourceVersion"]
    farm.client("delete", "pod", f"alice-{goes.id}", "--namespace", farm.sessions)
    await asyncio.to_thread(compact, own)
    await asyncio.to_thread(restart_api_server, own)  # and what it remembers itself
    assert await code_of_a_watch(farm, old) == GONE
    stretch.mend()
    ended = await until(other, goes.id, has_ended)
    assert (ended.reason, ended.inferred) == (EndReason.lost, True)
    assert (await other.workload(stays.id)).phase is Phase.running
    assert Counter(seen)[goes.id, Phase.ended] == 1
    assert Counter(seen)[stays.id, Phase.running] == 1
    async with asyncio.timeout(20):  # each watch says it once it has gone on for a while
        while other.trouble:
            await asyncio.sleep(0.1)
    watcher.cancel()


def compact(own: Cluster) -> None:
    """Have etcd forget everything but what is there now."""
    text = asked_of_etcd(own, "kv/range", {"key": base64.b64encode(b"/registry").decode(), "limit": 1})
    asked_of_etcd(own, "kv/compaction", {"revision": json.loads(text)["header"]["revision"], "physical": True})


def asked_of_etcd(own: Cluster, what: str, body: dict[str, object]) -> str:
    url = f"http://127.0.0.1:2379/v3/{what}"
    return namespaces.run_inside(own.state, "curl", "--silent", "--fail", "--data", json.dumps(body), url)


def restart_api_server(own: Cluster) -> None:
    with api_server_away(own, 0):
        pass


def until_answers(farm: Farm) -> None:
    while not farm.client.answers():
        time.sleep(0.2)


async def code_of_a_watch(farm: Farm, version: str) -> int:
    """How a watch ends that begins at a version."""
    connection = await Connection.open(farm.kubeconfig)
    path = f"/api/v1/namespaces/{farm.sessions}/pods"
    try:
        async for event in connection.lines("look", path, {"watch": "1", "resourceVersion": version}, 5):
            assert event["type"] == "ERROR", event
            return int(event["object"]["code"])
    except ClusterRefused as refused:
        return refused.code
    finally:
        await connection.close()
    return 0


@pytest.mark.fault_minutes
@pytest.mark.timeout(200)
async def test_silence_is_noticed_and_what_ended_in_it_is_told(
    backend: KubernetesBackend, cut: tuple[Cut, KubernetesBackend], farm: Farm
) -> None:
    stretch, other = cut
    made = await backend.start(shell(TRAP))
    await until(other, made.id, runs)
    stretch.fall_silent()
    await backend.stop(made.id, "while nobody looked", grace_seconds=1)
    began = time.monotonic()
    while not other.trouble:
        await asyncio.sleep(0.1)
    assert time.monotonic() - began < LATE + 5
    assert (await other.workload(made.id)).phase is Phase.running  # of what is not known nothing has ended
    while other.watched.silence < LATE:
        await asyncio.sleep(0.1)
    with pytest.raises(BackendError, match="nobody knows what is free"):
        await other.availability()
    stretch.mend()
    began = time.monotonic()
    ended = await until(other, made.id, has_ended, 30)
    assert time.monotonic() - began < 30
    assert ended.phase is Phase.ended
    while other.trouble:
        await asyncio.sleep(0.1)


async def test_ends_that_nobody_took_are_told_after_a_restart(farm: Farm) -> None:
    first = await KubernetesBackend.open(farm.values, farm.kubeconfig)
    done, deleted = await first.start(job("sleep 1; exit 5")), await first.start(job(TRAP))
    await until(first, deleted.id, runs)
    await first.close()  # as a service that is killed: it takes no end and releases nothing
    farm.client("delete", "job", f"platform-{deleted.id}", "--namespace", farm.jobs, "--wait=false")
    farm.client.until("job", f"platform-{done.id}", lambda one: one["status"].get("failed"), farm.jobs)
    second = await KubernetesBackend.open(farm.values, farm.kubeconfig)
    seen: list[tuple[str, Phase]] = []
    watcher = asyncio.create_task(record(second, seen))
    ends = [await until(second, one.id, has_ended) for one in (done, deleted)]
    assert [(one.reason, one.exit_code, one.inferred) for one in ends] == [
        (EndReason.failed, 5, False),
        (EndReason.stopped, 0, False),
    ]
    assert ends[1].message == "somebody deleted it on the cluster"
    for one in (done, deleted):
        head = farm.client.get("job", f"platform-{one.id}", farm.jobs)["metadata"]
        assert "aiinfn/accounting" in head["finalizers"]
        await second.acknowledge_end(one.id)
    async with asyncio.timeout(60):
        while f"platform-{deleted.id}" in farm.names("jobs"):
            await asyncio.sleep(0.1)
    await second.close()
    third = await KubernetesBackend.open(farm.values, farm.kubeconfig)
    assert (await third.workload(done.id)).reason is EndReason.failed  # its log is kept for a while
    assert {Counter(seen)[one.id, Phase.ended] for one in (done, deleted)} == {1}
    watcher.cancel()
    await end_all(third)
    await third.close()


async def test_one_that_begins_while_the_cluster_is_away_says_so_and_is_there_afterwards(
    backend: KubernetesBackend, farm: Farm, tmp_path: Path
) -> None:
    made = await backend.start(shell(TRAP))
    async with behind_cut(farm.kubeconfig, tmp_path) as (stretch, kubeconfig):
        stretch.cut()
        other = KubernetesBackend(farm.values, await Connection.open(kubeconfig))
        other.begin()
        listed = asyncio.create_task(other.workloads())
        counted = asyncio.create_task(other.availability())
        with pytest.raises(BackendError, match="has not told yet"):
            await other.workload(made.id)
        assert "does not answer" in other.trouble
        assert not listed.done()
        assert not counted.done()
        stretch.mend()
        assert made.id in {one.id for one in await asyncio.wait_for(listed, 20)}
        assert (await asyncio.wait_for(counted, 20)).sessions == 1
        await other.close()


async def test_no_session_has_a_finalizer_of_ours(backend: KubernetesBackend, farm: Farm) -> None:
    made = await backend.start(shell(TRAP))
    await until(backend, made.id, runs)
    assert not farm.client.get("pod", f"alice-{made.id}", farm.sessions)["metadata"].get("finalizers")


@pytest.mark.fault_minutes
@pytest.mark.timeout(200)
async def test_the_watch_survives_an_api_server_that_dies(backend: KubernetesBackend, farm: Farm, own: Cluster) -> None:
    stays, goes = [await backend.start(shell(TRAP)) for _ in range(2)]
    for one in (stays, goes):
        await until(backend, one.id, runs)
    seen: list[tuple[str, Phase]] = []
    watcher = asyncio.create_task(record(backend, seen))
    await asyncio.to_thread(own.kill, "kube-apiserver")
    await asyncio.sleep(5)
    assert {(await backend.workload(one.id)).phase for one in (stays, goes)} == {Phase.running}
    with pytest.raises(BackendError, match="does not answer"):
        await backend.start(shell("true"))
    own.start("kube-apiserver")
    await asyncio.to_thread(until_answers, farm)
    back = time.monotonic()
    # at once, because the kubelet itself may take half a minute to come back
    farm.client("delete", "pod", f"alice-{goes.id}", "--namespace", farm.sessions, "--force", "--grace-period=0")
    ended = await until(backend, goes.id, has_ended, 30)
    assert time.monotonic() - back < 30
    assert ended.reason is not None
    fresh = await backend.start(shell(TRAP))
    await until(backend, fresh.id, runs, 90)
    assert not backend.trouble
    assert seen.count((goes.id, Phase.ended)) == 1
    assert seen.count((stays.id, Phase.running)) == 1
    assert (stays.id, Phase.ended) not in seen
    watcher.cancel()


@pytest.mark.fault_minutes
@pytest.mark.timeout(200)
async def test_the_watch_survives_an_etcd_that_dies(backend: KubernetesBackend, farm: Farm, own: Cluster) -> None:
    stays, goes = [await backend.start(shell(TRAP)) for _ in range(2)]
    for one in (stays, goes):
        await until(backend, one.id, runs)
    seen: list[tuple[str, Phase]] = []
    watcher = asyncio.create_task(record(backend, seen))
    await asyncio.to_thread(own.kill, "etcd")
    await asyncio.sleep(5)
    assert {(await backend.workload(one.id)).phase for one in (stays, goes)} == {Phase.running}
    own.start("etcd")
    await asyncio.to_thread(until_answers, farm)
    ended = await backend.stop(goes.id, "after it", grace_seconds=1)
    assert (ended.reason, ended.message, ended.inferred) == (EndReason.stopped, "after it", False)
    await asyncio.sleep(0.5)
    assert Counter(seen)[goes.id, Phase.ended] == Counter(seen)[stays.id, Phase.running] == 1
    assert (stays.id, Phase.ended) not in seen
    watcher.cancel()
