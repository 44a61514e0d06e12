"""A cluster's namespaces without a cluster in them: made, joined, and gone with all that was in them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.platform import traversable_folder
from tests.tools.cluster import namespaces, network
from tests.tools.cluster.cluster import Cluster
from tests.tools.cluster.errors import ClusterError
from tests.tools.cluster.place import Place, State

pytestmark = pytest.mark.root


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Not the checkout's own: one in a folder of its own, which is ended and removed."""
    folder = traversable_folder()
    place = Place(folder / f"{os.getpid():08x}")
    found = Cluster(place)
    yield found
    found.down()
    shutil.rmtree(folder)


@pytest.fixture
def state(cluster: Cluster) -> State:
    state = State(cluster.place)
    state.place.logs.mkdir(parents=True)
    namespaces.make(state)
    network.connect(state)
    namespaces.make_cgroup(state.place.name)
    return state


def interfaces() -> str:
    return subprocess.check_output(["ip", "-brief", "link"], text=True)


def test_what_runs_inside_ends_with_it_and_leaves_nothing_on_the_machine(cluster: Cluster, state: State) -> None:
    inside = state.place.folder / "inside"
    inside.mkdir()
    namespaces.run_inside(state, "mount", "-t", "tmpfs", "tmpfs", str(inside))
    namespaces.run_inside(state, "touch", str(inside / "seen-by-the-cluster"))
    namespaces.run_inside(state, "iptables", "-N", "AIINFN-TEST")
    namespaces.start_inside(state, "sleeper", ["sleep", "600"])
    assert list(inside.iterdir()) == []
    assert "AIINFN-TEST" not in subprocess.check_output(["iptables-save"], text=True)
    assert state.place.name in interfaces()
    assert state.alive("sleeper")
    sleeper = state.processes["sleeper"]
    assert sleeper.pid in namespaces.processes(state)
    assert cluster.down()
    assert not sleeper.alive()
    assert state.place.name not in interfaces()
    assert not list(namespaces.CGROUPS.glob(f"*/{state.place.name}"))
    assert {path.name for path in state.place.folder.iterdir()} == {"lock", "logs"}


def test_down_once_more_ends_nothing(cluster: Cluster, state: State) -> None:
    assert cluster.down()
    assert not cluster.down()


def test_a_reused_pid_is_left_alone(cluster: Cluster, state: State) -> None:
    """The record names a process that has the pid of ours but was started at another time: somebody else's."""
    assert state.first is not None
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        true_first = state.first
        state.first = true_first._replace(pid=stranger.pid)
        state.save()
        assert not State.load(cluster.place).up()
        assert not cluster.down()
        assert stranger.poll() is None
        assert true_first.send(signal.SIGKILL)
    finally:
        stranger.kill()
        stranger.wait()


def test_after_its_first_process_was_killed_it_is_made_anew(cluster: Cluster, state: State) -> None:
    assert state.first is not None
    assert state.first.send(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while state.up() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not cluster.is_up()
    with pytest.raises(ClusterError, match="is not up: run `make cluster-up`"):
        _ = cluster.state
    network.disconnect(state)
    before = state.first
    namespaces.make(state)
    network.connect(state)
    assert state.up()
    assert state.first != before


def test_two_clusters_are_apart(cluster: Cluster, state: State) -> None:
    beside = Cluster(Place(cluster.place.folder.parent / f"{os.getpid() + 1:08x}"))
    other = State(beside.place)
    other.place.logs.mkdir(parents=True)
    namespaces.make(other)
    network.connect(other)
    assert not other.addresses.all.overlaps(state.addresses.all)
    assert beside.down()
    assert state.up()
    assert state.place.name in interfaces()
    assert namespaces.run_inside(state, "ip", "-brief", "address", "show", "machine").split()[2] == (
        f"{state.addresses.node}/30"
    )


def test_a_command_that_fails_inside_is_told_with_its_words(state: State) -> None:
    with pytest.raises(ClusterError, match=r"(?s)`ls /no-such-folder` failed on the node:.*No such file"):
        namespaces.run_inside(state, "ls", "/no-such-folder")
