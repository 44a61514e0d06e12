"""A farm for the tests of the backend: namespaces and rights as an administrator applies them, and shared homes."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.backends.base import new_workload_id
from jupyterhub_aiinfn.backends.kubernetes.installation import installation_manifests
from jupyterhub_aiinfn.values import Values
from tests.tools.cluster.client import Client
from tests.tools.cluster.errors import ClusterError
from tests.tools.cluster.images import BUSYBOX
from tests.tools.cluster.place import NODE
from tests.unit.kubernetes.farms import DATA, values_of

DEVICE = "aiinfn.test/board"
"""What the node of the tests is said to have; only while somebody tests with it."""
QUEUES = ("clusterqueue", "resourceflavor", "workloadpriorityclass", "cohort")


@dataclass(frozen=True)
class Farm:
    """A cluster as the platform finds it."""

    values: Values
    client: Client
    kubeconfig: Path

    @property
    def sessions(self) -> str:
        """The namespace of sessions."""
        assert self.values.kubernetes is not None
        return self.values.kubernetes.sessions_namespace

    @property
    def jobs(self) -> str:
        """The namespace of jobs."""
        assert self.values.kubernetes is not None
        return self.values.kubernetes.jobs_namespace

    def names(self, kind: str) -> list[str]:
        """All objects of a kind in both."""
        found = [
            json.loads(self.client("get", kind, "--namespace", one, "--output", "json"))["items"]
            for one in (self.sessions, self.jobs)
        ]
        return [each["metadata"]["name"] for items in found for each in items]

    def account(self, name: str, file: Path) -> Path:
        """A kubeconfig of a service account that the manifests make, with the rights that they give it."""
        assert self.values.kubernetes is not None
        namespace = self.values.kubernetes.namespace
        token = self.client("create", "token", name, "--namespace", namespace, "--duration", "1h").strip()
        given = json.loads(self.client("config", "view", "--raw", "--flatten", "--minify", "--output", "json"))
        context = {"name": name, "context": {"cluster": given["clusters"][0]["name"], "user": name}}
        users = [{"name": name, "user": {"token": token}}]
        file.touch(mode=0o600)
        file.write_text(json.dumps(given | {"users": users, "contexts": [context], "current-context": name}))
        return file

    @contextmanager
    def devices(self, count: int) -> Iterator[None]:
        """The node has so many boards."""
        self._declare("add", count)
        try:
            self.client.until("node", NODE, lambda one: one["status"]["allocatable"].get(DEVICE) == str(count))
            yield
        finally:
            self._declare("remove")

    def _declare(self, operation: str, count: int = 0) -> None:
        patch = {"op": operation, "path": f"/status/capacity/{DEVICE.replace('/', '~1')}", "value": str(count)}
        self.client("patch", "node", NODE, "--subresource=status", "--type=json", "--patch", json.dumps([patch]))


def farm_values(name: str, kueue: bool, accelerators: dict[str, Any]) -> Values:
    """The farm's values; with Kueue the boards are stated, since each test says anew how many there are."""
    data = copy.deepcopy(DATA)
    cluster: dict[str, Any] = {"namespace": name, "sessions_namespace": f"{name}-s", "jobs_namespace": f"{name}-j"}
    cluster["sessions"] = {"pull": "Never", "shm_gib": 0.01, "stop_grace": "4s"}
    if kueue:
        cluster["kueue"] = {"cohort": name, "platform_jobs": {"cores": 0.3, "memory_gib": 0.5}}
    data["kubernetes"] = cluster
    data["storage"] = {"home": {"backend": "shared-claim", "claim": "homes", "path": "user-{name}"}}
    data["identity"]["uid"] = {"method": "crc32"}
    data["nodes"] = {}
    if kueue:
        machines = {"count": 1, "cores": 1.8, "memory_gib": 8, "accelerators": {"board": 2}}
        data["nodes"] = {"tests": {"selector": {"kubernetes.io/hostname": NODE}, "machines": machines}}
    data["accelerators"] = accelerators
    data["images"] = {"python": {"name": "Python", "reference": BUSYBOX, "folder": "images/python"}}
    data["projects"] = {
        "quantum-lab": {"name": "Quantum", "groups": ["quantum-lab"]},
        "flash": {"name": "Flash", "groups": ["flash"], **({"guaranteed": {"board": 1}} if kueue else {})},
    }
    size = {"cores": 0.2, "memory_gib": 0.2}
    data["profiles"] = {
        "python": {
            "name": "Python",
            "image": "python",
            "sizes": {"small": size},
            "accelerators": sorted(accelerators),
            "max": "1h",
        }
    }
    return values_of(data)


BOARDS = {"board": {"type": "fpga", "name": "Board", "resource": DEVICE, "per_session": [1, 2]}}


@contextmanager
def running_farm(client: Client, *, kueue: bool = False, accelerators: dict[str, Any] | None = None) -> Iterator[Farm]:
    """A farm with namespaces of its own, and one claim of homes on a folder of the node; all of it goes at the end."""
    name, homes = f"aiinfn-test-{new_workload_id()[-8:]}", Path(tempfile.mkdtemp(prefix="aiinfn-homes-"))
    homes.chmod(0o1777)
    values = farm_values(name, kueue, BOARDS if accelerators is None else accelerators)
    found = Farm(values, client, Path(client.kubeconfig))
    manifests = installation_manifests(values, None)[0] if kueue else installation_manifests(values, [])[0]
    for one in manifests:
        if one["kind"] == "Namespace" and kueue:
            one["metadata"]["labels"]["aiinfn/kueue"] = "yes"  # the harness leaves other namespaces alone
    try:
        client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, *manifests)
        for namespace in (found.sessions, found.jobs):
            client.apply(*shared_homes(namespace, homes))
            client.wait_until_pods_may_be_made(namespace)
        yield found
    finally:
        _remove(client, found, name, manifests)
        shutil.rmtree(homes, ignore_errors=True)


def _remove(client: Client, found: Farm, name: str, manifests: list[dict[str, Any]]) -> None:
    for job in found.names("jobs"):
        for namespace in (found.sessions, found.jobs):
            patch = '{"metadata": {"finalizers": null}}'
            try:
                client("patch", "job", job, "--namespace", namespace, "--type=merge", "--patch", patch)
            except ClusterError:
                continue  # it is in the other one
    for namespace in (name, found.sessions, found.jobs):
        client("delete", "namespace", namespace, "--wait=false", "--ignore-not-found")
    for namespace in (found.sessions, found.jobs):
        client("delete", "persistentvolume", f"{namespace}.homes", "--wait=false", "--ignore-not-found")
    for kind in QUEUES:
        for one in manifests:
            if one["kind"].lower() == kind:
                client("delete", kind, one["metadata"]["name"], "--ignore-not-found", "--wait=false")


def shared_homes(namespace: str, folder: Path) -> list[dict[str, Any]]:
    """The claim of homes in a namespace, on a folder of the node."""
    size = {"storage": "1Gi"}
    head = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    volume = {**head, "capacity": size, "hostPath": {"path": str(folder)}}
    volume |= {"claimRef": {"namespace": namespace, "name": "homes"}, "persistentVolumeReclaimPolicy": "Retain"}
    name = f"{namespace}.homes"
    claim = {**head, "volumeName": name, "resources": {"requests": size}}
    where = {"name": "homes", "namespace": namespace}
    return [
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": volume},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": where, "spec": claim},
    ]
