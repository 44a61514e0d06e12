"""Who listens on a port of loopback, which all sessions share: the person's own server, or an impostor."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .processes import ProcessIdentity

LISTEN = "0A"
REACHED_BY_LOOPBACK = frozenset(
    ("0100007F", "00000000", "0" * 32, "0000000000000000FFFF00000100007F", "0000000000000000FFFF000000000000")
)
"""Local addresses (as little-endian machines print them) whose sockets a connection to 127.0.0.1 can reach."""


UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


def root_has_ports() -> bool:
    """Whether this process is root and the ports below 1024 are root's alone (in some containers they are not)."""
    try:
        return os.geteuid() == 0 and int(UNPRIVILEGED.read_text()) >= 1024
    except (OSError, ValueError):
        return False


class Listener(NamedTuple):
    """A socket that accepts connections."""

    uid: int
    inode: str


def listeners(port: int, proc: Path = Path("/proc/net")) -> list[Listener]:
    """Every socket that a connection to that port of 127.0.0.1 may reach."""
    found = []
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for row in map(str.split, (proc / name).read_text().splitlines()[1:]):
                address, _, number = row[1].rpartition(":")
                if row[3] == LISTEN and int(number, 16) == port and address in REACHED_BY_LOOPBACK:
                    found.append(Listener(int(row[7]), row[9]))
    return found


def sockets_of(sandbox: ProcessIdentity) -> set[str]:
    """Inodes of the sockets that the processes of a sandbox hold open (those that this process may look at)."""
    return {inode for pid in inhabitants(sandbox) for inode in open_sockets(pid)}


def inhabitants(sandbox: ProcessIdentity) -> Iterator[str]:
    """Pids of all processes in the sandbox's process namespace."""
    try:
        namespace = os.stat(f"/proc/{sandbox.pid}/ns/pid").st_ino  # noqa: PTH116
    except OSError:
        return
    for name in os.listdir("/proc"):  # noqa: PTH208
        with contextlib.suppress(OSError):
            if name.isdigit() and os.stat(f"/proc/{name}/ns/pid").st_ino == namespace:  # noqa: PTH116
                yield name


def open_sockets(pid: str) -> Iterator[str]:
    """Inodes of one process's sockets."""
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208
            with contextlib.suppress(OSError):
                target = os.readlink(f"/proc/{pid}/fd/{descriptor}")  # noqa: PTH115
                if target.startswith("socket:["):
                    yield target[8:-1]
