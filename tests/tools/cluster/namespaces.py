"""The kernel's namespaces that a cluster lives in: made with its first process, gone with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from jupyterhub_aiinfn.backends.local.processes import ProcessIdentity, children

from .errors import ClusterError, end_of, last_lines
from .place import State

KINDS = ("--net", "--mount", "--pid")
FIRST = Path(__file__).with_name("first.py")
PATIENCE = 20.0
CGROUPS = Path("/sys/fs/cgroup")


def make(state: State) -> None:
    """Start the first process in namespaces of its own, unless it runs; raises ClusterError when it does not start."""
    if state.up():
        return
    log, ready = state.place.logs / "first.log", state.place.folder / "first.ready"
    ready.unlink(missing_ok=True)
    new = ["unshare", *KINDS, "--fork", "--propagation", "slave", "--mount-proc", "--wd=/", "--"]
    state.first = _started([*new, sys.executable, "-I", str(FIRST), str(state.place.folder)], log)
    state.processes, state.done = {}, {}
    state.save()
    deadline = time.monotonic() + PATIENCE
    while not ready.exists():
        if not state.up() or time.monotonic() > deadline:
            raise ClusterError(f"the namespaces of the cluster could not be made:\n{end_of(log)}")
        time.sleep(0.02)


def inside(state: State, command: Sequence[str]) -> list[str]:
    """A command that runs another one in the cluster's namespaces."""
    assert state.first is not None
    return ["nsenter", "--target", str(state.first.pid), *KINDS, "--wd=/", "--", *command]


def run_inside(state: State, *command: str) -> str:
    """What a command prints that runs in the cluster's namespaces; raises ClusterError when it fails."""
    done = subprocess.run(inside(state, command), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise ClusterError(f"`{' '.join(command)}` failed on the node:\n{last_lines(done.stdout + done.stderr)}")
    return done.stdout


def start_inside(state: State, name: str, command: Sequence[str]) -> None:
    """Start a part of the cluster that goes on when we end; its output is appended to ``logs/<name>.log``."""
    log = state.place.logs / f"{name}.log"
    state.processes[name] = _started(inside(state, command), log)
    state.save()


def processes(state: State) -> list[int]:
    """The pids, as this machine sees them, of all that lives in the cluster's namespaces, pods and all."""
    assert state.first is not None
    own = Path(f"/proc/{state.first.pid}/ns/pid").stat().st_ino
    return [int(path.parent.parent.name) for path in Path("/proc").glob("[0-9]*/ns/pid") if _inode(path) == own]


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:  # the process has ended
        return None


def end(state: State) -> None:
    """End the first process; the kernel ends the others, unmounts what they saw and deletes their network.

    Raises ClusterError when it does not go.
    """
    if state.first is not None and state.first.send(signal.SIGKILL):
        deadline = time.monotonic() + PATIENCE
        while state.first.alive():
            if time.monotonic() > deadline:
                raise ClusterError(f"the cluster's first process, {state.first.pid}, does not end; what holds it?")
            time.sleep(0.02)


def make_cgroup(name: str) -> None:
    """Make the cluster's own control group in every hierarchy: the kubelet wants to find it."""
    for hierarchy in _hierarchies():
        own = hierarchy / name
        if not own.exists():
            own.mkdir()
            for file in ("cpuset.mems", "cpuset.cpus"):  # empty in a new group, which then could hold no process
                if (hierarchy / file).exists():
                    (own / file).write_text((hierarchy / file).read_text())


def remove_cgroups(name: str) -> None:
    """Remove what the kubelet made below the cluster's own control groups; they are empty when all has ended."""
    for hierarchy in _hierarchies():
        for folder, _, _ in os.walk(hierarchy / name, topdown=False):
            _remove_empty(Path(folder))


def _hierarchies() -> list[Path]:
    """The tops of the control groups: one in version 2, several in version 1 (some of them with a second name)."""
    tops = [CGROUPS] if (CGROUPS / "cgroup.controllers").exists() else sorted(CGROUPS.iterdir())
    return [top for top in tops if not top.is_symlink() and (top / "cgroup.procs").exists()]


def _remove_empty(cgroup: Path) -> None:
    for _ in range(50):  # the kernel needs a moment to notice that its last process is gone
        try:
            return cgroup.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.1)


def _started(command: Sequence[str], log: Path) -> ProcessIdentity:
    """Start ``unshare`` or ``nsenter``, which goes on when we end; the process it forks lives in the namespaces."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open("/dev/null", os.O_RDONLY)
    try:
        parent = os.posix_spawnp(
            command[0],
            list(command),
            {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(log.parent), "LANG": "C.UTF-8"},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, here, there) for here, there in ((nothing, 0), (output, 1), (output, 2))
            ],
            setsid=True,
        )
    finally:
        os.close(output)
        os.close(nothing)
    # it may outlive us, and when it does not, nobody shall find its zombie among our children
    threading.Thread(target=os.waitpid, args=(parent, 0), name=f"wait for {parent}", daemon=True).start()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and ProcessIdentity.of(parent) is not None:
        found = children(parent)
        if found:
            return found[0]
        time.sleep(0.01)
    raise ClusterError(f"`{' '.join(command)}` ended at once:\n{end_of(log)}")
