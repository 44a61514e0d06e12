"""``sessions-48``: 48 people at once on one machine, ours and a bare hub with the same proxy and the same server.

Each person starts a session, a kernel and a websocket, runs a cell, and then one cell every ten seconds for five
minutes; every answer is checked. The two hubs alternate, each twice, and start from an empty folder each time.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from . import processes, servers
from .figures import Figure, compared, percentile
from .spawn_local import what_ran

PEOPLE = int(os.environ.get("AIINFN_BENCH_PEOPLE", "48"))
STEADY = float(os.environ.get("AIINFN_BENCH_SECONDS", "300"))
"""Seconds of one execution every :data:`EVERY` seconds for each person."""
EVERY, ROUNDS = 10.0, int(os.environ.get("AIINFN_BENCH_ROUNDS", "2"))
PATIENCE = 600.0
"""Seconds within which all sessions must have run their first cell."""
ANSWER = 60.0
"""Seconds after which an execution counts as lost."""
PARTS = ("session", "hub", "service", "proxy")
PLATFORM_OPTIONS = {"profile": "python", "size": "small", "project": "personal"}


@dataclass
class Round:
    """What one round with one hub gave; times in seconds, memory in MiB."""

    first_cells: list[float] = field(default_factory=list)
    """From the common start to each person's first right answer."""
    executions: list[float] = field(default_factory=list)
    lost: int = 0
    """Executions without a right answer in time, connections that closed, people without a first cell."""
    why: list[str] = field(default_factory=list)
    session_memory: float = 0.0
    hub_memory: float = 0.0
    service_memory: float = 0.0
    proxy_memory: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    """CPU seconds of each part until everybody's first cell had run, ended children included."""
    loop_p99: float = 0.0
    """Upper bound of the hub's p99 of its loop's interval: the bucket of its own metric."""


def values() -> dict[str, Any]:
    """48 people, one profile, and one administrator who reads the hub's metrics."""
    people = {name: {"groups": ["users"]} for name in names()}
    return {
        "version": 1,
        "site": {"name": "Benchmark"},
        "identity": {"users": {**people, "chief": {"groups": ["admins"]}}, "admin_groups": ["admins"]},
        "images": {"python": {"name": "Python", "folder": "images/python"}},
        "projects": {"personal": {"name": "Personal", "personal": True}},
        "profiles": {
            "python": {
                "name": "Python",
                "image": "python",
                "sizes": {"small": {"cores": 2, "memory_gib": 1}},
                "max": "12h",
            }
        },
        "limits": {"start_timeout": "10m"},
    }


def names() -> list[str]:
    """Login names."""
    return [f"person{number:02}" for number in range(PEOPLE)]


def run() -> list[Figure]:
    """The figures of all rounds together, ours beside the bare hub's."""
    _raise_open_files()
    command, environment = _warm_up()
    ours, theirs = [], []
    for number in range(ROUNDS):
        for side in ("ours", "bare") if number % 2 == 0 else ("bare", "ours"):
            if side == "ours":
                with servers.Platform(values()) as platform:
                    ours.append(_round(platform, PLATFORM_OPTIONS))
            else:
                extra = "c.Spawner.start_timeout = 600; c.Spawner.http_timeout = 600"
                with servers.BareHub(command, environment, extra) as bare:
                    theirs.append(_round(bare, {}))
            _say(side, (ours if side == "ours" else theirs)[-1])
    return _figures(ours, theirs)


def _warm_up() -> tuple[list[str], dict[str, str]]:
    """One session of the platform: its environment is built, and the bare hub will run the same program."""
    with servers.Platform(values()) as platform:
        api = platform.api("person00")
        servers.start_session(api, "person00", PLATFORM_OPTIONS)
        command, environment = what_ran(platform)
        servers.stop_session(api, "person00")
    # The stock transport: sockets of kernels as files are ours, and their paths would be too long in a home on a disk.
    return [word for word in command if "transport=" not in word], environment


def _raise_open_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))


def _say(side: str, found: Round) -> None:
    last = max(found.first_cells, default=0.0)
    p99 = percentile(found.executions, 0.99) if found.executions else 0.0
    good = len(found.first_cells)
    print(f"  {side}: {good} of {PEOPLE}, last cell {last:.1f} s, p99 {p99:.3f} s, lost {found.lost}", flush=True)
    for sentence in found.why[:5]:
        print(f"    {sentence}", flush=True)


def _figures(ours: Sequence[Round], theirs: Sequence[Round]) -> list[Figure]:
    def worst_first(rounds: Iterable[Round]) -> float:
        return max(max(one.first_cells, default=PATIENCE) for one in rounds)

    def p99(rounds: Iterable[Round]) -> float:
        return percentile([seconds for one in rounds for seconds in one.executions] or [ANSWER], 0.99)

    def mean(rounds: Sequence[Round], name: str) -> float:
        return sum(float(getattr(one, name)) for one in rounds) / len(rounds)

    def both(name: str, words: str, unit: str = "MiB") -> Figure:
        return compared(words, mean(ours, name), mean(theirs, name), unit)

    people = [min(len(one.first_cells) for one in rounds) for rounds in (ours, theirs)]
    lost = [sum(one.lost for one in rounds) for rounds in (ours, theirs)]
    return [
        Figure(f"people with a live kernel, of {PEOPLE} (worst round)", people[0], "people", people[1]),
        compared("time to the last first cell (worst round)", worst_first(ours), worst_first(theirs)),
        Figure("executions or connections lost", lost[0], "times", lost[1]),
        Figure("executions", sum(len(one.executions) for one in ours), "1", sum(len(one.executions) for one in theirs)),
        compared("execution p99", p99(ours), p99(theirs)),
        both("session_memory", "memory of a session with its kernel (PSS)"),
        both("hub_memory", "memory of the hub (PSS)"),
        both("proxy_memory", "memory of the proxy (PSS)"),
        Figure("memory of the platform service (PSS)", round(mean(ours, "service_memory"), 1), "MiB"),
        both("loop_p99", "hub loop interval p99 (bucket)", "s"),
        *(
            compared(
                f"CPU of {part} until the last first cell",
                *(sum(one.cpu.get(part, 0.0) for one in rounds) / len(rounds) for rounds in (ours, theirs)),
            )
            for part in PARTS
        ),
    ]


# One round


def _round(server: servers.Server, options: Mapping[str, str]) -> Round:
    found = Round()
    chief = server.api("chief")
    apis = {name: server.api(name) for name in names()}
    tokens = {name: api.headers["Authorization"] for name, api in apis.items()}
    for api in apis.values():
        api.close()
    before = loop_histogram(chief)
    asyncio.run(_live(server, options, tokens, found))
    found.loop_p99 = p99_bucket(before, loop_histogram(chief))
    chief.close()
    return found


async def _live(server: servers.Server, options: Mapping[str, str], tokens: Mapping[str, str], found: Round) -> None:
    begin = time.perf_counter()
    connected = asyncio.Barrier(PEOPLE + 1)

    async def one(name: str, token: str) -> None:
        person = Person(server.url, name, token)
        try:
            async with asyncio.timeout(PATIENCE):
                await person.begin(options)
                await person.execute()
            found.first_cells.append(time.perf_counter() - begin)
        except Exception as error:
            found.lost += 1
            found.why.append(f"{name}: {type(error).__name__}: {error}")
            person.close()
        await connected.wait()
        await connected.wait()  # the memory is read in between, while nobody runs anything
        if person.connected:
            await _steady(person, found)
        person.close()

    people = [asyncio.create_task(one(name, token)) for name, token in tokens.items()]
    await connected.wait()
    await asyncio.to_thread(_read_memory, server, found)
    found.cpu = await asyncio.to_thread(_read_cpu, server)
    await connected.wait()
    await asyncio.gather(*people)


async def _steady(person: Person, found: Round) -> None:
    """One execution every ten seconds, at moments of their own."""
    end = time.perf_counter() + STEADY
    await asyncio.sleep(random.uniform(0, EVERY))
    while (begin := time.perf_counter()) < end:
        try:
            async with asyncio.timeout(ANSWER):
                await person.execute()
            found.executions.append(time.perf_counter() - begin)
        except Exception as error:
            found.lost += 1
            found.why.append(f"{person.name}: {type(error).__name__}: {error}")
            return
        await asyncio.sleep(max(0.0, EVERY - (time.perf_counter() - begin)))


class Person:
    """One person's session as a browser uses it: REST to start it, then an open websocket to a kernel."""

    def __init__(self, url: str, name: str, authorization: str) -> None:
        self.url, self.name = url, name
        self._headers = {"Authorization": authorization}
        self._socket: WebSocketClientConnection | None = None
        self._number = 0

    @property
    def connected(self) -> bool:
        """Whether the websocket was opened and not closed by us."""
        return self._socket is not None

    async def begin(self, options: Mapping[str, str]) -> None:
        """Start the session, wait until it is ready, start a kernel and connect to it."""
        async with httpx.AsyncClient(base_url=self.url, headers=self._headers, timeout=PATIENCE) as client:
            await self._start(client, options)
            answer = await client.post(f"/user/{self.name}/api/kernels", json={"name": "python3"})
            if answer.status_code != 201:
                raise RuntimeError(f"no kernel: {answer.status_code} {answer.text[:200]}")
        kernel = answer.json()["id"]
        address = f"{self.url.replace('http', 'ws', 1)}/user/{self.name}/api/kernels/{kernel}/channels"
        self._socket = await websocket_connect(
            HTTPRequest(address, headers=self._headers, connect_timeout=PATIENCE, request_timeout=PATIENCE)
        )

    async def _start(self, client: httpx.AsyncClient, options: Mapping[str, str]) -> None:
        answer = await client.post(f"/hub/api/users/{self.name}/server", json=dict(options))
        while answer.status_code == 429:  # the hub starts so many at a time, and says so
            await asyncio.sleep(float(answer.headers.get("Retry-After", "0")) or random.uniform(0.5, 1.5))
            answer = await client.post(f"/hub/api/users/{self.name}/server", json=dict(options))
        if answer.status_code not in (201, 202):
            raise RuntimeError(f"not started: {answer.status_code} {answer.text[:200]}")
        async with client.stream("GET", f"/hub/api/users/{self.name}/server/progress") as stream:
            async for line in stream.aiter_lines():
                event = json.loads(line[5:]) if line.startswith("data:") else {}
                if event.get("failed"):
                    raise RuntimeError(f"failed: {event.get('message')}")
                if event.get("ready"):
                    return
        raise RuntimeError("the progress ended without an answer")

    async def execute(self) -> None:
        """Run a cell and check its answer; raises when the answer is wrong or the connection closed."""
        assert self._socket is not None
        self._number += 1
        wanted, message = self._number * 7, uuid.uuid4().hex
        await self._socket.write_message(json.dumps(_execute_request(f"print({self._number}*7)", message)))
        printed = ""
        while True:
            text = await self._socket.read_message()
            if text is None:
                raise RuntimeError("the websocket was closed")
            said = json.loads(text)
            if said["parent_header"].get("msg_id") != message:
                continue
            if said["msg_type"] == "stream":
                printed += said["content"]["text"]
            if said["msg_type"] == "status" and said["content"]["execution_state"] == "idle":
                break
        if printed.strip() != str(wanted):
            raise RuntimeError(f"the cell printed {printed[:40]!r} and not {wanted}")

    def close(self) -> None:
        """Close the websocket; the session goes with its hub."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _execute_request(code: str, message: str) -> dict[str, Any]:
    return {
        "header": {
            "msg_id": message,
            "msg_type": "execute_request",
            "username": "",
            "session": message,
            "date": "",
            "version": "5.4",
        },
        "parent_header": {},
        "metadata": {},
        "channel": "shell",
        "buffers": [],
        "content": {
            "code": code,
            "silent": False,
            "store_history": False,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        },
    }


# What the machine says


def _read_memory(server: servers.Server, found: Round) -> None:
    """Proportional set sizes, MiB: pages that processes share are counted once in all."""
    sizes = dict.fromkeys(PARTS, 0.0)
    for process in processes.family(server.pid, server.folder):
        with suppress(*processes.GONE):
            part = _part(server, process)
            if part is not None:
                sizes[part] += process.memory_full_info().pss / 2**20
    found.session_memory = sizes["session"] / max(1, len(found.first_cells))
    found.hub_memory, found.service_memory, found.proxy_memory = sizes["hub"], sizes["service"], sizes["proxy"]


def _read_cpu(server: servers.Server) -> dict[str, float]:
    """CPU seconds by part; what neither hub, proxy nor service is belongs to sessions."""
    seconds = dict.fromkeys(PARTS, 0.0)
    for process in processes.family(server.pid, server.folder):
        with suppress(*processes.GONE):
            times = process.cpu_times()
            part = _part(server, process) or "session"
            seconds[part] += times.user + times.system + times.children_user + times.children_system
    return seconds


def _part(server: servers.Server, process: psutil.Process) -> str | None:
    words = " ".join(process.cmdline())
    if process.pid == server.hub_pid():
        return "hub"
    if "jupyterhub_aiinfn.service" in words:
        return "service"
    if "configurable-http-proxy" in words:
        return "proxy"
    if any(word in words for word in ("jupyterhub.singleuser", "ipykernel", "local.runner")):
        return "session"
    return None


def loop_histogram(chief: httpx.Client) -> dict[float, float]:
    """The hub's own histogram of how long its loop took to come round: upper bound to count (cumulative)."""
    text = chief.get(str(chief.base_url).removesuffix("api/") + "metrics").raise_for_status().text
    return {
        float(sample.labels["le"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "jupyterhub_event_loop_interval_seconds_bucket"
    }


def p99_bucket(before: Mapping[float, float], after: Mapping[float, float]) -> float:
    """The smallest bound that holds 99 of 100 ticks between the two looks."""
    counts = {bound: after[bound] - before.get(bound, 0.0) for bound in sorted(after)}
    whole = counts[max(counts)]
    return next((bound for bound, count in counts.items() if count >= 0.99 * whole), float("inf"))
