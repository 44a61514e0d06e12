"""``spawn-page``: the page for 20 viewers at once on a busy platform, with the service up, killed and stopped.

500 people, 50 profiles, 40 sessions that run. The baseline is the stock spawn page of a bare hub with a form of 50
profiles, seen by as many viewers in the same rhythm. Each viewer looks about once a second, at a moment of its own; a
second figure has all 20 press reload in the same instant.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from . import processes, servers
from .figures import Figure, compared, percentile

VIEWERS, PROFILES, PEOPLE, SESSIONS, SECONDS = 20, 50, 500, 40, 15
AT_A_TIME = 4
"""Sessions that this benchmark starts at a time: two for each core of the machine where it was written."""
GOAL = 0.1


def values() -> dict[str, Any]:
    """A values file with 500 people in 50 groups and 50 profiles, of which each person sees all."""
    people = {f"person{n:03}": {"groups": ["users", f"group{n % 50:02}"]} for n in range(PEOPLE - 1)}
    size = {"small": {"cores": 1, "memory_gib": 1}, "large": {"cores": 2, "memory_gib": 4}}
    return {
        "version": 1,
        "site": {"name": "Benchmark"},
        "identity": {"users": {**people, "chief": {"groups": ["admins"]}}, "admin_groups": ["admins"]},
        "accelerators": {
            "card": {"type": "gpu", "name": "Card", "emulated": 8},
            "qpu": {"type": "qpu", "name": "Quantum processor", "emulated": 2},
        },
        "images": {"python": {"name": "Python", "folder": "images/python"}},
        "projects": {
            **{f"project{n:02}": {"name": f"Project {n}", "groups": [f"group{n:02}"]} for n in range(50)},
            "personal": {"name": "Personal", "personal": True},
        },
        "profiles": {
            f"profile{n:02}": {
                "name": f"Profile {n}",
                "description": "One of fifty, with a sentence that says what it is good for.",
                "image": "python",
                "sizes": size,
                "max": "12h",
                **({"accelerators": ["card", "qpu"], "accelerator_required": False} if n % 2 else {}),
            }
            for n in range(PROFILES)
        },
    }


STOCK_FORM = (
    'c.Spawner.options_form = "<select name=profile class=form-control>" '
    '+ "".join(f"<option value=p{n}>Profile {n}: one of fifty</option>" for n in range(50)) + "</select>"'
)


@dataclass
class View:
    """What one round of viewing gave, in seconds."""

    pages: list[float] = field(default_factory=list)
    burst: list[float] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)
    """Times of a trivial request to the hub, sent all the while."""
    idle_probes: list[float] = field(default_factory=list)
    """The same without viewers: what the machine does to them."""
    blocked: int = 0
    """How often the hub's loop was held for more than 50 ms while the viewers looked, as the hub itself measured it."""
    connects: float = 0.0
    """Outgoing connections of the hub a page view, beyond those that it makes without viewers; at least 0."""
    asked: float | None = None
    """Requests that the service got a page view; None where it does not answer."""


def run() -> list[Figure]:
    """The figures of the three states of the service, each beside the stock page."""
    stock = _stock()
    figures = []
    with servers.Platform(values()) as platform:
        _fill(platform)
        clients = [platform.login(_person(SESSIONS + n)) for n in range(VIEWERS)]
        chief = platform.api("chief")
        for state, arrange in (("up", _leave), ("down", _keep_down), ("hanging", _hang)):
            with arrange(platform):
                time.sleep(3)  # the hub notices that its subscription is gone
                found = _look(platform, clients, chief)
            print(f"  service {state}: p95 {percentile(found.pages, 0.95):.4f} s", flush=True)
            figures += _figures(state, found, stock)
    return figures


def _figures(state: str, found: View, stock: View) -> list[Figure]:
    def p95(name: str) -> Figure:
        ours, theirs = getattr(found, name), getattr(stock, name)
        return compared(f"{WORDS[name]}, service {state}", percentile(ours, 0.95), percentile(theirs, 0.95))

    def longest(name: str) -> Figure:
        return compared(
            f"{WORDS[name]}, longest, service {state}", max(getattr(found, name)), max(getattr(stock, name))
        )

    connects = Figure(
        f"outgoing connections a view, service {state}", round(found.connects, 4), "1", round(stock.connects, 4)
    )
    figures = [p95("pages"), p95("burst"), p95("probes"), longest("probes"), longest("idle_probes"), connects]
    figures.append(Figure(f"loop held > 50 ms, service {state}", found.blocked, "times", stock.blocked))
    if found.asked is not None:
        figures.append(Figure(f"requests to the service a view, service {state}", found.asked, "1"))
    return figures


WORDS = {
    "pages": "spawn page p95",
    "burst": "spawn page p95, 20 in the same instant",
    "probes": "trivial hub request",
    "idle_probes": "trivial hub request without viewers",
}


def _stock() -> View:
    with servers.BareHub(extra=STOCK_FORM) as bare:
        clients = [bare.login(_person(n)) for n in range(VIEWERS)]
        return _look(bare, clients, bare.api("chief"))


def _person(number: int) -> str:
    return f"person{number:03}"


def _fill(platform: servers.Platform) -> None:
    """Start the sessions, some at a time."""
    options = {"profile": "profile00", "size": "small"}

    async def start_all() -> None:
        places = asyncio.Semaphore(AT_A_TIME)
        await asyncio.gather(*(start(n, places) for n in range(SESSIONS)))

    async def start(number: int, places: asyncio.Semaphore) -> None:
        async with places:
            name = _person(number)
            project = {"project": f"project{number % 50:02}"}
            api = await asyncio.to_thread(platform.api, name)
            await asyncio.to_thread(servers.start_session, api, name, options | project)
            api.close()

    begin = time.monotonic()
    asyncio.run(start_all())
    print(f"  {SESSIONS} sessions in {time.monotonic() - begin:.0f} s", flush=True)


# The service: up, down, hanging


@contextlib.contextmanager
def _leave(platform: servers.Platform) -> Iterator[None]:
    yield


@contextlib.contextmanager
def _hang(platform: servers.Platform) -> Iterator[None]:
    service = platform.service()
    assert service is not None, "the service does not run"
    service.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(*processes.GONE):
            service.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def _keep_down(platform: servers.Platform) -> Iterator[None]:
    """Kill the service, and again whenever the supervisor has started it."""
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.2):
            service = platform.service()
            with contextlib.suppress(*processes.GONE):
                if service is not None:
                    service.kill()

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        processes.wait_for(lambda: platform.service() is not None, 60, "the return of the service", 0.5)
        time.sleep(3)


# The viewers


def _look(server: servers.Server, clients: list[httpx.Client], chief: httpx.Client) -> View:
    found = View()
    for client in clients:
        client.get("/hub/spawn").raise_for_status()
    found.idle_probes = asyncio.run(_watched(server, None, SECONDS))
    held, asked = _times_held(chief), server.service_requests()
    found.probes = asyncio.run(_watched(server, (clients, found), SECONDS))
    if asked is not None and (now := server.service_requests()) is not None:
        found.asked = round((now - asked) / len(found.pages), 4)
    asyncio.run(_burst(clients, found))
    found.blocked = _times_held(chief) - held
    found.connects = _connects_a_view(server, clients)
    return found


def _times_held(chief: httpx.Client) -> int:
    """Turns of the hub's loop that came more than 50 ms late.

    JupyterHub measures its own loop: a tick is due every 50 ms, and what is late by less counts as 50 ms
    (``jupyterhub_event_loop_interval_seconds``).
    """
    text = chief.get(str(chief.base_url).removesuffix("api/") + "metrics").raise_for_status().text
    counts = {
        sample.labels["le"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "jupyterhub_event_loop_interval_seconds_bucket"
    }
    assert counts["+Inf"] > 10, "the hub does not measure its loop"
    return int(counts["+Inf"] - counts["0.05"])


def _connects_a_view(server: servers.Server, clients: list[httpx.Client]) -> float:
    """In a round of its own: a process that is watched this closely is slow."""
    with Connects(server.hub_pid()) as idle:
        time.sleep(SECONDS / 2)
    watched = View()
    with Connects(server.hub_pid()) as busy:
        asyncio.run(_watched(server, (clients, watched), SECONDS / 2))
    return max(0.0, (busy.count - idle.count) / len(watched.pages))


async def _watched(
    server: servers.Server, viewing: tuple[list[httpx.Client], View] | None, seconds: float
) -> list[float]:
    """Times of a trivial request every 20 ms, while the viewers look (or nobody does)."""
    end = time.monotonic() + seconds
    probes: list[float] = []
    tasks = [_probe(server, probes, end)]
    if viewing is not None:
        clients, found = viewing
        tasks += [_view(client, found, end) for client in clients]
    await asyncio.gather(*tasks)
    return probes


async def _probe(server: servers.Server, probes: list[float], end: float) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        while time.monotonic() < end:
            begin = time.perf_counter()
            (await client.get("/hub/api/")).raise_for_status()
            probes.append(time.perf_counter() - begin)
            await asyncio.sleep(0.02)


async def _view(client: httpx.Client, found: View, end: float) -> None:
    """One person who looks once a second, at a random moment of it."""
    async with httpx.AsyncClient(base_url=client.base_url, cookies=client.cookies, timeout=30) as viewer:
        await asyncio.sleep(random.random())
        while time.monotonic() < end:
            found.pages.append(await _page(viewer))
            await asyncio.sleep(max(0.0, random.uniform(0.5, 1.5) - found.pages[-1]))


async def _burst(clients: list[httpx.Client], found: View) -> None:
    viewers = [httpx.AsyncClient(base_url=client.base_url, cookies=client.cookies, timeout=30) for client in clients]
    for _ in range(5):
        found.burst += await asyncio.gather(*(_page(viewer) for viewer in viewers))
        await asyncio.sleep(0.5)
    for viewer in viewers:
        await viewer.aclose()


async def _page(viewer: httpx.AsyncClient) -> float:
    begin = time.perf_counter()
    answer = await viewer.get("/hub/spawn")
    seconds = time.perf_counter() - begin
    if answer.status_code != 200 or 'name="profile"' not in answer.text.replace("name=profile", 'name="profile"'):
        raise RuntimeError(f"not the spawn page: {answer.status_code}")
    return seconds


class Connects:
    """How many connections a process opens while this is entered, as the kernel sees it (strace)."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.count = 0

    def __enter__(self) -> Connects:
        self.file = Path(tempfile.mkstemp(prefix="aiinfn-connects-")[1])
        command = ["strace", "-f", "-qq", "-e", "trace=connect", "-o", str(self.file), "-p", str(self.pid)]
        self.strace = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(0.5)
        if self.strace.poll() is not None:
            raise RuntimeError("strace cannot watch the hub; install strace and run as root or as the hub's user")
        return self

    def __exit__(self, *_: object) -> None:
        self.strace.send_signal(signal.SIGINT)
        self.strace.communicate(timeout=10)
        self.count = sum("AF_INET" in line for line in self.file.read_text().splitlines())
        self.file.unlink()
