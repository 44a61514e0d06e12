"""What goes wrong on a cluster, on a real one: the person reads a sentence, the hub lives, nothing stays behind."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tools.cluster.client import Client
from tests.tools.cluster.cluster import Cluster

from .away import kueue_away
from .farm import PASSWORD, Farm, running_farm
from .farm_queues import DEVICE, card_profile, cards, have_cards, queues
from .network_relay import Cut
from .people import TINY, Visitor, leave_nothing, until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
CARD = {"profile": "card", "project": "lab", "accelerator": "card", "size": "small"}


@pytest.fixture(scope="module")
def cut(own: Cluster) -> Iterator[Cut]:
    """What lies between hub and API server."""
    cut = Cut(str(own.state.addresses.node), 6443)
    yield cut
    cut.close()


@pytest.fixture(scope="module")
def node(client: Client, own: Cluster) -> Iterator[str]:
    """The node, which has two cards."""
    with cards(client, 2) as node:
        yield node


@pytest.fixture(scope="module")
def farm(client: Client, own: Cluster, node: str, cut: Cut) -> Iterator[Farm]:
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-farm-"))
    folder.chmod(0o711)
    changes = {
        "kubernetes": queues(),
        "profiles": {"card": card_profile("Card", wait="5m")},
        "storage": {"scratch": {"kind": "node", "gib": 0.03}},
        "limits": {"start_timeout": "15s"},
    }
    try:
        with running_farm(
            client, folder / "faults", str(own.state.addresses.machine), changes, server=f"https://127.0.0.1:{cut.port}"
        ) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def tidy(farm: Farm) -> Iterator[None]:
    yield
    leave_nothing(farm)


@pytest.fixture
def alice(farm: Farm) -> Visitor:
    return Visitor.of(farm, "alice")


@pytest.fixture
def bob(farm: Farm) -> Visitor:
    return Visitor.of(farm, "bob")


@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "is silent"])
def test_while_the_hub_does_not_reach_the_api_server_nothing_has_ended_and_then_what_was_deleted_has(
    farm: Farm, alice: Visitor, cut: Cut, silent: bool
) -> None:
    assert alice.start()
    assert alice.start("second", **TINY)
    goes = alice.pod("second")["metadata"]["name"]
    with cut.cut(silent=silent):
        farm.client("delete", "pod", goes, "--namespace", farm.namespace)
        until_over = time.monotonic() + 10
        while time.monotonic() < until_over:
            assert alice.ready()
            assert alice.ready("second")
            time.sleep(0.5)
    until(lambda: not alice.ready("second"), 30)
    assert alice.ready()
    assert alice.start("second", **TINY)


def test_the_silence_of_the_cluster_is_a_metric(farm: Farm, alice: Visitor) -> None:
    assert alice.start()
    text = Visitor.of(farm, "admin").browser.get("/hub/metrics").text
    [line] = [line for line in text.splitlines() if line.startswith("aiinfn_hub_pods_silence_seconds ")]
    assert 0 <= float(line.split()[1]) < 15


def test_a_restart_of_etcd_ends_nothing(farm: Farm, alice: Visitor, bob: Visitor, own: Cluster) -> None:
    assert alice.start()
    own.kill("etcd")
    time.sleep(3)
    own.start("etcd")
    until(farm.client.answers)
    assert alice.ready()
    assert bob.start()
    assert alice.ready()


def test_while_kueue_is_away_nothing_starts_and_who_waits_goes_on_waiting(
    farm: Farm, alice: Visitor, bob: Visitor, node: str
) -> None:
    have_cards(farm.client, node, 2)
    assert alice.start(**CARD)
    assert bob.start(**CARD)
    bob.begin("second", **CARD)
    until(lambda: len(farm.names("workloads")) == 3)
    with kueue_away(farm.client):
        alice.begin("second", **TINY)
        assert "the queues of the cluster do not answer, so nothing can be started" in alice.sentence("second")
        alice.stop()
        assert bob.server("second")["pending"] == "spawn"
    until(lambda: bob.ready("second"), 120)
    assert alice.start("second", **TINY)


def test_what_is_admitted_and_fits_on_no_node_ends_in_words_and_gives_its_place_back(
    farm: Farm, alice: Visitor, bob: Visitor, node: str
) -> None:
    assert alice.start(**CARD)
    have_cards(farm.client, node, 1)  # the quota says two
    try:
        bob.begin(**CARD)
        sentence = bob.sentence()
        assert "the session was not ready within 15 seconds: the device that was chosen is not free" in sentence
        assert "try again later or choose another" in sentence
        until(lambda: held_cards(farm) == 1)
        assert len(farm.names("pods")) == 1
    finally:
        have_cards(farm.client, node, 2)
    assert bob.start(**CARD)


def held_cards(farm: Farm) -> int:
    """How many cards the queue of sessions says are held."""
    assert farm.values.kubernetes is not None
    assert farm.values.kubernetes.kueue is not None
    queue = farm.client.get("clusterqueue", f"{farm.values.kubernetes.kueue.cohort}-sessions")
    used = [one for flavor in queue["status"]["flavorsReservation"] for one in flavor["resources"]]
    return sum(int(one["total"]) for one in used if one["name"] == DEVICE)


def test_who_uses_more_memory_than_there_is_reads_how_much_it_was(farm: Farm, alice: Visitor) -> None:
    assert alice.start()
    alice.run("kill -USR1 1")
    until(lambda: not alice.ready(), 30)
    said = alice.last_end()
    assert "it used more memory than it may (at most 0.0625 GiB were in use)" in said
    assert "choose a larger size, or load less at a time" in said


def test_who_fills_the_scratch_space_reads_it(farm: Farm, alice: Visitor) -> None:
    assert alice.start()
    alice.run("head -c 60m /dev/zero > /scratch/all")
    until(lambda: not alice.ready(), 45)
    said = alice.last_end()
    assert "it wrote more than the 31Mi that it may to /scratch, so it was ended" in said, said


def test_who_is_evicted_because_the_node_is_drained_reads_it(farm: Farm, alice: Visitor, node: str) -> None:
    assert alice.start()
    client, names = farm.client, "app.kubernetes.io/component=session"
    options = ("--force", "--delete-emptydir-data", "--ignore-daemonsets", "--pod-selector", names)
    try:
        client("drain", node, *options)
        until(lambda: not alice.ready(), 30)
        said = alice.last_end()
        assert "its node is being emptied for maintenance, so it was ended" in said
        assert "start it again, files in the home are kept" in said
        alice.begin()
        assert "the nodes for it are closed for maintenance; try again later" in alice.sentence()
    finally:
        client("uncordon", node)
    assert alice.start()


def test_a_create_that_fails_logs_no_manifest_and_no_secret(farm: Farm, alice: Visitor) -> None:
    quota: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "full", "namespace": farm.namespace},
        "spec": {"hard": {"pods": "0"}},
    }
    farm.client.apply(quota)
    try:
        farm.client.until("resourcequota", "full", lambda found: found.get("status"), farm.namespace)
        before = len(farm.hub.log)
        alice.begin()
        sentence = alice.sentence()
        assert "the space that the cluster has for this is used up; try again when something has ended" in sentence
        written = farm.hub.log[before:]
        assert "could not start the session" in written
        for word in (PASSWORD, "secretKeyRef", "stringData", "securityContext"):
            assert word not in written
            assert word not in sentence
        assert PASSWORD not in json.dumps(farm.all("events"))
    finally:
        farm.client("delete", "resourcequota", "full", "--namespace", farm.namespace)
    until(farm.nothing_is_left)
    assert alice.start()
