"""How much each TCP connection of this machine has carried, as the kernel counts it (``sock_diag(7)``).

All sessions share the machine's network, so the counters of interfaces say nothing about one of them; those of sockets
do, and :mod:`.listening` knows whose socket is which. Datagrams (UDP) are not counted.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

SOCK_DIAG = 4
BY_FAMILY = 20
"""``NETLINK_SOCK_DIAG`` and ``SOCK_DIAG_BY_FAMILY``."""
DUMP = 0x301
"""``NLM_F_REQUEST | NLM_F_DUMP``."""
ERROR, DONE = 2, 3
INFO = 2
"""``INET_DIAG_INFO``: the extension that holds ``struct tcp_info``."""
CONNECTED = 0xFFF & ~((1 << 6) | (1 << 10))
"""All states of TCP but TIME_WAIT, which belongs to no process any more, and LISTEN."""
HEADER = struct.Struct("=IHHII")
REQUEST = struct.Struct("=BBBBI48x")
INODE_AT, ATTRIBUTES_AT = 68, 72
"""Within ``struct inet_diag_msg``, which is 72 bytes long."""
ACKED_AT = 120
"""``tcpi_bytes_acked`` within ``struct tcp_info``, ``tcpi_bytes_received`` follows."""


def traffic_by_socket() -> dict[str, int] | None:
    """Bytes received, or sent and acknowledged, by the inode of the socket; None where the kernel is silent."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, SOCK_DIAG) as asking:
            asking.settimeout(2)
            return dict(found for family in (socket.AF_INET, socket.AF_INET6) for found in dump(asking, family))
    except (OSError, struct.error):
        return None


def dump(asking: socket.socket, family: int) -> Iterator[tuple[str, int]]:
    """Ask for the connections of one family."""
    request = REQUEST.pack(family, socket.IPPROTO_TCP, 1 << (INFO - 1), 0, CONNECTED)
    asking.send(HEADER.pack(HEADER.size + len(request), BY_FAMILY, DUMP, family, 0) + request)
    while True:
        for kind, body in parts(asking.recv(1 << 18)):
            if kind == DONE:
                return
            if kind == ERROR:
                raise OSError("the kernel does not tell about its sockets")
            yield from counted(body)


def parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The messages of one answer: their kinds and bodies."""
    while len(data) >= HEADER.size:
        length, kind, *_ = HEADER.unpack_from(data)
        yield kind, data[HEADER.size : length]
        data = data[max(HEADER.size, aligned(length)) :]


def counted(body: bytes) -> Iterator[tuple[str, int]]:
    """Inode and bytes of one connection, when the kernel says both."""
    (inode,) = struct.unpack_from("=I", body, INODE_AT)
    rest = body[ATTRIBUTES_AT:]
    while len(rest) >= 4:
        length, kind = struct.unpack_from("=HH", rest)
        if kind == INFO and length >= 4 + ACKED_AT + 16:
            acked, received = struct.unpack_from("=QQ", rest, 4 + ACKED_AT)
            yield str(inode), acked + received
        rest = rest[max(4, aligned(length)) :]


def aligned(length: int) -> int:
    """Netlink pads everything to four bytes."""
    return (length + 3) & ~3
