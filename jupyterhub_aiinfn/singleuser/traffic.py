"""Bytes that the session's programs sent and received over TCP, as the kernel counts them for each connection.

A session has no network of its own on one machine, so the counters of its interfaces would be everybody's. The kernel
tells them connection by connection (``sock_diag``), and /proc which process holds which. What passes through the
Jupyter server is left out: pages, websockets and heartbeats are what an open tab makes, and no work. A connection that
begins and ends between two looks is not seen; a download that keeps a session alive lasts longer.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SOCK_DIAG, BY_FAMILY, DONE = 4, 20, 3
DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
EVERY_STATE = 0xFFFFFFFF
INFO = 2  # INET_DIAG_INFO: struct tcp_info follows
HEADER, MESSAGE, ATTRIBUTE = 16, 72, 4
ACKED = 120  # offset of tcpi_bytes_acked in struct tcp_info; tcpi_bytes_received follows (Linux 4.1)
Address = tuple[bytes, int]


@dataclass(frozen=True)
class Connection:
    """One TCP connection."""

    inode: int
    uid: int
    local: Address
    remote: Address
    total: int
    """Bytes sent and acknowledged, and received, since it began."""


class Traffic:
    """Bytes since the look before."""

    def __init__(self) -> None:
        self._before: dict[int, int] = {}

    def since_last_look(self, pids: Iterable[int], server: int) -> int | None:
        """Bytes of the processes ``pids`` without those of ``server``; None where the kernel does not tell."""
        try:
            found = of_uid(connections(), os.geteuid())
        except OSError:
            return None
        now = {one.inode: one.total for one in of_programs(found, sockets(pids), sockets([server]))}
        grown = sum(max(0, total - self._before.get(inode, 0)) for inode, total in now.items())
        self._before = now
        return grown


def of_uid(found: Iterable[Connection], uid: int) -> list[Connection]:
    """Those of one user: on one machine everybody's connections are in the list."""
    return [one for one in found if one.uid == uid]


def of_programs(found: list[Connection], session: set[int], server: set[int]) -> Iterator[Connection]:
    """The session's connections, without the server's own and their other ends."""
    others = {(one.remote, one.local) for one in found if one.inode in server}
    for one in found:
        if one.inode in session and one.inode not in server and (one.local, one.remote) not in others:
            yield one


def sockets(pids: Iterable[int], proc: Path = Path("/proc")) -> set[int]:
    """Inodes of the sockets that these processes hold."""
    found: set[int] = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for entry in (proc / str(pid) / "fd").iterdir():
                with contextlib.suppress(OSError):
                    match = re.fullmatch(r"socket:\[(\d+)\]", str(entry.readlink()))
                    found |= {int(match[1])} if match else set()
    return found


def connections() -> list[Connection]:
    """Every TCP connection that the kernel shows us, IPv4 and IPv6; :class:`OSError` where it does not."""
    return [one for family in (socket.AF_INET, socket.AF_INET6) for one in dump(family)]


def dump(family: int) -> list[Connection]:
    """All TCP connections of one address family."""
    request = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 1 << (INFO - 1), 0, EVERY_STATE) + bytes(48)
    header = struct.pack("=IHHII", HEADER + len(request), BY_FAMILY, DUMP, 1, 0)
    found: list[Connection] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, SOCK_DIAG) as channel:
        channel.settimeout(1)
        channel.send(header + request)
        while True:
            data = channel.recv(1 << 16)
            messages = list(split(data, HEADER))
            found += [one for kind, body in messages if kind == BY_FAMILY and (one := read(body))]
            if not messages or any(kind != BY_FAMILY for kind, _ in messages):
                return found  # done, or refused: then nothing was found


def split(data: bytes, header: int) -> Iterator[tuple[int, bytes]]:
    """Kind and body of each message (or attribute) in ``data``."""
    form = "=IH" if header == HEADER else "=HH"
    while len(data) >= header:
        length, kind = struct.unpack_from(form, data)
        if length < header:
            return
        yield kind, data[header:length]
        data = data[(length + 3) & ~3 :]


def read(body: bytes) -> Connection | None:
    """A connection from a message; None for one without counters (it listens, or is closed)."""
    attributes: Mapping[int, bytes] = dict(split(body[MESSAGE:], ATTRIBUTE))
    info = attributes.get(INFO, b"")
    if len(body) < MESSAGE or len(info) < ACKED + 16:
        return None
    sent, received = struct.unpack_from("=QQ", info, ACKED)
    local_port, remote_port = struct.unpack_from("!HH", body, 4)
    uid, inode = struct.unpack_from("=II", body, 64)
    return Connection(inode, uid, (body[8:24], local_port), (body[24:40], remote_port), sent + received)
