"""Ports of loopback for sessions, which take theirs only seconds after it was chosen."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from pathlib import Path

from jupyterhub_aiinfn.errors import BackendError

CHOSEN_BY_THE_KERNEL = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""The ports that the kernel gives to outgoing connections: one of them may be taken at any moment."""
LOWEST, HIGHEST = 10_000, 65_535
FEWEST = 2_000
"""With fewer ports outside the kernel's range than this, all are used (arbitrary)."""
KEPT_SECONDS = 900.0
"""For how long a port is not given out again: longer than any session takes to start."""
TRIES = 500


class Ports:
    """Gives out ports on which nobody listens, which no outgoing connection takes, and which nobody was just given."""

    def __init__(self, choices: list[int] | None = None) -> None:
        self._choices = ports_of_our_own() if choices is None else choices
        self._given: dict[int, float] = {}

    def take(self) -> int:
        """A port; :class:`BackendError` when none can be found."""
        now = time.monotonic()
        self._given = {port: at for port, at in self._given.items() if now - at < KEPT_SECONDS}
        for port in random.sample(self._choices, min(TRIES, len(self._choices))):
            if port not in self._given and is_free(port):
                self._given[port] = now
                return port
        raise BackendError("no port of this machine is free for a session; try again in a few seconds")


def ports_of_our_own(file: Path = CHOSEN_BY_THE_KERNEL) -> list[int]:
    """What the kernel does not choose from, where that is enough."""
    everything = range(LOWEST, HIGHEST + 1)
    with contextlib.suppress(OSError, ValueError):
        first, last = map(int, file.read_text().split())
        ours = [port for port in everything if not first <= port <= last]
        if len(ours) >= FEWEST:
            return ours
    return list(everything)


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
