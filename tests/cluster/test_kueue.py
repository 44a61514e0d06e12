"""Kueue really queues: a job is admitted through a queue, another waits with a place in the line, then has its turn."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from .conftest import Kubernetes, is_ready

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
KUEUE = "kueue.x-k8s.io/v1beta2"
QUEUE = "kueue.x-k8s.io/queue-name"


@pytest.fixture(scope="module")
def queue(kubernetes: Kubernetes) -> Iterator[str]:
    """A queue with room for one core, of a namespace of its own; its name."""
    client, namespace = kubernetes.client, kubernetes.namespace
    name = f"{namespace}-cores"
    quota = {"name": "cpu", "nominalQuota": "1"}
    memory = {"name": "memory", "nominalQuota": "1Gi"}
    client.apply(
        {"apiVersion": KUEUE, "kind": "ResourceFlavor", "metadata": {"name": name}},
        {
            "apiVersion": KUEUE,
            "kind": "ClusterQueue",
            "metadata": {"name": name},
            "spec": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "resourceGroups": [
                    {
                        "coveredResources": ["cpu", "memory"],
                        "flavors": [{"name": name, "resources": [quota, memory]}],
                    }
                ],
            },
        },
        {
            "apiVersion": KUEUE,
            "kind": "LocalQueue",
            "metadata": {"name": "cores", "namespace": namespace},
            "spec": {"clusterQueue": name},
        },
    )
    yield "cores"
    client("delete", "localqueue", "cores", "--namespace", namespace)
    client("delete", "clusterqueue", name)
    client("delete", "resourceflavor", name)


@pytest.fixture(autouse=True)
def emptied(kubernetes: Kubernetes) -> Iterator[None]:
    """No test leaves to the next one what holds its cores."""
    yield
    kubernetes.client("delete", "jobs,pods", "--all", "--namespace", kubernetes.namespace)


def job(kubernetes: Kubernetes, name: str, queue: str | None, script: str = "echo done") -> dict[str, Any]:
    asked = {"requests": {"cpu": "1", "memory": "16Mi"}}
    pod = kubernetes.pod(name, script, resources=asked)["spec"]
    labels = {QUEUE: queue} if queue else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": kubernetes.namespace, "labels": labels},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def test_a_job_is_admitted_through_its_queue_and_ends(kubernetes: Kubernetes, queue: str) -> None:
    kubernetes.client.apply(job(kubernetes, "admitted", queue))
    kubernetes.client.until("job", "admitted", succeeded, kubernetes.namespace)
    [workload] = workloads_of(kubernetes, "admitted")
    held = {each["type"]: each["status"] for each in workload["status"]["conditions"]}
    assert (held["QuotaReserved"], held["Admitted"]) == ("True", "True")
    assert workload["status"]["admission"]["clusterQueue"] == f"{kubernetes.namespace}-cores"


def test_who_waits_has_a_place_in_the_line_and_takes_its_turn(kubernetes: Kubernetes, queue: str) -> None:
    client, namespace = kubernetes.client, kubernetes.namespace
    client.apply(job(kubernetes, "holds", queue, "sleep 600"))
    client.until("job", "holds", lambda found: found["status"].get("ready"), namespace)
    client.apply(job(kubernetes, "first", queue))
    client.until("job", "first", is_suspended, namespace)
    time.sleep(1.1)  # Kueue orders by the second in which they were made; within one the order is any
    client.apply(job(kubernetes, "second", queue))
    places = line(kubernetes, queue, 2)
    assert [name.partition("-")[2].rpartition("-")[0] for name in places] == ["first", "second"]
    client("delete", "job", "holds", "--namespace", namespace)
    for name in ("first", "second"):
        client.until("job", name, succeeded, namespace)
    assert line(kubernetes, queue, 0) == []


def test_a_pod_waits_behind_a_gate_until_there_is_room(kubernetes: Kubernetes, queue: str) -> None:
    client, namespace = kubernetes.client, kubernetes.namespace
    client.apply(job(kubernetes, "before", queue, "sleep 600"))
    client.until("job", "before", lambda found: found["status"].get("ready"), namespace)
    pod = kubernetes.pod("gated", "sleep 600", resources={"requests": {"cpu": "1", "memory": "16Mi"}})
    pod["metadata"]["labels"][QUEUE] = queue
    client.apply(pod)
    client.until("pod", "gated", lambda found: reason(found) == "SchedulingGated", namespace)
    client("delete", "job", "before", "--namespace", namespace)
    client.until("pod", "gated", is_ready, namespace)


def test_what_names_no_queue_is_left_alone(kubernetes: Kubernetes, queue: str) -> None:
    kubernetes.client.apply(job(kubernetes, "free", None))
    kubernetes.client.until("job", "free", succeeded, kubernetes.namespace)
    assert workloads_of(kubernetes, "free") == []


def succeeded(found: Mapping[str, Any]) -> bool:
    return found["status"].get("succeeded") == 1


def is_suspended(found: Mapping[str, Any]) -> bool:
    return found["spec"].get("suspend") is True


def reason(pod: Mapping[str, Any]) -> str | None:
    scheduled = [each for each in pod["status"].get("conditions", []) if each["type"] == "PodScheduled"]
    return scheduled[0].get("reason") if scheduled else None


def workloads_of(kubernetes: Kubernetes, name: str) -> list[Mapping[str, Any]]:
    """The workloads that Kueue made for a job."""
    said = kubernetes.client("get", "workloads", "--namespace", kubernetes.namespace, "--output", "json")
    return [each for each in json.loads(said)["items"] if each["metadata"]["ownerReferences"][0]["name"] == name]


def line(kubernetes: Kubernetes, queue: str, length: int) -> list[str]:
    """The names of the workloads that wait in a queue, in order, by the visibility API, once it shows so many."""
    path = f"/apis/visibility.{KUEUE}/namespaces/{kubernetes.namespace}/localqueues/{queue}/pendingworkloads"
    deadline = time.monotonic() + 30
    while len(found := json.loads(kubernetes.client("get", f"--raw={path}"))["items"]) != length:
        assert time.monotonic() < deadline, found
    assert [each["positionInLocalQueue"] for each in found] == list(range(length))
    return [each["metadata"]["name"] for each in found]
