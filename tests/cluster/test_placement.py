"""On which node a session comes: the cluster's own scheduler decides, between real and fake nodes of a farm.

KWOK answers for the fake ones, and for pods on them, in which nothing runs: each start is cancelled when it has a node.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.tools.cluster.client import Client
from tests.tools.cluster.cluster import Cluster
from tests.tools.cluster.place import NODE

from .conftest import is_ready
from .farm import Farm, running_farm
from .people import Visitor, until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
RESOURCE = "aiinfn.test/card"
SIZES = {"small": {"cores": 0.1, "memory_gib": 0.0625}}
DEAR, CHEAP = {"model": "dear"}, {"model": "cheap"}


@pytest.fixture(scope="module")
def prefix() -> str:
    return f"fake-{uuid.uuid4().hex[:6]}"


@pytest.fixture(scope="module")
def farm(client: Client, own: Cluster, prefix: str) -> Iterator[Farm]:
    """Nodes with a dear card, with a cheap one, with none, and one with a dear card that is reserved for the lab."""
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-farm-"))
    folder.chmod(0o711)
    card = {"type": "gpu", "resource": RESOURCE}
    sessions = {"pull": "Never", "stop_grace": "5s", "shm_gib": 0.0625}
    changes: dict[str, Any] = {
        "accelerators": {
            "card": card | {"name": "Of no node", "resource": "aiinfn.test/none"},
            "dear": card | {"name": "Dear", "node_selector": DEAR, "preference_weight": 1},
            "cheap": card | {"name": "Cheap", "node_selector": CHEAP, "preference_weight": 90},
        },
        "nodes": {"lab": {"selector": {"pool": "lab"}, "taint": "reserved=lab"}},
        "kubernetes": {"sessions": sessions},
        "projects": {"lab": {"groups": ["lab"]}, "others": {"groups": ["users"]}},
        "profiles": {
            "plain": {"name": "Plain", "image": "python", "sizes": SIZES, "max": "1h"},
            "card": {
                "name": "Card",
                "image": "python",
                "accelerators": ["dear", "cheap"],
                "sizes": SIZES,
                "max": "1h",
            },
        },
    }
    try:
        with ExitStack() as stack:
            names = [f"{prefix}-{name}" for name in ("dear", "cheap", "bare", "lab")]
            stack.callback(client, "delete", "nodes", "--ignore-not-found", *names)
            client.apply(
                fake_node(names[0], DEAR, 1),
                fake_node(names[1], CHEAP, 1),
                fake_node(names[2], {}, 0),
                fake_node(names[3], DEAR | {"pool": "lab"}, 1, "lab"),
            )
            for name in names:
                client.until("node", name, is_ready)
            machine = str(own.state.addresses.machine)
            homes = ("alice", "bob", "carol")
            yield stack.enter_context(running_farm(client, folder / "nodes", machine, changes, with_homes=homes))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fake_node(name: str, labels: dict[str, str], count: int, reserved: str = "") -> dict[str, Any]:
    holds = {"cpu": "32", "memory": "64Gi", "pods": "110", RESOURCE: str(count)}
    taints = [{"key": "reserved", "value": reserved, "effect": "NoSchedule"}] if reserved else []
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "spec": {"taints": taints},
        "status": {"capacity": holds, "allocatable": holds},
    }


@contextmanager
def begun(person: Visitor, project: str, accelerator: str = "") -> Iterator[dict[str, Any]]:
    """A start, as its pod stands when the scheduler has decided."""
    profile = {"profile": "card", "accelerator": accelerator} if accelerator else {"profile": "plain"}
    person.begin(**profile, project=project, size="small")
    try:
        yield until(lambda: decided(person.pod()))
    finally:
        person.stop()
        until(person.nothing_is_left)


def decided(pod: dict[str, Any]) -> dict[str, Any] | None:
    conditions = pod["status"].get("conditions", [])
    return pod if any(one["type"] == "PodScheduled" for one in conditions) else None


def node_of(pod: dict[str, Any], prefix: str) -> str:
    """The node without the prefix of this run; empty when it has none."""
    return str(pod["spec"].get("nodeName", "")).removeprefix(f"{prefix}-")


def test_a_device_is_required_and_never_another_one(farm: Farm, prefix: str) -> None:
    bob, carol = Visitor.of(farm, "bob"), Visitor.of(farm, "carol")
    with begun(carol, "others", "cheap") as pod:
        assert node_of(pod, prefix) == "cheap"
        assert pod["spec"]["nodeSelector"] == CHEAP
        assert pod["spec"]["containers"][0]["resources"]["limits"][RESOURCE] == "1"
        with begun(bob, "lab", "cheap") as second:  # a dear one is free, in the reserved node and in another
            assert node_of(second, prefix) == ""
            assert second["spec"]["nodeSelector"] == CHEAP


def test_members_have_the_reserved_node_and_nobody_else_ever_does(farm: Farm, prefix: str) -> None:
    alice, bob, carol = (Visitor.of(farm, name) for name in ("alice", "bob", "carol"))
    with begun(bob, "lab", "dear") as members:
        assert node_of(members, prefix) == "lab"
        with begun(carol, "others", "dear") as others:
            assert node_of(others, prefix) == "dear"
    farm.client("cordon", f"{prefix}-dear")
    try:
        with begun(carol, "others", "dear") as others:
            assert node_of(others, prefix) == ""
            assert "those are reserved for others or out of order" in progress(carol)
        with begun(alice, "lab", "dear") as members:
            assert node_of(members, prefix) == "lab"
    finally:
        farm.client("uncordon", f"{prefix}-dear")


def progress(person: Visitor) -> str:
    """What the page of progress says, as it is served."""
    return until(lambda: said(person))


def said(person: Visitor) -> str:
    text = person.browser.get(f"/hub/spawn-pending/{person.name}").text
    return text if "reserved" in text else ""


def test_who_needs_no_device_is_kept_off_the_valuable_ones(farm: Farm, prefix: str) -> None:
    carol = Visitor.of(farm, "carol")
    client = farm.client
    client("cordon", NODE)
    try:
        with begun(carol, "others") as pod:
            assert node_of(pod, prefix) == "bare"
        client("cordon", f"{prefix}-bare")
        with begun(carol, "others") as pod:
            assert node_of(pod, prefix) == "cheap"
        client("cordon", f"{prefix}-cheap")
        with begun(carol, "others") as pod:
            assert node_of(pod, prefix) == "dear"
    finally:
        client("uncordon", NODE, f"{prefix}-bare", f"{prefix}-cheap")
