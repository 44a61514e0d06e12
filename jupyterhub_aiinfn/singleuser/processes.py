"""The processes of this session, read from /proc: what they have computed, and the memory that they hold.

In a sandbox or a container /proc shows the session's processes and no others; elsewhere (Jupyter started by hand)
they are the server and its descendants. Two short files are read for each process: less than a millisecond in all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
CGROUP = Path("/sys/fs/cgroup")
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Process:
    """One process at one moment."""

    pid: int
    parent: int
    cpu_seconds: float
    """User and system time, with that of children that ended and were waited for."""
    private_bytes: int
    """Resident memory without pages of files and without shared memory."""


def everything(proc: Path = PROC) -> dict[int, Process]:
    """All processes that /proc shows, by id; those that end meanwhile are left out."""
    found = (read(proc, int(entry.name)) for entry in os.scandir(proc) if entry.name.isdigit())
    return {process.pid: process for process in found if process is not None}


def read(proc: Path, pid: int) -> Process | None:
    """One process; None when it is gone or cannot be read."""
    try:
        # the name in parentheses may hold anything, blanks and parentheses included
        words = (proc / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        pages = (proc / str(pid) / "statm").read_bytes().split()
        ticks = sum(map(int, words[11:15]))
        return Process(pid, int(words[1]), ticks / TICKS, max(0, int(pages[1]) - int(pages[2])) * PAGE)
    except (OSError, ValueError, IndexError):
        return None


def of_session(processes: Mapping[int, Process], own: int, *, sandboxed: bool) -> list[Process]:
    """The session's processes: all that are seen in a sandbox, else process ``own`` and its descendants."""
    if sandboxed:
        return list(processes.values())
    children: dict[int, list[int]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process.pid)
    found, new = set[int](), {own} & processes.keys()
    while new:
        found |= new
        new = {child for pid in new for child in children.get(pid, ())} - found
    return [processes[pid] for pid in found]


def is_sandboxed(parent: int, pid: int, workload: str | None) -> bool:
    """Whether /proc is the session's own: the platform started us as the first process, or as its child."""
    return workload is not None and (pid == 1 or parent == 1)


def cpu_seconds(processes: Iterable[Process]) -> float:
    """CPU seconds of all of them."""
    return sum(process.cpu_seconds for process in processes)


def private_bytes(processes: Iterable[Process]) -> int:
    """Memory that each holds alone, added up: what is shared is not counted several times, because it is not counted.

    Exact shares (PSS) would walk all page tables: tens of milliseconds for each GiB, every time.
    """
    return sum(process.private_bytes for process in processes)


def cgroup_bytes(cgroup: Path = CGROUP, proc: Path = PROC) -> int | None:
    """The kernel's count where the session sees its own memory cgroup, without files that can be dropped."""
    try:
        if (proc / "self/cgroup").read_text().strip() != "0::/":
            return None
        used = int((cgroup / "memory.current").read_text())
        lines = (cgroup / "memory.stat").read_text().splitlines()
        droppable = next(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
    except (OSError, ValueError, IndexError, StopIteration):
        return None
    return max(0, used - droppable)
