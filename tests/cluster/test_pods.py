"""A pod really runs: names, services, logs, this machine, devices."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.tools.cluster.client import Client
from tests.tools.cluster.cluster import Cluster
from tests.tools.cluster.errors import ClusterError

from .conftest import Kubernetes, has_ended, is_ready

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
DEVICE = "aiinfn.test/slice"


@pytest.fixture(scope="module")
def web(kubernetes: Kubernetes) -> str:
    """A pod that serves one page, and a service in front of it; its address."""
    client, namespace = kubernetes.client, kubernetes.namespace
    client.apply(
        kubernetes.pod("web", "echo hello > /tmp/index.html; httpd -f -p 8080 -h /tmp"),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
        },
    )
    client.until("pod", "web", is_ready, namespace)
    return client.get("service", "web", namespace)["spec"]["clusterIP"]


def test_a_pod_runs_as_whom_it_says_and_its_log_is_read(kubernetes: Kubernetes) -> None:
    assert sorted(kubernetes.output("who", "id -u; echo words; echo more >&2").split()) == ["1000", "more", "words"]


def test_a_pod_that_wants_more_than_it_may_is_refused(kubernetes: Kubernetes) -> None:
    greedy = kubernetes.pod("root", "id", securityContext={"runAsUser": 0, "privileged": True})
    with pytest.raises(ClusterError, match=r'violates PodSecurity "restricted:latest".*privileged'):
        kubernetes.client.apply(greedy)


def test_a_pod_has_no_capability_and_its_system_calls_are_filtered(kubernetes: Kubernetes) -> None:
    said = kubernetes.output("rights", "grep -E '^(CapEff|Seccomp|NoNewPrivs):' /proc/self/status")
    assert said.split() == ["CapEff:", "0000000000000000", "NoNewPrivs:", "1", "Seccomp:", "2"]


def test_a_pod_that_fails_is_seen_as_failed_with_its_exit_code(kubernetes: Kubernetes) -> None:
    kubernetes.client.apply(kubernetes.pod("fails", "exit 7"))
    pod = kubernetes.client.until("pod", "fails", has_ended, kubernetes.namespace)
    assert pod["status"]["phase"] == "Failed"
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 7


def test_a_pod_above_its_memory_is_killed_and_the_reason_is_seen(kubernetes: Kubernetes) -> None:
    greedy = kubernetes.pod(
        "greedy", "head -c 200m /dev/zero | tail", resources={"limits": {"memory": "24Mi"}, "requests": {"cpu": "10m"}}
    )
    kubernetes.client.apply(greedy)
    pod = kubernetes.client.until("pod", "greedy", has_ended, kubernetes.namespace)
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] in ("OOMKilled", "Error")
    assert pod["status"]["phase"] == "Failed"


def test_names_of_services_are_found_short_and_long_and_lead_to_the_pod(kubernetes: Kubernetes, web: str) -> None:
    long = f"web.{kubernetes.namespace}.svc.cluster.local"
    known = f"for second in $(seq 30); do nslookup {long} >/dev/null && break; sleep 1; done"  # DNS hears of it later
    said = kubernetes.output(
        "names",
        f"{known}; nslookup {long} | grep Address; wget -qO- http://web; wget -qO- http://{long}; wget -qO- http://{web}",
    )
    assert web in said
    assert said.split()[-3:] == ["hello"] * 3


def test_a_pod_reaches_itself_through_its_own_service(kubernetes: Kubernetes, web: str) -> None:
    said = kubernetes.client("exec", "web", "--namespace", kubernetes.namespace, "--", "wget", "-qO-", f"http://{web}")
    assert said == "hello\n"


def test_names_that_do_not_exist_are_refused_at_once(kubernetes: Kubernetes) -> None:
    begun = time.monotonic()
    kubernetes.output("nobody", "! nslookup no-such-name.invalid && ! nslookup nothing-here")
    assert time.monotonic() - begun < 30


def test_a_pod_asks_the_api_server_with_its_own_account(kubernetes: Kubernetes) -> None:
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    url = f"https://kubernetes.default.svc/api/v1/namespaces/{kubernetes.namespace}/secrets"
    said = kubernetes.output(
        "asks",
        f'wget --no-check-certificate --header "Authorization: Bearer $(cat {account}/token)" -qO- {url} 2>&1 || true',
    )
    assert "403" in said


def test_this_machine_reaches_services_and_pods_and_pods_reach_this_machine(
    kubernetes: Kubernetes, own: Cluster, web: str
) -> None:
    pod = kubernetes.client.get("pod", "web", kubernetes.namespace)["status"]["podIP"]
    for url in (f"http://{web}/", f"http://{pod}:8080/"):
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert answer.read() == b"hello\n"
    with serving(str(own.state.addresses.machine)) as (port, seen):
        assert kubernetes.output("calls", f"wget -qO- http://{own.state.addresses.machine}:{port}/") == "from outside"
    assert seen == [kubernetes.client.get("pod", "calls", kubernetes.namespace)["status"]["podIP"]]


def test_a_device_that_the_node_declares_is_counted_given_and_given_back(kubernetes: Kubernetes) -> None:
    client = kubernetes.client
    node = json.loads(client("get", "nodes", "--output", "json"))["items"][0]["metadata"]["name"]
    declare(kubernetes, node, "add", 2)
    try:
        client.until("node", node, lambda found: found["status"]["allocatable"].get(DEVICE) == "2")
        for name in ("one", "two", "three"):
            client.apply(kubernetes.pod(f"holds-{name}", "sleep 600", resources={"limits": {DEVICE: "1"}}))
            if name != "three":
                client.until("pod", f"holds-{name}", is_ready, kubernetes.namespace)
        client.until("pod", "holds-three", waits_for_a_device, kubernetes.namespace)
        client("delete", "pod", "holds-one", "--namespace", kubernetes.namespace)
        client.until("pod", "holds-three", is_ready, kubernetes.namespace)
    finally:
        client("delete", "pod", "--namespace", kubernetes.namespace, "--field-selector=metadata.name!=web")
        declare(kubernetes, node, "remove")


def test_what_is_wrong_is_said_in_a_sentence(kubernetes: Kubernetes) -> None:
    with pytest.raises(ClusterError, match=r"(?s)`kubectl get pod no-such-pod .*not found"):
        kubernetes.client("get", "pod", "no-such-pod", "--namespace", kubernetes.namespace)
    with pytest.raises(ClusterError, match="is not as wanted after 1 s"):
        kubernetes.client.until("namespace", kubernetes.namespace, lambda found: False, patience=1)


def declare(kubernetes: Kubernetes, node: str, operation: str, count: int = 0) -> None:
    """Say how many devices a node has, as a device plugin would."""
    declare_device(kubernetes.client, node, DEVICE, operation, count)


def declare_device(client: Client, node: str, device: str, operation: str, count: int = 0) -> None:
    """The same of any device."""
    patch = {"op": operation, "path": f"/status/capacity/{device.replace('/', '~1')}", "value": str(count)}
    client("patch", "node", node, "--subresource=status", "--type=json", "--patch", json.dumps([patch]))


def waits_for_a_device(pod: Any) -> bool:
    return any(f"Insufficient {DEVICE}" in each.get("message", "") for each in pod["status"].get("conditions", []))


@contextmanager
def serving(address: str) -> Iterator[tuple[int, list[str]]]:
    """A web server of this machine on an address that pods reach: its port, and the addresses of those who asked."""
    seen: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.client_address[0])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"from outside")

        def log_message(self, *arguments: object) -> None:
            return

    with ThreadingHTTPServer((address, 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], seen
        server.shutdown()
