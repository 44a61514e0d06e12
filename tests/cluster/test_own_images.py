"""Our container images run on a cluster that enforces the strictest rules for pods, and prove there that they work."""

from __future__ import annotations

import pytest

from tests.tools.cluster.cluster import Cluster

from .conftest import Kubernetes, has_ended
from .own_images import give_images

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.root, pytest.mark.timeout(1800)]
NAMES = ("hub", "service", "lab", "python", "quantum")
PROOFS = {
    "hub": ("/opt/aiinfn/verify", "the hub answered"),
    "service": ("/opt/aiinfn/verify", "the service answered"),
    "lab": ("/opt/aiinfn/lab/verify", "the hub's single-user server is there: yes"),
    "python": ("/opt/aiinfn/verify", "all checks passed"),
    "quantum": ("/opt/aiinfn/verify", "all checks passed"),
}


@pytest.fixture(scope="module")
def references(own: Cluster) -> dict[str, str]:
    return give_images(own, NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_an_image_proves_itself_in_a_pod(kubernetes: Kubernetes, references: dict[str, str], name: str) -> None:
    program, words = PROOFS[name]
    pod = kubernetes.pod(name, "", image=references[name], imagePullPolicy="Never", command=[program])
    pod["spec"]["securityContext"] |= {"runAsUser": 1000, "runAsGroup": 1000}
    kubernetes.client.apply(pod)
    ended = kubernetes.client.until("pod", name, has_ended, kubernetes.namespace, patience=180)
    log = kubernetes.client("logs", name, "--namespace", kubernetes.namespace)
    assert ended["status"]["phase"] == "Succeeded", log
    assert words in log
