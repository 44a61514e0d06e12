"""What the processes of sandboxes use, read from outside them: nothing that runs inside can change it.

Processor time is the sum of all processes of the sandbox and of their children that have ended; the traffic is that of
their TCP sockets. Counters only grow: what is gone by the next look stays counted, what came and went between two
looks may be missing. Both errors make a session look less busy, never busier.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from jupyterhub_aiinfn.api.workloads import Usage

from .listening import open_sockets
from .processes import ProcessIdentity, stat_fields
from .tcp_traffic import traffic_by_socket

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
USER_TIME, RESIDENT = 11, 21
"""Places in :func:`~.processes.stat_fields`; after user time come system time and both of ended children."""


@dataclass
class Counted:
    """What one sandbox had used at the last look."""

    processor: float = 0.0
    """Sum over the processes then; it falls when one goes that nobody waited for."""
    processor_total: float = 0.0
    sockets: dict[str, int] = field(default_factory=dict)
    network_total: int = 0


class Meter:
    """Counters of sandboxes; remembers the last look. Blocking (some milliseconds a session): call it in a thread."""

    def __init__(self) -> None:
        self._counted: dict[str, Counted] = {}
        self._lock = threading.Lock()

    def read(self, sandboxes: Mapping[str, ProcessIdentity]) -> dict[str, Usage]:
        """Usage by workload, of those whose first process lives; the others are forgotten."""
        with self._lock:
            alive = {workload: one for workload, one in sandboxes.items() if one.alive()}
            self._counted = {workload: self._counted.get(workload, Counted()) for workload in alive}
            inhabitants = by_namespace()
            traffic = traffic_by_socket()
            spaces = {workload: namespace(str(one.pid)) for workload, one in alive.items()}
            return {
                workload: self._usage(workload, inhabitants.get(space, []), traffic)
                for workload, space in spaces.items()
                if space is not None
            }

    def _usage(self, workload: str, pids: list[str], traffic: Mapping[str, int] | None) -> Usage:
        counted = self._counted[workload]
        found = [fields for pid in pids if (fields := stat_fields(int(pid))) is not None]
        processor = sum(int(ticks) for fields in found for ticks in fields[USER_TIME : USER_TIME + 4]) / TICKS
        counted.processor_total += max(0.0, processor - counted.processor)
        counted.processor = processor
        if traffic is not None:
            count_traffic(counted, {inode for pid in pids for inode in open_sockets(pid)}, traffic)
        return Usage(
            cpu_seconds=counted.processor_total,
            memory_bytes=sum(int(fields[RESIDENT]) for fields in found) * PAGE,
            processes=len(found),
            network_bytes=None if traffic is None else counted.network_total,
        )


def count_traffic(counted: Counted, inodes: set[str], traffic: Mapping[str, int]) -> None:
    """Add what the sockets carried since the last look; a number that falls belongs to a new socket of that inode."""
    now = {inode: traffic[inode] for inode in inodes if inode in traffic}
    for inode, carried in now.items():
        before = counted.sockets.get(inode, 0)
        counted.network_total += carried - before if carried >= before else carried
    counted.sockets = now


def by_namespace() -> dict[int, list[str]]:
    """The pids that this process may look at, by their process namespace."""
    found: dict[int, list[str]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit() and (space := namespace(name)) is not None:
            found.setdefault(space, []).append(name)
    return found


def namespace(pid: str) -> int | None:
    """The process namespace of a process; None when it is gone."""
    with contextlib.suppress(OSError):
        return os.stat(f"/proc/{pid}/ns/pid").st_ino  # noqa: PTH116
    return None
