"""The cluster of the tests marked ``cluster``: the one of KUBECONFIG, or else this checkout's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.tools.cluster.client import HARMLESS, Client
from tests.tools.cluster.cluster import Cluster
from tests.tools.cluster.images import BUSYBOX


@dataclass(frozen=True)
class Kubernetes:
    """A cluster, and a namespace of it that is the test module's own."""

    client: Client
    namespace: str
    image: str = BUSYBOX

    def pod(self, name: str, script: str, **spec: Any) -> dict[str, Any]:
        """A pod that runs a script of the shell, once, with as few rights as can be; ``spec``: the container's."""
        container = {
            "name": "main",
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", script],
            "securityContext": HARMLESS["containers"][0]["securityContext"],
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": self.namespace, "labels": {"app": name}},
            "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 1,
                "securityContext": HARMLESS["securityContext"],
                "containers": [container | spec],
            },
        }

    def output(self, name: str, script: str) -> str:
        """What a script prints that runs in a pod; the pod must succeed."""
        self.client.apply(self.pod(name, script))
        ended = self.client.until("pod", name, has_ended, self.namespace)
        log = self.client("logs", name, "--namespace", self.namespace)
        assert ended["status"]["phase"] == "Succeeded", log
        return log


def has_ended(pod: Any) -> bool:
    return pod["status"].get("phase") in ("Succeeded", "Failed")


def is_ready(pod: Any) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


@pytest.fixture(scope="session")
def client(pytestconfig: pytest.Config) -> Client:
    given = os.environ.get("KUBECONFIG") if pytestconfig.getoption("--cluster") else None
    found = Client.of(given) if given else Cluster().client
    assert found.answers(), "the cluster does not answer; `make cluster-status` says what runs of it"
    return found


@pytest.fixture(scope="session")
def own(client: Client) -> Cluster:
    """This checkout's own cluster, whose parts may be stopped."""
    cluster = Cluster()
    if client.kubeconfig != str(cluster.place.kubeconfig):
        pytest.skip("only this checkout's own cluster may be disturbed, not the one of KUBECONFIG")
    return cluster


@pytest.fixture(scope="module")
def kubernetes(client: Client) -> Iterator[Kubernetes]:
    with client.namespace(**{"aiinfn/kueue": "yes", "pod-security.kubernetes.io/enforce": "restricted"}) as namespace:
        yield Kubernetes(client, namespace, os.environ.get("AIINFN_TEST_IMAGE", BUSYBOX))
