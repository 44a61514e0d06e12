"""Limits by control groups: where this machine lets us make them, and what they say (versions 1 and 2).

The limits of a container or service around the platform hold for workloads too. A workload's cgroup lies below the one
of the process that starts it where the kernel allows that. Version 2 does not while processes of the platform are in
that cgroup themselves: only a cgroup without processes hands controllers down. Workloads then get a cgroup beside it,
below the nearest one above that hands controllers down. A cgroup that limits memory or processor is never left so,
because its limits would no longer hold: then we set none, and say so at the start. To have both, give the platform a
cgroup of its own inside the limited one: ``Delegate=yes`` and ``DelegateSubgroup=platform`` in a unit of systemd. An
ordinary user needs a delegated cgroup in any case (``systemd-run --user --scope -p Delegate=yes``).
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path("/sys/fs/cgroup")
FOLDER = "aiinfn"
"""Name of our folder when nobody gives another; installations have one each, so that neither sweeps the other's."""
OTHER = re.compile(r"aiinfn-[0-9a-f]{8}")
"""Folders of installations; the name is made of the path of the state folder."""
UNUSED_SECONDS = 600.0
"""Age at which another installation may remove a cgroup in which nothing runs; arbitrary."""
PROCESSES = 4096
"""Processes and threads of one workload; arbitrary, far above a Jupyter server with many kernels."""
CPU_PERIOD = 100_000
"""Microseconds over which the share of the processor is measured: the kernel's default."""
GIB = 1024**3


@dataclass(frozen=True)
class Limits:
    """What one workload may use."""

    cores: float
    memory_gib: float

    @property
    def memory(self) -> int:
        """Bytes."""
        return int(self.memory_gib * GIB)

    @property
    def quota(self) -> int:
        """Microseconds of processor time a period."""
        return max(1000, int(self.cores * CPU_PERIOD))


@dataclass(frozen=True)
class Cgroups:
    """The folders below which workloads get a cgroup, by controller (``memory``, ``cpu``, ``pids``); empty: none."""

    version: int = 0
    folders: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def discover(cls, root: Path = ROOT, own: str | None = None, label: str = FOLDER) -> Cgroups:
        """What may be used here; ``own`` is the text of ``/proc/self/cgroup``. Makes the common folders."""
        text = Path("/proc/self/cgroup").read_text() if own is None else own
        lines = [line.split(":", 2) for line in text.splitlines() if line.count(":") >= 2]
        first = {}
        for _, names, path in lines:
            for name in set(names.split(",")) & {"memory", "cpu", "pids"}:
                if folder := first_version_folder(root / names, path, label):
                    first[name] = folder
        if first:
            return cls(1, first)
        unified = next((path for number, names, path in lines if number == "0" and not names), None)
        folder = None if unified is None else second_version_folder(root, unified, label)
        return cls(2, dict.fromkeys(available(folder), folder)) if folder else cls()

    def plan(self, name: str, limits: Limits) -> list[dict[str, Any]]:
        """The cgroups of one workload: ``{"path", "settings": {file: value}}`` in the order in which to write."""
        if self.version == 2:
            folder = next(iter(self.folders.values()))
            return [{"path": str(folder / name), "settings": second_version_settings(self.folders, limits)}]
        return [
            {"path": str(folder / name), "settings": first_version_settings(controller, limits)}
            for controller, folder in self.folders.items()
        ]

    def memory_events(self, name: str) -> str | None:
        """The file that counts kills for want of memory; None without a memory limit."""
        if "memory" not in self.folders:
            return None
        file = "memory.events" if self.version == 2 else "memory.oom_control"
        return str(self.folders["memory"] / name / file)

    def remove(self) -> None:
        """Remove our folders when nothing runs in them."""
        for folder in set(self.folders.values()):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def usable(self) -> bool:
        """Whether our folders are still there: they are removed when the platform ends, and swept when long empty."""
        return all(folder.is_dir() for folder in self.folders.values())

    def sweep(self, keep: set[str]) -> None:
        """Remove cgroups of workloads that are no more (a runner that was killed left them), and dead installations."""
        for folder in set(self.folders.values()):
            for entry in folders_in(folder):
                if entry.name not in keep:
                    remove_empty(entry)
            for other in folders_in(folder.parent):
                if OTHER.fullmatch(other.name) and other != folder:
                    remove_unused(other)


def remove_unused(installation: Path) -> None:
    """Remove the cgroups of another installation that were made long ago and in which nothing runs.

    The kernel refuses to remove a cgroup with processes. An installation that is only idle makes its folder again, and
    the age leaves time to enter one that was just made.
    """
    for folder in [folder for folder in (*folders_in(installation), installation) if is_old(folder)]:
        remove_empty(folder)


def is_old(folder: Path) -> bool:
    """Whether a cgroup was made long ago (the kernel does not change its time later)."""
    try:
        return time.time() - folder.stat().st_mtime > UNUSED_SECONDS
    except OSError:
        return False


def remove_empty(folder: Path) -> None:
    """Remove a cgroup unless something runs in it."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def folders_in(folder: Path) -> list[Path]:
    """The cgroups below one; none when it is gone."""
    try:
        return [entry for entry in folder.iterdir() if entry.is_dir()]
    except OSError:
        return []


def first_version_settings(controller: str, limits: Limits) -> dict[str, str]:
    """Files and values of one controller of version 1."""
    return {
        "memory": {
            "memory.limit_in_bytes": str(limits.memory),
            "memory.memsw.limit_in_bytes": str(limits.memory),  # absent where swap is not counted
        },
        "cpu": {"cpu.cfs_period_us": str(CPU_PERIOD), "cpu.cfs_quota_us": str(limits.quota)},
        "pids": {"pids.max": str(PROCESSES)},
    }[controller]


def second_version_settings(controllers: Mapping[str, Path], limits: Limits) -> dict[str, str]:
    """Files and values of version 2, for the controllers that are delegated."""
    settings = {
        "memory": {"memory.max": str(limits.memory), "memory.swap.max": "0", "memory.oom.group": "0"},
        "cpu": {"cpu.max": f"{limits.quota} {CPU_PERIOD}"},
        "pids": {"pids.max": str(PROCESSES)},
    }
    return {file: value for controller in controllers for file, value in settings[controller].items()}


def first_version_folder(mount: Path, own: str, label: str) -> Path | None:
    """Our folder below the own cgroup of one hierarchy; the top when the own one is not shown here (a container)."""
    own_folder = mount / own.lstrip("/")
    folder = (own_folder if (own_folder / "cgroup.procs").exists() else mount) / label
    if not (folder.parent / "cgroup.procs").exists():
        return None
    with contextlib.suppress(OSError):
        folder.mkdir(exist_ok=True)
    return folder if os.access(folder / "cgroup.procs", os.W_OK) else None


def second_version_folder(root: Path, own: str, label: str) -> Path | None:
    """Our folder below the own cgroup or the nearest one above it where we may make it with controllers.

    A cgroup that holds processes hands no controllers down (the root does), so the own one fails while the platform's
    processes are in it: one above it that was delegated to us works, unless that would leave a limit behind.
    """
    start = root / own.lstrip("/")
    for parent in (start, *start.parents):
        if not parent.is_relative_to(root) or not (parent / "cgroup.controllers").exists():
            break
        if folder := make_second_version_folder(parent, label):
            return folder
        if is_limited(parent):
            break
    return None


def is_limited(folder: Path) -> bool:
    """Whether a cgroup of version 2 limits the memory or the processor of what is in it.

    The number of processes does not count: systemd limits it for every unit, and workloads get a limit of their own.
    """
    for name in ("memory.max", "memory.high", "cpu.max"):
        with contextlib.suppress(OSError):
            if not (folder / name).read_text().startswith("max"):
                return True
    return False


def make_second_version_folder(parent: Path, label: str) -> Path | None:
    """The folder below ``parent`` with controllers handed down to it and on; None when that is refused."""
    folder = parent / label
    if not os.access(parent / "cgroup.procs", os.W_OK):
        return None
    try:
        hand_down(parent)
        folder.mkdir(exist_ok=True)
        hand_down(folder)
    except OSError:
        return None
    return folder if available(folder) else None


def hand_down(folder: Path) -> None:
    """Give children of ``folder`` the controllers that it has itself."""
    controllers = (folder / "cgroup.controllers").read_text().split()
    wanted = " ".join(f"+{name}" for name in ("memory", "cpu", "pids") if name in controllers)
    if wanted:
        (folder / "cgroup.subtree_control").write_text(wanted)


def available(folder: Path) -> list[str]:
    """Controllers that children of ``folder`` have."""
    with contextlib.suppress(OSError):
        found = (folder / "cgroup.subtree_control").read_text().split()
        return [name for name in ("memory", "cpu", "pids") if name in found]
    return []
