"""Hub and platform service of one values file, each a process of its own, on a real cluster."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_aiinfn.api.workloads import JobClass, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.backends.kubernetes.backend import KubernetesBackend
from jupyterhub_aiinfn.backends.kubernetes.manifests import cluster_of
from tests.hub.running_hub import Browser
from tests.tools.cluster.client import Client
from tests.tools.cluster.cluster import Cluster

from .farm import Farm, running_farm
from .test_pods import declare_device
from .test_spawner import server, until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
TINY = {"profile": "tiny", "size": "small", "project": "lab"}
CARD = {"profile": "card", "size": "small", "project": "lab", "accelerator": "card"}
DEVICE = "aiinfn.test/card"
SMALL = {"small": {"cores": 0.1, "memory_gib": 0.0625}}
MORE = {
    "brief": {"name": "Brief", "image": "python", "sizes": SMALL, "max": "1m", "warn": "5s"},
    "waits": {"name": "Waits", "image": "python", "accelerators": ["card"], "sizes": SMALL, "max": "1h", "wait": "2m"},
    "idle": {"name": "Idle", "image": "python", "sizes": SMALL, "max": "1h", "idle": {"after": "1m"}, "warn": "5s"},
}
ONCE = [("closed", "hub"), ("closed", "service"), ("opened", "hub"), ("opened", "service")]
"""What is written of a session that both saw."""


@pytest.fixture(scope="module")
def card(client: Client) -> Iterator[str]:
    """The node, which has one card."""
    node: str = json.loads(client("get", "nodes", "--output", "json"))["items"][0]["metadata"]["name"]
    declare_device(client, node, DEVICE, "add", 1)
    client.until("node", node, lambda found: found["status"]["allocatable"].get(DEVICE) == "1")
    yield node
    declare_device(client, node, DEVICE, "remove")


@pytest.fixture(scope="module")
def farm(client: Client, own: Cluster, card: str) -> Iterator[Farm]:
    """Hub and service, with Kueue."""
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-farm-"))
    folder.chmod(0o711)
    kueue = {"cohort": f"test-{uuid.uuid4().hex[:6]}", "platform_jobs": {"cores": 0.1, "memory_gib": 0.1}}
    changes = {"profiles": MORE, "kubernetes": {"kueue": kueue}}
    with running_farm(client, folder / "wired", str(own.state.addresses.machine), changes) as running:
        running.hub.start_service()
        yield running
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def alice(farm: Farm) -> Iterator[Browser]:
    """Nothing of hers runs afterwards."""
    yield (browser := farm.hub.login("alice"))
    browser.api("DELETE", "/users/alice/server", timeout=120)
    until(lambda: not farm.names("pods"))


def run(farm: Farm, person: Browser, name: str, options: Mapping[str, str]) -> None:
    """Start a session and wait until it answers."""
    assert farm.start(person, name, **options) in (201, 202)
    until(lambda: person.api("GET", f"/users/{name}").json()["servers"].get("", {}).get("ready"))


def sessions(farm: Farm, token: str) -> list[dict[str, Any]]:
    answer = farm.ask("GET", "/sessions", token)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["sessions"]
    return found


def test_a_session_that_the_hub_starts_is_seen_by_the_service(farm: Farm, alice: Browser) -> None:
    token = farm.token("alice")
    run(farm, alice, "alice", TINY)
    until(lambda: [one["phase"] for one in sessions(farm, token)] == ["running"], 10)
    [session], [pod] = sessions(farm, token), farm.all("pods")
    assert session["id"] == pod["metadata"]["labels"]["aiinfn/workload"]
    assert (session["person"], session["server_name"], session["profile"]) == ("alice", "", "tiny")
    alice.api("DELETE", "/users/alice/server", timeout=60)
    until(lambda: not sessions(farm, token), 10)


def test_an_administrator_ends_a_session_through_the_service_and_the_person_reads_why(
    farm: Farm, alice: Browser
) -> None:
    run(farm, alice, "alice", TINY)
    token = farm.token("alice")
    until(lambda: sessions(farm, token), 10)
    [session] = sessions(farm, token)
    stop = {"message": "the farm is being repaired", "notice_seconds": 0}
    refused = farm.ask("POST", f"/sessions/{session['id']}/stop", token, json=stop)
    assert refused.status_code == 403
    administrator = farm.token("admin", "delete:servers", "read:servers")
    assert farm.ask("POST", f"/sessions/{session['id']}/stop", administrator, json=stop).status_code == 200
    until(lambda: not server(alice).get("ready"), 30)
    until(lambda: not farm.names("pods") and not farm.names("secrets"))
    until(lambda: "the farm is being repaired" in alice.get("/hub/home").text, 10)


def told(farm: Farm, workload: str) -> list[tuple[str, str]]:
    return sorted((kind, source) for subject, kind, source in farm.facts() if subject == workload)


def workload_of(farm: Farm) -> str:
    [pod] = farm.all("pods")
    found: str = pod["metadata"]["labels"]["aiinfn/workload"]
    return found


def test_each_start_and_end_is_written_once_by_each_who_saw_it_and_the_hub_forgets_it_then(
    farm: Farm, alice: Browser
) -> None:
    run(farm, alice, "alice", TINY)
    workload = workload_of(farm)
    until(lambda: told(farm, workload) == [("opened", "hub"), ("opened", "service")], 10)
    alice.api("DELETE", "/users/alice/server", timeout=60)
    until(lambda: told(farm, workload) == ONCE, 10)
    record = farm.hub.installation.state.hub / "outbox.jsonl"
    until(lambda: record.read_text() == "", 10)


def test_while_the_service_is_away_sessions_come_and_go_and_it_learns_of_them_afterwards(
    farm: Farm, alice: Browser
) -> None:
    farm.hub.kill("service")
    run(farm, alice, "alice", TINY)
    first = workload_of(farm)
    alice.api("DELETE", "/users/alice/server", timeout=60)
    until(lambda: not farm.names("pods"))
    run(farm, alice, "alice", TINY)
    second = workload_of(farm)
    farm.hub.kill("hub")  # its record is on the disk
    farm.hub.start_hub()
    assert not told(farm, first)
    farm.hub.start_service()
    until(lambda: told(farm, first) == [("closed", "hub"), ("opened", "hub")], 20)
    until(lambda: told(farm, second) == [("opened", "hub"), ("opened", "service")], 20)
    again = farm.hub.login("alice")
    assert again.get("/user/alice/api").status_code == 200
    token = farm.token("alice")
    until(lambda: [one["id"] for one in sessions(farm, token)] == [second], 10)


def test_a_session_that_vanishes_while_nobody_looks_is_closed_once_and_marked(farm: Farm, alice: Browser) -> None:
    run(farm, alice, "alice", TINY)
    workload = workload_of(farm)
    until(lambda: told(farm, workload) == [("opened", "hub"), ("opened", "service")], 10)
    farm.hub.kill("service")
    farm.hub.kill("hub")
    farm.client("delete", "pods", "--all", "--namespace", farm.namespace, "--grace-period=1")
    farm.hub.start_service()
    farm.hub.start_hub()
    again = farm.hub.login("alice")
    until(lambda: not server(again).get("ready"), 30)
    until(lambda: told(farm, workload)[0] == ("closed", "hub"), 30)
    assert farm.inferred(workload) == [("closed", "hub")]
    run(farm, again, "alice", TINY)
    assert told(farm, workload) == [("closed", "hub"), ("opened", "hub"), ("opened", "service")]


def test_a_service_that_is_killed_again_and_again_has_everything_once(farm: Farm, alice: Browser) -> None:
    seen = []
    for _ in range(3):
        run(farm, alice, "alice", TINY)
        seen.append(workload_of(farm))
        farm.hub.kill("service")
        alice.api("DELETE", "/users/alice/server", timeout=60)
        until(lambda: not farm.names("pods"))
        farm.hub.start_service()
    for workload in seen:
        until(lambda workload=workload: {("opened", "hub"), ("closed", "hub")} <= set(told(farm, workload)), 20)
        assert len(told(farm, workload)) == len(set(told(farm, workload)))


def test_an_idle_session_and_one_at_its_longest_life_end_and_their_people_read_why(farm: Farm, alice: Browser) -> None:
    bob = farm.hub.login("bob")
    run(farm, alice, "alice", TINY | {"profile": "idle"})
    workload = workload_of(farm)
    run(farm, bob, "bob", TINY | {"profile": "brief"})
    [secret] = [one for one in farm.all("secrets") if one["metadata"]["name"].startswith("alice-")]
    token = base64.b64decode(secret["data"]["JUPYTERHUB_API_TOKEN"]).decode()
    said = {"running_cells": 0, "cpu_cores": 0, "network_bytes_per_second": 0}

    def idle_session_is_gone() -> bool:
        farm.ask("POST", f"/sessions/{workload}/reports", token, json=said)
        return not server(alice).get("ready")

    until(idle_session_is_gone, 150)
    until(lambda: "nothing ran in it for 1 minute" in alice.get("/hub/home").text, 10)
    until(lambda: "it reached its longest life" in bob.get("/hub/home").text, 60)
    until(lambda: not farm.names("pods") and not farm.names("secrets"))
    assert told(farm, workload) == ONCE


def free(farm: Farm, token: str) -> tuple[int, int]:
    """Cards in all and in use, for the owner of a token."""
    found = farm.ask("GET", "/availability", token).json()["devices"]["card"]
    return found["total"], found["used"]


def test_what_is_free_is_told_to_whoever_looks_on_the_page_and_to_programs(
    farm: Farm, alice: Browser, card: str
) -> None:
    token, stranger = farm.token("alice"), farm.token("carol")
    until(lambda: free(farm, stranger) == (1, 0), 10)
    until(lambda: "1 of 1 free" in alice.get("/hub/spawn").text, 10)
    farm.client("cordon", card)
    until(lambda: free(farm, token) == (0, 0), 10)
    farm.client("uncordon", card)
    until(lambda: free(farm, stranger) == (1, 0), 10)
    farm.client("taint", "node", card, "reserved=lab:NoSchedule")
    try:
        until(lambda: free(farm, stranger) == (0, 0), 10)
        until(lambda: free(farm, token) == (1, 0), 10)
        until(lambda: "1 of 1 free" in alice.get("/hub/spawn").text, 10)
        assert "reserved" not in json.dumps(
            [one["reserved"] or [] for one in farm.ask("GET", "/availability", token).json()["devices"].values()]
        )
    finally:
        farm.client("taint", "node", card, "reserved=lab:NoSchedule-")
    until(lambda: free(farm, stranger) == (1, 0), 10)


def test_who_comes_second_reads_when_the_card_is_free_at_the_latest(farm: Farm, alice: Browser) -> None:
    token, bob = farm.token("alice"), farm.hub.login("bob")
    run(farm, alice, "alice", CARD)
    begun = time.monotonic()
    until(lambda: free(farm, token) == (1, 1), 10)
    assert time.monotonic() - begun < 5
    until(lambda: "1 of 1 &#34;Test card&#34; is in use; one is expected free at" in bob.get("/hub/spawn").text, 10)
    answer = bob.api("POST", "/users/bob/server", json=CARD)
    assert answer.status_code == 409
    assert '1 of 1 "Test card" is in use; one is expected free at' in answer.json()["message"]
    assert len(farm.names("pods")) == 1
    alice.api("DELETE", "/users/alice/server", timeout=60)
    until(lambda: free(farm, token) == (1, 0), 10)


def test_who_may_wait_is_not_refused_and_has_the_card_when_it_is_free(farm: Farm, alice: Browser) -> None:
    token, bob = farm.token("alice"), farm.hub.login("bob")
    run(farm, alice, "alice", CARD)
    until(lambda: free(farm, token) == (1, 1), 10)
    until(lambda: "a session waits for its turn, at most 2 minutes" in bob.get("/hub/spawn").text, 10)
    try:
        assert bob.api("POST", "/users/bob/server", json=CARD | {"profile": "waits"}).status_code == 202
        until(lambda: len(farm.names("pods")) == 2)
        until(lambda: free(farm, token)[1] == 2, 10)  # who waits is counted
        alice.api("DELETE", "/users/alice/server", timeout=60)
        until(lambda: bob.api("GET", "/users/bob").json()["servers"].get("", {}).get("ready"))
    finally:
        bob.api("DELETE", "/users/bob/server", timeout=120)


def test_batch_is_counted_and_gives_way(farm: Farm, client: Client, alice: Browser) -> None:
    token = farm.token("alice")
    until(lambda: free(farm, token) == (1, 0), 30)
    job = asyncio.run(start_batch(farm, client))
    try:
        until(lambda: "Running" in batch_pods(farm))
        until(lambda: free(farm, token) == (1, 1), 30)
        until(lambda: "1 of 1 free" in alice.get("/hub/spawn").text, 10)  # what gives way keeps nobody from starting
        run(farm, alice, "alice", CARD | {"profile": "waits"})
        assert told(farm, job) == [("opened", "service")]  # it waits for its turn again, and has not ended
        assert "Running" not in batch_pods(farm)
    finally:
        asyncio.run(end_batch(farm, client, job))
    until(lambda: told(farm, job) == [("closed", "service"), ("opened", "service")], 30)


def batch_pods(farm: Farm) -> str:
    """The phases of the pods of jobs."""
    namespace = cluster_of(farm.values).jobs_namespace
    return farm.client("get", "pods", "--namespace", namespace, "--output", "jsonpath={.items[*].status.phase}")


async def start_batch(farm: Farm, client: Client) -> str:
    """A batch job that holds the card until it is asked to end, as an administrator."""
    backend = await KubernetesBackend.open(farm.values, Path(client.kubeconfig))
    spec = WorkloadSpec(
        kind=WorkloadKind.job,
        name="batch",
        command=("/bin/sh", "-c", "trap 'exit 0' TERM; sleep 600 & wait"),
        cores=0.1,
        memory_gib=0.0625,
        job_class=JobClass.batch,
        project="lab",
        image="python",
        accelerator="card",
        accelerator_count=1,
        max_seconds=600,
    )
    try:
        return (await backend.start(spec)).id
    finally:
        await backend.close()


async def end_batch(farm: Farm, client: Client, job: str) -> None:
    backend = await KubernetesBackend.open(farm.values, Path(client.kubeconfig))
    try:
        await backend.stop(job)
    finally:
        await backend.close()
