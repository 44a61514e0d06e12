"""Ports: is this one free, and which ones are."""

from __future__ import annotations

import random
import socket

from jupyterhub_aiinfn.backends.local.listening import root_has_ports
from jupyterhub_aiinfn.errors import StateError

OWN_RANGE = range(20000, 32000)
"""Where free ports are looked for: below the ports that the kernel gives to outgoing connections, so that none of
these takes a port of a process that is being restarted. The bounds are arbitrary."""
ROOT_RANGE = range(675, 873)
"""The same for ports that only root can take: no session can be there when a part of the platform is started again.
The bounds are arbitrary; no service that is common on servers is between them."""
ATTEMPTS = 200


def check_free(host: str, port: int) -> None:
    """Raise :class:`StateError` when nothing can listen on that address."""
    problem = _problem(host, port)
    if problem is not None:
        raise StateError(f"port {port} of {host} cannot be used: {problem}; choose another with --port, or --port 0")


def free_internal_ports(count: int) -> list[int]:
    """Ports of loopback for the parts of the platform: such as only root can take, where that helps."""
    return free_ports(count, within=ROOT_RANGE if root_has_ports() else OWN_RANGE)


def free_ports(count: int, host: str = "127.0.0.1", within: range = OWN_RANGE) -> list[int]:
    """As many different ports on which nothing listens at this moment."""
    found: list[int] = []
    for port in random.sample(within, min(ATTEMPTS, len(within))):
        if _problem(host, port) is None:
            found.append(port)
        if len(found) == count:
            return found
    raise StateError(f"no {count} free ports were found on {host} among {ATTEMPTS}; end what listens on them")


def _problem(host: str, port: int) -> str | None:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As the servers do: a port whose last connections are still closing counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen(1)
    except (OSError, OverflowError) as error:
        return (getattr(error, "strerror", None) or str(error)).lower()
    return None
