"""`make cluster-up`, `make cluster-down`, `make cluster-status`; `run COMMAND…`, which `make test` is."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil

from . import namespaces
from .cluster import Cluster
from .errors import ClusterError
from .place import State


def main(arguments: list[str]) -> int:
    """The exit code; what is wrong is a sentence on stderr."""
    commands = {"up": up, "down": down, "status": status}
    runs = arguments[:1] == ["run"] and len(arguments) > 1
    if not runs and (len(arguments) != 1 or arguments[0] not in commands):
        print(f"cluster: say one of {', '.join(commands)}, or run and a command", file=sys.stderr)
        return 2
    try:
        if runs:
            return run(arguments[1:])
        commands[arguments[0]]()
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ncluster: interrupted; what is built stays built, and `make cluster-up` goes on", file=sys.stderr)
        return 130
    return 0


def up() -> None:
    """Start the cluster, unless KUBECONFIG names one."""
    given = os.environ.get("KUBECONFIG")
    if given:
        print(f"cluster: the one of KUBECONFIG={given} is used, nothing is started")
        return
    cluster = Cluster()
    cluster.up()
    print(f"cluster: up; export KUBECONFIG={cluster.place.kubeconfig}")
    print(f"         kubectl is {cluster.programs['kubectl']}")


def run(command: list[str]) -> int:
    """Run a command while the cluster of this checkout is up, never that of KUBECONFIG; its exit code.

    A cluster that was up before stays so. Somebody who is not root has none, and the command runs without.
    """
    cluster = Cluster()
    if os.geteuid() != 0:
        print("cluster: only root can start one on this machine; going on without it", flush=True)
        return subprocess.run(command, check=False).returncode
    was_up = cluster.is_up()
    try:
        cluster.up()
        return subprocess.run(command, check=False).returncode
    finally:
        if not was_up:
            cluster.down()


def down() -> None:
    """End the cluster of this checkout; the one of KUBECONFIG is never touched."""
    print("cluster: ended" if Cluster().down() else "cluster: it was not up")


def status() -> None:
    """Each part: whether it runs, as which process, and its memory; where to find the cluster."""
    cluster = Cluster()
    state = State.load(cluster.place)
    if not state.up():
        print("cluster: not up; `make cluster-up` starts it")
        return
    for name in state.processes:
        print(f"{name:25} {part(state, name)}")
    inside = namespaces.processes(state)
    print(f"{'all, with pods':25} {len(inside)} processes, {memory(inside)} MiB")
    print(f"{'addresses':25} {state.addresses.all}, this machine is {state.addresses.machine}")
    print(f"{'KUBECONFIG':25} {cluster.place.kubeconfig}")
    print(f"{'logs':25} {cluster.place.logs}")


def part(state: State, name: str) -> str:
    """One part in words."""
    process = state.processes[name]
    return f"runs, process {process.pid}, {memory([process.pid])} MiB" if state.alive(name) else "does not run"


def memory(pids: list[int]) -> int:
    """What processes hold, in MiB; pages that several share are counted once among them."""
    total = 0
    for pid in pids:
        try:
            total += psutil.Process(pid).memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total // 2**20


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
