"""The parts of this checkout's own cluster: stopped, killed and started again, with what runs on it unharmed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jupyterhub_aiinfn.backends.local.processes import ProcessIdentity
from tests.tools.cluster import namespaces
from tests.tools.cluster.cluster import Cluster
from tests.tools.cluster.errors import ClusterError
from tests.tools.cluster.place import NODE

from .conftest import Kubernetes, is_ready

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.root]
CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pod(kubernetes: Kubernetes, own: Cluster) -> str:
    kubernetes.client.apply(kubernetes.pod("stays", "echo started; sleep 6000"))
    kubernetes.client.until("pod", "stays", is_ready, kubernetes.namespace)
    return "stays"


def command(name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.tools.cluster", name],
        cwd=CHECKOUT,
        env={key: value for key, value in os.environ.items() if key != "KUBECONFIG"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_up_once_more_finds_everything_there_and_starts_nothing(own: Cluster) -> None:
    before, begun = own.state.processes, time.monotonic()
    said = command("up")
    assert said.returncode == 0, said.stderr
    assert own.state.processes == before
    assert f"export KUBECONFIG={own.place.kubeconfig}" in said.stdout
    assert " built " not in said.stdout
    assert time.monotonic() - begun < 30


def test_a_given_cluster_is_used_and_nothing_is_started(tmp_path: Path) -> None:
    said = command("up", KUBECONFIG=str(tmp_path / "theirs"))
    assert (said.returncode, said.stdout.count("\n")) == (0, 1)
    assert "is used, nothing is started" in said.stdout


def test_status_names_every_part(own: Cluster) -> None:
    said = command("status")
    assert said.returncode == 0, said.stderr
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "containerd", "kubelet"):
        assert f"{name} " in said.stdout
    assert "does not run" not in said.stdout


def test_a_pod_outlives_the_servers_and_the_kubelet(kubernetes: Kubernetes, own: Cluster, pod: str) -> None:
    before = kubernetes.client.get("pod", pod, kubernetes.namespace)["status"]["containerStatuses"][0]["containerID"]
    for name, end in (("kubelet", own.stop), ("kube-apiserver", own.kill), ("etcd", own.stop), ("etcd", own.kill)):
        end(name)
        assert not own.state.alive(name)
        own.start(name)
    wait_until_it_answers(own)
    found = kubernetes.client.until("pod", pod, is_ready, kubernetes.namespace)
    assert found["status"]["containerStatuses"][0]["containerID"] == before
    assert found["status"]["containerStatuses"][0]["restartCount"] == 0


def test_up_starts_again_what_was_killed_and_nothing_else(own: Cluster) -> None:
    before = own.state.processes
    own.kill("kube-scheduler")
    assert not own.is_up()
    said = command("up")
    assert said.returncode == 0, said.stderr
    assert "started kube-scheduler (" in said.stdout
    after = own.state.processes
    assert {name for name in after if after[name] != before[name]} == {"kube-scheduler"}


def test_a_part_that_there_is_not_is_refused_with_the_names_of_those_there_are(own: Cluster) -> None:
    with pytest.raises(
        ClusterError, match=r"'kube-nonsense' is no part of the cluster; its parts are containerd, etcd"
    ):
        own.stop("kube-nonsense")
    with pytest.raises(ClusterError, match="'kube-nonsense' is no part of the cluster"):
        own.start("kube-nonsense")


def test_all_of_it_lives_in_namespaces_of_its_own(own: Cluster) -> None:
    first = own.state.first
    assert isinstance(first, ProcessIdentity)
    for kind in ("net", "mnt", "pid"):
        of_cluster = namespace(first.pid, kind)
        assert of_cluster != namespace(os.getpid(), kind)
        assert all(namespace(each.pid, kind) == of_cluster for each in own.state.processes.values())
    assert str(own.place.folder) not in Path("/proc/self/mountinfo").read_text()
    assert "KUBE-SERVICES" in namespaces.run_inside(own.state, "iptables-save")
    assert NODE in own.client("get", "nodes", "--output", "name")


def namespace(pid: int, kind: str) -> int:
    return Path(f"/proc/{pid}/ns/{kind}").stat().st_ino


def wait_until_it_answers(cluster: Cluster) -> None:
    deadline = time.monotonic() + 60
    while not cluster.client.answers():
        assert time.monotonic() < deadline, "the API server did not come back"
        time.sleep(0.2)
