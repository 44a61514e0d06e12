"""``sessions-1000``: 1,000 sessions on 40 nodes, ours with Kueue and a stock KubeSpawner's, through two real hubs.

KWOK says of the pods that they run, with addresses of loopback, and one small server answers for all of them. The hubs
take turns: so many sessions of one, then as many of the other, until each has all.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil

from tests.cluster.test_fake_nodes import fake_node

from . import servers
from .cluster import FarmHub, Place, StockHub, chief, circumstances, hub_seconds
from .figures import Figure, compared, percentile
from .sessions_48 import loop_histogram, p99_bucket

SESSIONS = int(os.environ.get("AIINFN_BENCH_PEOPLE", "1000"))
TURN = int(os.environ.get("AIINFN_BENCH_TURN", "100"))
"""Sessions of one hub before it is the other's turn."""
NODES, AT_ONCE = 40, 20
PATIENCE = float(os.environ.get("AIINFN_BENCH_SECONDS", "900"))
"""Seconds after which no further turn begins."""
CARD = "aiinfn.test/farm-card"
OPTIONS = {"profile": "card", "size": "small", "project": "personal", "accelerator": "card"}


@dataclass
class Side:
    """One hub and what its sessions cost it."""

    server: servers.Server
    api: httpx.Client
    options: Mapping[str, str]
    loop: Mapping[float, float]
    memory: float
    cpu: float = 0.0
    seconds: list[float] = field(default_factory=list)
    """From each POST until the session was ready."""
    failed: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, server: servers.Server, options: Mapping[str, str]) -> Side:
        """A hub where everybody has logged in once, so their groups are known, and that has started nothing."""
        api = chief(server)
        for some in turns(people(SESSIONS), 100):
            api.post("/users", json={"usernames": some}).raise_for_status()
        with ThreadPoolExecutor(8) as browsers:
            for browser in browsers.map(server.login, people(SESSIONS)):
                browser.close()
        return cls(server, api, options, loop_histogram(api), resident(server))

    async def start(self, some: Sequence[str]) -> None:
        """Start the sessions of some people at once, and count what the hub used for it."""
        before, free = hub_seconds(self.server), asyncio.Semaphore(AT_ONCE)
        limits = httpx.Limits(max_connections=AT_ONCE)
        headers = self.api.headers
        async with httpx.AsyncClient(
            base_url=self.api.base_url, headers=headers, timeout=300, trust_env=False, limits=limits
        ) as client:
            await asyncio.gather(*(self._one(client, free, name) for name in some))
        self.cpu += hub_seconds(self.server) - before

    async def _one(self, client: httpx.AsyncClient, free: asyncio.Semaphore, name: str) -> None:
        async with free:
            begin = time.perf_counter()
            try:
                answer = await client.post(f"/users/{name}/server", json=dict(self.options))
                if answer.status_code == 202:
                    await _until_over(client, name)
            except httpx.HTTPError as error:
                self.failed.append(f"{name}: {type(error).__name__}")
                return
            if answer.status_code not in (201, 202):
                self.failed.append(f"{name}: {answer.status_code} {answer.text[:200]}")
            self.seconds.append(time.perf_counter() - begin)

    def ready(self) -> int:
        """How many sessions the hub says are ready now."""
        found, offset = 0, 0
        while some := self.api.get("/users", params={"limit": 200, "offset": offset, "state": "ready"}).json():
            found, offset = found + len(some), offset + len(some)
        return found


async def _until_over(client: httpx.AsyncClient, name: str) -> None:
    """Listen as the page of a start does, until it came up or failed."""
    async with client.stream("GET", f"/users/{name}/server/progress") as stream:
        async for line in stream.aiter_lines():
            event = json.loads(line[5:]) if line.startswith("data:") else {}
            if event.get("ready") or event.get("failed"):
                return


def run() -> list[Figure]:
    """The figures; bounded in count and time."""
    place, group = Place.find(), f"bench-{uuid.uuid4().hex[:6]}"
    found = circumstances(place)
    with ExitStack() as stack:
        port = stack.enter_context(stub())
        stack.enter_context(fake_nodes(place, group))
        farm = stack.enter_context(FarmHub(place, changes(group, port), kueue=True))
        stock = stack.enter_context(StockHub(place, stock_config(group, port)))
        ours, theirs = Side.of(farm, OPTIONS), Side.of(stock, {})
        begin = time.monotonic()
        for number, some in enumerate(turns(people(SESSIONS), TURN)):
            if time.monotonic() - begin > PATIENCE:
                print(f"  {PATIENCE:g} s are over; no further turn", flush=True)
                break
            for side in (ours, theirs) if number % 2 else (theirs, ours):
                asyncio.run(side.start(some))
            _say(number, ours, theirs)
        return [*figures_of(ours, theirs), *found]


def figures_of(ours: Side, theirs: Side) -> list[Figure]:
    """What is compared, from what both did."""
    asked = [len(side.seconds) + sum("Error" in one for one in side.failed) for side in (ours, theirs)]
    return [
        Figure("sessions asked for", asked[0], "sessions", asked[1]),
        Figure("sessions ready at the end", ours.ready(), "sessions", theirs.ready()),
        compared(
            "CPU seconds of the hub for a spawn",
            ours.cpu / max(1, len(ours.seconds)),
            theirs.cpu / max(1, len(theirs.seconds)),
        ),
        compared(
            "hub loop interval p99 (bucket)",
            p99_bucket(ours.loop, loop_histogram(ours.api)),
            p99_bucket(theirs.loop, loop_histogram(theirs.api)),
        ),
        compared("POST to ready, p99", percentile(ours.seconds or [0], 0.99), percentile(theirs.seconds or [0], 0.99)),
        compared(
            "memory of the hub for a session",
            (resident(ours.server) - ours.memory) / max(1, len(ours.seconds)),
            (resident(theirs.server) - theirs.memory) / max(1, len(theirs.seconds)),
            "KiB",
        ),
        compared("memory of the hub", resident(ours.server) / 1024, resident(theirs.server) / 1024, "MiB"),
    ]


def _say(number: int, ours: Side, theirs: Side) -> None:
    costs = [side.cpu / max(1, len(side.seconds)) for side in (ours, theirs)]
    print(f"  turn {number + 1}: {costs[0]:.3f} CPU s a spawn, stock {costs[1]:.3f}; {len(ours.seconds)} asked for")
    for sentence in [*ours.failed[-2:], *theirs.failed[-2:]]:
        print(f"    {sentence}", flush=True)


def people(count: int) -> list[str]:
    """Login names."""
    return [f"person{number:04}" for number in range(count)]


def turns(all_of_them: Sequence[str], size: int) -> list[list[str]]:
    """All of them in order, so many at a time."""
    return [list(all_of_them[first : first + size]) for first in range(0, len(all_of_them), size)]


def resident(server: servers.Server) -> float:
    """KiB of memory that the hub has for itself."""
    return float(psutil.Process(server.hub_pid()).memory_full_info().uss) / 1024


# What the sessions run on


def changes(group: str, port: int) -> dict[str, Any]:
    """Changes of the tests' values: everybody, a card that only the fake nodes have, and Kueue with all of them."""
    size = {"small": {"cores": 0.1, "memory_gib": 0.0625}}
    machines = {"count": NODES, "cores": 32, "memory_gib": 256, "accelerators": {"card": 100}}
    users = {name: {"groups": ["users"]} for name in people(SESSIONS)}
    platform_jobs = {"cores": 0.1, "memory_gib": 0.1}
    return {
        "identity": {"users": {**users, "admin": {"groups": ["admins", "users"]}}},
        "kubernetes": {
            "sessions": {"pull": "Never", "stop_grace": "5s", "shm_gib": 0.0625, "port": port},
            "kueue": {"cohort": group, "platform_jobs": platform_jobs},
        },
        "accelerators": {
            "card": {"type": "gpu", "name": "Card", "resource": CARD, "node_selector": {"group": group}},
        },
        "nodes": {"fake": {"selector": {"group": group}, "machines": machines}},
        "projects": {"personal": {"personal": True}},
        "profiles": {
            "card": {
                "name": "Card",
                "image": "python",
                "accelerators": ["card"],
                "sizes": size,
                "max": "12h",
                "wait": "5m",
            }
        },
        "storage": {"home": {"backend": "nfs", "server": "files.example.org", "export": "/homes"}},
        "limits": {"start_timeout": "5m", "concurrent_starts": 100},
    }


def stock_config(group: str, port: int) -> str:
    """The same for a stock KubeSpawner."""
    return f"""
c.JupyterHub.concurrent_spawn_limit = 100
c.Spawner.start_timeout = 300
c.Spawner.http_timeout = 300
c.KubeSpawner.port = {port}
c.KubeSpawner.node_selector = {{"group": {group!r}}}
c.KubeSpawner.extra_resource_limits = {{{CARD!r}: "1"}}
"""


@contextmanager
def fake_nodes(place: Place, group: str) -> Iterator[None]:
    """Nodes without machines, whose pods have addresses of loopback."""
    nodes = []
    for number in range(NODES):
        node = fake_node(f"{group}-{number}", group)
        node["spec"] = {"podCIDR": f"127.77.{number}.0/24", "podCIDRs": [f"127.77.{number}.0/24"]}
        for holds in (node["status"]["capacity"], node["status"]["allocatable"]):
            holds |= {CARD: "100"}
        nodes.append(node)
    place.client.apply(*nodes)
    try:
        yield
    finally:
        place.client("delete", "nodes", "--selector", f"group={group}", "--wait=false")


@contextmanager
def stub() -> Iterator[int]:
    """A server that answers whatever it is asked for at every address of this machine; its port."""
    loop, ready, ports = asyncio.new_event_loop(), threading.Event(), list[int]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-JupyterHub-Version: 6.1.1\r\n"
        writer.write(head + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(answer, "0.0.0.0", 0, backlog=1024)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()

    def live() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
