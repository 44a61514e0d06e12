"""Which process is meant: a pid alone is reused, a pid with its start time and the boot is not.

The runner imports this module at every start: it imports next to nothing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any, NamedTuple


class ProcessIdentity(NamedTuple):
    """One process of one boot of this machine; equal identities are the same process."""

    pid: int
    start_time: int
    """Clock ticks after boot, field 22 of ``/proc/<pid>/stat``."""
    boot_id: str
    """``/proc/sys/kernel/random/boot_id``."""

    @classmethod
    def current(cls) -> ProcessIdentity:
        """The calling process."""
        found = cls.of(os.getpid())
        assert found is not None
        return found

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """The process that has this pid now; None when there is none (a zombie is none)."""
        fields = stat_fields(pid)
        if fields is None or fields[0] in ("Z", "X"):
            return None
        return cls(pid, int(fields[19]), boot_id())

    def alive(self) -> bool:
        """Whether this very process runs (a zombie does not)."""
        return self.of(self.pid) == self

    def open(self) -> int | None:
        """A pidfd of this very process (the caller closes it); None when it is gone.

        The pidfd is opened first and the identity compared after it, so that it never means a stranger.
        """
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return None
        if self.alive():
            return descriptor
        os.close(descriptor)
        return None

    def send(self, number: int) -> bool:
        """Send a signal to this very process and to no other; whether it was there."""
        descriptor = self.open()
        if descriptor is None:
            return False
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True

    def as_json(self) -> dict[str, int | str]:
        """``{"pid", "start_time", "boot_id"}``."""
        return {"pid": self.pid, "start_time": self.start_time, "boot_id": self.boot_id}

    @classmethod
    def from_json(cls, data: Any) -> ProcessIdentity | None:
        """What :meth:`as_json` wrote (other keys are ignored); None for anything else."""
        if not isinstance(data, Mapping):
            return None
        try:
            return cls(int(data["pid"]), int(data["start_time"]), str(data["boot_id"]))
        except (KeyError, TypeError, ValueError):
            return None


def boot_id() -> str:
    """The identifier of this boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:  # noqa: PTH123 - pathlib is slow to import
        return stream.read().strip()


def stat_fields(pid: int) -> list[str] | None:
    """The fields of ``/proc/<pid>/stat`` from the third (state) on; None when there is no such process.

    The second field is the program's name, which may hold spaces and brackets: the last bracket ends it.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:  # noqa: PTH123
            return stream.read().rpartition(b")")[2].decode("ascii").split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def children(pid: int) -> list[ProcessIdentity]:
    """The direct children of a process, oldest first."""
    boot = boot_id()
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208
        fields = stat_fields(int(name)) if name.isdigit() else None
        if fields is not None and int(fields[1]) == pid and fields[0] not in ("Z", "X"):
            found.append(ProcessIdentity(int(name), int(fields[19]), boot))
    return sorted(found, key=lambda child: (child.start_time, child.pid))
