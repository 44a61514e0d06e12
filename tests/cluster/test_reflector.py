"""What hub and service remember of a real cluster: read once, then kept up to date, whatever breaks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from kubernetes_asyncio.client import Configuration
from kubespawner.clients import load_config

from jupyterhub_aiinfn.backends.kubernetes import watching
from jupyterhub_aiinfn.backends.kubernetes.connection import Connection
from jupyterhub_aiinfn.hub.pod_reflector import PodReflector
from tests.tools.cluster.client import Client
from tests.tools.cluster.images import BUSYBOX

from .cut import Cut, behind_cut

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.root]
LABEL = {"of": "reflector"}


class Counting(PodReflector):
    """Notes how often all is read."""

    lists = 0
    versions: tuple[str, ...] = ()
    """What the first lists pretend to be the version of what they read."""

    async def _list_and_update(self, *arguments: str) -> str:
        found = await super()._list_and_update(*arguments)
        self.lists += 1
        return self.versions[self.lists - 1] if self.lists <= len(self.versions) else found


@pytest.fixture(scope="module")
def namespace(client: Client) -> Iterator[str]:
    name = f"reflector-{uuid.uuid4().hex[:6]}"
    client("create", "namespace", name)
    client.wait_until_pods_may_be_made(name)
    yield name
    client("delete", "namespace", name, "--wait=false")


@pytest.fixture
async def cut(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cut]:
    """The stretch of network behind which KubeSpawner's clients see the API server."""
    given = tmp_path / "kubeconfig"
    given.write_text(client("config", "view", "--raw", "--flatten", "--minify", "--output", "json"))
    async with behind_cut(given, tmp_path) as (found, kubeconfig):
        monkeypatch.setattr("kubernetes_asyncio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))
        load_config.cache_clear()
        load_config()
        yield found
        found.mend()
    load_config.cache_clear()
    Configuration.set_default(None)


@asynccontextmanager
async def reflecting(namespace: str, *versions: str) -> AsyncIterator[Counting]:
    made = Counting(namespace=namespace, labels=LABEL)
    made.versions, made.timeout_seconds = versions, 1
    made.begin()
    try:
        assert await made.loaded(10)
        yield made
    finally:
        with contextlib.suppress(asyncio.CancelledError):  # it waits for the task that it cancels
            await made.stop()


def make_pod(client: Client, namespace: str) -> str:
    """A pod that no node ever takes; its key."""
    name = f"pod-{uuid.uuid4().hex[:6]}"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": LABEL},
        "spec": {"nodeSelector": {"no": "node"}, "containers": [{"name": "main", "image": BUSYBOX}]},
    }
    client("create", "--filename", "-", text=json.dumps(pod))
    return f"{namespace}/{name}"


def delete_pod(client: Client, key: str) -> None:
    namespace, name = key.split("/")
    client("delete", "pod", name, "--namespace", namespace, "--grace-period=0", "--force")


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.05)


async def test_all_is_read_once_and_then_only_what_changes(client: Client, namespace: str, cut: Cut) -> None:
    async with reflecting(namespace) as reflector:
        for _ in range(2):
            key = await asyncio.to_thread(make_pod, client, namespace)
            await until(lambda key=key: key in reflector.pods)
            await asyncio.sleep(1.2)  # longer than one watch lasts
            assert "managedFields" not in reflector.pods[key]["metadata"]
            await asyncio.to_thread(delete_pod, client, key)
            await until(lambda key=key: key not in reflector.pods)
        assert reflector.lists == 1
        assert reflector.silence < 3


async def test_what_went_while_nobody_answered_is_gone_afterwards(client: Client, namespace: str, cut: Cut) -> None:
    key = await asyncio.to_thread(make_pod, client, namespace)
    async with reflecting(namespace) as reflector:
        assert "managedFields" not in reflector.pods[key]["metadata"]
        cut.cut()
        await asyncio.to_thread(delete_pod, client, key)
        await asyncio.sleep(0.5)
        assert key in reflector.pods  # of what is not known nothing has ended
        cut.mend()
        await until(lambda: key not in reflector.pods)
        assert reflector.lists > 1


async def test_a_version_that_the_cluster_has_forgotten_is_no_loss(
    client: Client, namespace: str, cut: Cut, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with reflecting(namespace, "1") as reflector:
        await until(lambda: reflector.lists == 2)
        key = await asyncio.to_thread(make_pod, client, namespace)
        await until(lambda: key in reflector.pods)
        await asyncio.to_thread(delete_pod, client, key)
        await until(lambda: key not in reflector.pods)
        assert reflector.lists == 2
    assert "does not tell" not in caplog.text


async def test_a_version_from_the_future_is_read_anew(
    client: Client, namespace: str, cut: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after etcd was restored from a copy."""
    monkeypatch.setattr(Counting, "read_anew_after", 2)
    async with reflecting(namespace, str(10**15)) as reflector:
        await until(lambda: reflector.lists > 1)
        key = await asyncio.to_thread(make_pod, client, namespace)
        await until(lambda: key in reflector.pods)
        await asyncio.to_thread(delete_pod, client, key)
        await until(lambda: key not in reflector.pods)


class FromTheFuture(watching.Watching):
    """Its first list pretends to be of a version to come."""

    lists = 0

    async def _list(self) -> None:
        await super()._list()
        self.lists += 1
        if self.lists == 1:
            self._version = str(10**15)


async def test_the_memory_of_the_service_reads_it_anew_too(
    client: Client, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "READ_ANEW", 2)
    monkeypatch.setattr(watching, "WATCH_SECONDS", 1)
    given = tmp_path / "kubeconfig"
    given.write_text(client("config", "view", "--raw", "--flatten", "--minify", "--output", "json"))
    connection = await Connection.open(given)
    memory = FromTheFuture(connection, f"/api/v1/namespaces/{namespace}/pods", lambda found, gone: None)
    running = asyncio.create_task(memory.run())
    await memory.synced.wait()
    key = await asyncio.to_thread(make_pod, client, namespace)
    await until(lambda: [one["metadata"]["name"] for one in memory.objects.values()] == [key.split("/")[1]])
    await asyncio.to_thread(delete_pod, client, key)
    await until(lambda: not memory.objects)
    assert memory.lists > 1
    running.cancel()
    await connection.close()
