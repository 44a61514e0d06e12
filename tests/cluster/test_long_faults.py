"""Faults that take minutes, because Kubernetes takes minutes to act on them: `make test-slow`."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.cluster import addons
from tests.tools.cluster.client import Client
from tests.tools.cluster.cluster import Cluster
from tests.tools.cluster.place import NODE

from .away import api_server_away
from .conftest import is_ready
from .farm import Farm, running_farm
from .network_relay import Cut
from .people import TINY, Visitor, leave_nothing, until
from .test_fake_nodes import fake_node

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.fault_minutes, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def cut(own: Cluster) -> Iterator[Cut]:
    """What lies between hub and API server."""
    cut = Cut(str(own.state.addresses.node), 6443)
    yield cut
    cut.close()


@pytest.fixture(scope="module")
def farm(client: Client, own: Cluster, cut: Cut) -> Iterator[Farm]:
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-farm-"))
    folder.chmod(0o711)
    machine, server = str(own.state.addresses.machine), f"https://127.0.0.1:{cut.port}"
    try:
        with running_farm(client, folder / "long", machine, server=server) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def alice(farm: Farm) -> Iterator[Visitor]:
    yield Visitor.of(farm, "alice")
    leave_nothing(farm)


@pytest.mark.parametrize("seconds", [60, 300])
def test_after_minutes_without_an_api_server_everything_is_known_within_seconds(
    farm: Farm, alice: Visitor, own: Cluster, cut: Cut, seconds: int
) -> None:
    assert alice.start()
    assert alice.start("second", **TINY)
    goes = alice.pod("second")["metadata"]["name"]
    with cut.cut(silent=False):
        with api_server_away(own, seconds):
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                assert alice.ready()
                assert alice.ready("second")
                assert alice.browser.get("/user/alice/api").status_code == 200
                time.sleep(2)
        farm.client("delete", "pod", goes, "--namespace", farm.namespace)
    until(lambda: not alice.ready("second"), 30)
    assert alice.ready()
    assert alice.start("second", **TINY)


@pytest.fixture
def other_node(farm: Farm) -> Iterator[None]:
    """A node of KWOK that answers: while none does, a cluster takes the fault for its own and gives nobody up."""
    farm.client.apply(fake_node("other", "other"))
    farm.client.until("node", "other", is_ready)
    yield
    farm.client("delete", "node", "other")


@pytest.mark.usefixtures("other_node")
def test_a_node_that_does_not_answer_ends_its_sessions_in_words_when_the_cluster_gives_it_up(
    farm: Farm, alice: Visitor, own: Cluster
) -> None:
    assert alice.start()
    own.kill("kubelet")
    try:
        time.sleep(100)  # a node that is away for a moment ends nobody's session
        assert alice.ready()
        until(lambda: not alice.ready(), 360)
        assert "its node did not answer any more, so it was ended; start it again" in alice.last_end()
        alice.begin()
        assert "out of order" in alice.sentence()
    finally:
        own.start("kubelet")
        farm.client.until("node", NODE, is_ready)
    until(farm.nothing_is_left, 120)
    assert alice.start()


def test_a_node_that_is_gone_ends_its_sessions_in_words(farm: Farm, alice: Visitor, own: Cluster) -> None:
    assert alice.start()
    own.kill("kubelet")
    try:
        farm.client("delete", "node", NODE)
        until(lambda: not alice.ready(), 120)
        assert "its node is gone, so it was ended; start it again, files in the home are kept" in alice.last_end()
        assert farm.nothing_is_left()
    finally:
        own.start("kubelet")
        until(lambda: NODE in farm.client("get", "nodes", "--output", "name"))
        farm.client.until("node", NODE, is_ready)
        addons.wait(farm.client)
    assert alice.start()
