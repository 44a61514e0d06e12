"""A farm of ours and a stock KubeSpawner, each with a hub of its own, side by side on the tests' cluster."""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.cluster import farm as farms
from tests.hub.running_hub import PASSWORD
from tests.tools.cluster.client import Client
from tests.tools.cluster.cluster import Cluster
from tests.tools.cluster.images import BUSYBOX
from tests.tools.cluster.place import NODE

from . import servers
from .figures import Figure

HERE = Path(__file__).parent
LABEL = "aiinfn/kueue"
"""The namespaces for which Kueue is asked at all."""
BUSY = 1.0
"""Processes that wanted to run a moment ago, on average, above which figures of seconds are only indications."""
SERVER = """\
folder=/tmp/www$JUPYTERHUB_SERVICE_PREFIX
mkdir -p $folder
echo '{}' > ${folder}api
trap 'exit 0' TERM
httpd -f -p 8888 -h /tmp/www & wait
"""
"""What runs in the sessions of both: it answers as a session's server does, as far as a hub asks."""
TOKEN = secrets.token_hex(32)
"""Of the service with which the benchmarks start other people's sessions; for hubs that live for one benchmark."""

STOCK = """
os.environ.update(KUBECONFIG={kubeconfig!r}, NO_PROXY="*")
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.JupyterHub.hub_ip = "0.0.0.0"
c.JupyterHub.hub_connect_url = f"http://{machine}:{{c.JupyterHub.hub_port}}"
c.Spawner.args = []
c.Spawner.environment = {{"LANG": "C.UTF-8"}}
c.KubeSpawner.namespace = {namespace!r}
c.KubeSpawner.image = {image!r}
c.KubeSpawner.image_pull_policy = "Never"
c.KubeSpawner.cpu_guarantee = c.KubeSpawner.cpu_limit = 0.1
c.KubeSpawner.mem_guarantee = c.KubeSpawner.mem_limit = 2**26
c.KubeSpawner.uid = 1000
c.KubeSpawner.gid = 100
c.KubeSpawner.fs_gid = 100
c.KubeSpawner.allow_privilege_escalation = False
c.KubeSpawner.delete_grace_period = 5
c.KubeSpawner.slug_scheme = "safe"
c.KubeSpawner.node_selector = {{"kubernetes.io/hostname": {node!r}}}
{extra}
"""
"""As the JupyterHub chart sets it up: limits, uid and group, and the hub reached at an address of the machine. A POST
is answered when the session is ready, and after 10 s at the latest: JupyterHub's own default, here for both."""
HOMES = """
c.KubeSpawner.pvc_name_template = "home-{username}"
c.KubeSpawner.storage_pvc_ensure = True
c.KubeSpawner.storage_capacity = "1Gi"
c.KubeSpawner.storage_class = ""
c.KubeSpawner.storage_access_modes = ["ReadWriteOnce"]
c.KubeSpawner.volumes = [{"name": "home", "persistentVolumeClaim": {"claimName": "home-{username}"}}]
c.KubeSpawner.volume_mounts = [{"name": "home", "mountPath": "/home/{username}"}]
"""
"""A home as a claim, as the chart gives one, and as ours has."""


@dataclass(frozen=True)
class Place:
    """The cluster, and where its pods reach this machine."""

    client: Client
    machine: str
    own: Cluster

    @classmethod
    def find(cls) -> Place:
        """The cluster of this checkout; RuntimeError when it does not run."""
        own = Cluster()
        if not own.client.answers():
            raise RuntimeError("the cluster does not answer; `make bench-cluster` starts it, so does `make cluster-up`")
        return cls(own.client, str(own.state.addresses.machine), own)


def circumstances(place: Place) -> list[Figure]:
    """On what it ran and how busy that was; printed, and kept beside the figures."""
    load, cores = os.getloadavg()[0], psutil.cpu_count() or 1
    memory = psutil.virtual_memory().total / 2**30
    version = place.client("get", "nodes", "--output", "jsonpath={.items[0].status.nodeInfo.kubeletVersion}")
    print(f"  {cores} cores, {memory:.0f} GiB, Linux {os.uname().release}, Kubernetes {version}; load {load:.2f}")
    if load > BUSY:
        print("  the machine is busy: seconds are only indications, and ratios are noisy", flush=True)
    return [
        Figure("cores of the machine", cores, "1"),
        Figure("load of the machine at the beginning", round(load, 2), "processes"),
    ]


class FarmHub(servers.Server):
    """Our hub, with the spawner of a cluster, in namespaces of its own."""

    def __init__(self, place: Place, changes: Mapping[str, Any], *, kueue: bool) -> None:
        super().__init__()
        self.place, self.changes, self.kueue = place, changes, kueue
        self.stack = ExitStack()

    def start(self) -> None:
        self.farm = self.stack.enter_context(
            farms.running_farm(
                self.place.client,
                self.folder / "farm",
                self.place.machine,
                self.changes,
                more={"AIINFN_BENCH_TOKEN": TOKEN, "AIINFN_TEST_SLOW_START": "10"},
                config=HERE / "cluster_hub.py",
            )
        )
        if not self.kueue:
            self.place.client("label", "namespace", self.farm.namespace, f"{LABEL}-")
        self.url = self.farm.hub.url

    def stop(self) -> None:
        self.stack.close()

    def password(self, name: str) -> str:
        return PASSWORD

    def hub_pid(self) -> int:
        return self.farm.hub.processes["hub"].pid

    def log(self) -> str:
        return self.farm.hub.log[-3000:]


class StockHub(servers.BareHub):
    """JupyterHub with KubeSpawner as it comes, in a namespace of its own that Kueue leaves alone."""

    def __init__(self, place: Place, extra: str = "", *, homes: tuple[str, ...] = ()) -> None:
        self.place, self.namespace = place, f"aiinfn-stock-{uuid.uuid4().hex[:6]}"
        self.homes = homes
        super().__init__(("/bin/sh", "-c", SERVER))
        self.more = extra

    def start(self) -> None:
        self._install()
        super().start()

    def __exit__(self, *_: object) -> None:
        self.stop()
        client = self.place.client
        client("delete", "namespace", self.namespace, "--ignore-not-found", "--wait=false")
        for person in self.homes:
            client("delete", "pv", f"{self.namespace}.home-{person}", "--ignore-not-found", "--wait=false")
        super().__exit__()

    def _install(self) -> None:
        meta = {"name": "hub", "namespace": self.namespace}
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
            "subjects": [{"kind": "ServiceAccount", **meta}],
        }
        client = self.place.client
        client.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
            binding,
            *(self._volume(person) for person in self.homes),
        )
        client("wait", "--for=create", "serviceaccount/default", "--namespace", self.namespace, "--timeout=30s")
        kubeconfig = farms.hub_kubeconfig(client, self.namespace, self.folder)
        self.extra = STOCK.format(
            kubeconfig=str(kubeconfig),
            machine=self.place.machine,
            namespace=self.namespace,
            image=BUSYBOX,
            node=NODE,
            extra=(HOMES if self.homes else "") + service_config(TOKEN) + self.more,
        )

    def _volume(self, person: str) -> dict[str, Any]:
        folder = self.folder / f"home-{person}"
        folder.mkdir()
        folder.chmod(0o777)
        spec = {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": self.namespace, "name": f"home-{person}"},
            "hostPath": {"path": str(folder)},
        }
        name = f"{self.namespace}.home-{person}"
        return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


def service_config(token: str) -> str:
    """What lets a benchmark start anybody's sessions and read the hub's metrics, in a hub's configuration."""
    scopes = ["admin:users", "admin:servers", "list:users", "read:metrics"]
    return f"""
c.JupyterHub.services.append({{"name": "bench", "api_token": {token!r}, "display": False}})
c.JupyterHub.load_roles.append({{"name": "bench", "services": ["bench"], "scopes": {scopes}}})
"""


def chief(server: servers.Server) -> httpx.Client:
    """The hub's REST API as the service of the benchmarks."""
    headers = {"Authorization": f"token {TOKEN}"}
    return httpx.Client(base_url=f"{server.url}/hub/api", headers=headers, timeout=120, trust_env=False)


def hub_seconds(server: servers.Server) -> float:
    """CPU seconds that the hub alone has used."""
    with_children = psutil.Process(server.hub_pid()).cpu_times()
    return float(with_children.user + with_children.system)
