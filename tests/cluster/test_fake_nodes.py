"""Hundreds of nodes without machines: KWOK answers for them, and for the pods that are put on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.tools.cluster.cluster import Cluster

from .conftest import Kubernetes, is_ready

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
COUNT = 20


@pytest.fixture(scope="module")
def nodes(kubernetes: Kubernetes, own: Cluster) -> Iterator[list[str]]:
    names = [f"{kubernetes.namespace}-{number}" for number in range(COUNT)]
    kubernetes.client.apply(*(fake_node(name, kubernetes.namespace) for name in names))
    yield names
    kubernetes.client("delete", "pods", "--all", "--namespace", kubernetes.namespace, "--force")
    kubernetes.client("delete", "nodes", *names)


def fake_node(name: str, group: str) -> dict[str, Any]:
    holds = {"cpu": "32", "memory": "256Gi", "pods": "110", "nvidia.com/gpu": "4"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"group": group, "kubernetes.io/hostname": name},
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "spec": {"taints": [{"key": "fake", "effect": "NoSchedule"}]},
        "status": {"capacity": holds, "allocatable": holds},
    }


def test_pods_are_spread_over_fake_nodes_and_run_there(kubernetes: Kubernetes, nodes: list[str]) -> None:
    client, namespace = kubernetes.client, kubernetes.namespace
    for name in nodes:
        client.until("node", name, is_ready)
    pods = []
    for number in range(COUNT):
        pod = kubernetes.pod(f"fake-{number}", "sleep 600", resources={"limits": {"nvidia.com/gpu": "4"}})
        pod["spec"] |= {"nodeSelector": {"group": namespace}, "tolerations": [{"key": "fake", "operator": "Exists"}]}
        pods.append(pod)
    client.apply(*pods)
    placed = [client.until("pod", f"fake-{number}", is_ready, namespace)["spec"]["nodeName"] for number in range(COUNT)]
    assert sorted(placed) == sorted(nodes)
