"""``up-warm``: from the command to a login that worked, ``aiinfn up`` and a bare ``jupyterhub``, alternating."""

from __future__ import annotations

import time

from . import servers
from .figures import Figure, paired

GOAL = 1.5


def run(pairs: int = 5) -> list[Figure]:
    """The figures; one pair that is not counted makes the databases, the proxy and the passwords."""
    platform, bare = servers.Platform(), servers.BareHub()
    ours: list[float] = []
    theirs: list[float] = []
    try:
        measure(platform), measure(bare)
        for number in range(pairs):
            for server, seconds in (
                ((platform, ours), (bare, theirs)) if number % 2 else ((bare, theirs), (platform, ours))
            ):
                seconds.append(measure(server))
            print(f"  pair {number + 1}: {ours[-1]:.2f} s, bare {theirs[-1]:.2f} s", flush=True)
    finally:
        for server in (platform, bare):
            server.__exit__()
    return [paired("start to a working login", ours, theirs)]


def measure(server: servers.Platform | servers.BareHub) -> float:
    """Seconds from the start of the program to the home page of a person who logged in; it is ended then."""
    begin = time.perf_counter()
    server.begin()
    server.wait()
    server.login("alice").close()
    seconds = time.perf_counter() - begin
    server.stop()
    return seconds
