"""``availability-age``: how old the availability is that the service of a cluster shows, and what page views cost.

A pod of a session is made and deleted again and again; each time it is measured how much later than the API server the
service says so. Then the API server's own record tells how often hub and service asked it, without and with page views.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from jupyterhub_aiinfn.api.workloads import WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec, new_workload_id
from jupyterhub_aiinfn.backends.kubernetes import manifests, names
from jupyterhub_aiinfn.backends.kubernetes.calls import Calls
from jupyterhub_aiinfn.backends.kubernetes.connection import Connection
from jupyterhub_aiinfn.backends.kubernetes.creating import make_home
from jupyterhub_aiinfn.backends.kubernetes.manifests import cluster_of
from jupyterhub_aiinfn.errors import ClusterRefused
from jupyterhub_aiinfn.model.numbers import numbers_of

from .cluster import SERVER, FarmHub, Place, circumstances
from .figures import Figure, percentile

CHANGES = int(os.environ.get("AIINFN_BENCH_PAIRS", "20"))
VIEWS, WINDOW = 50, float(os.environ.get("AIINFN_BENCH_SECONDS", "30"))
"""Page views a second, and seconds for which requests are counted."""
PERSON = "alice"
LOOK = 0.02
PATIENCE = 60.0
Requests = Counter[str]


def run() -> list[Figure]:
    """The figures."""
    place = Place.find()
    found = circumstances(place)
    with FarmHub(place, {}, kueue=False) as farm:
        farm.farm.hub.start_service()
        starts, ends = asyncio.run(ages(farm))
        idle, _ = requests_during(farm, place, 0)
        viewed, views = requests_during(farm, place, VIEWS)
    agents = sorted(idle | viewed)
    return [
        Figure("age of the availability after a pod came, p95", round(percentile(starts, 0.95), 3)),
        Figure("age of the availability after a pod had gone, p95", round(percentile(ends, 0.95), 3)),
        Figure("page views a second", round(views / WINDOW, 1), "1/s", 0),
        *(Figure(f"requests of {agent} in {WINDOW:g} s", viewed[agent], "1", idle[agent]) for agent in agents),
        *found,
    ]


async def ages(farm: FarmHub) -> tuple[list[float], list[float]]:
    """Seconds by which the service is later than the API server, for pods that come and for pods that go."""
    values, starts, ends = farm.farm.values, list[float](), list[float]()
    token = farm.farm.token(PERSON)

    def sessions() -> int:
        found: int = farm.farm.ask("GET", "/availability", token).json()["sessions"]
        return found

    connection = await Connection.open(Path(farm.place.client.kubeconfig))
    folder = f"/api/v1/namespaces/{names.namespace_of(values, WorkloadKind.session)}/pods"
    try:
        await make_home(Calls(connection), values, PERSON)
        for number in range(CHANGES):
            pod = pod_of(farm)
            path = f"{folder}/{pod['metadata']['name']}"
            await connection.ask("make it", "POST", folder, pod)
            starts.append(await later(partial(_is_there, connection, path), sessions, 1))
            async with asyncio.timeout(PATIENCE):
                while (await connection.ask("look", "GET", path))["status"].get("phase") != "Running":
                    await asyncio.sleep(0.1)
            await connection.ask("delete it", "DELETE", path, {"gracePeriodSeconds": 2})
            ends.append(await later(partial(_is_gone, connection, path), sessions, 0))
            print(f"  change {number + 1}: {starts[-1]:.2f} s, {ends[-1]:.2f} s", flush=True)
    finally:
        await connection.close()
    return starts, ends


async def later(holds: Callable[[], Any], sessions: Callable[[], int], count: int) -> float:
    """How much later than the API server the service says that there are so many sessions; 0 when it was first."""

    async def cluster() -> float:
        while not await holds():
            await asyncio.sleep(LOOK)
        return time.perf_counter()

    async def shown() -> float:
        while await asyncio.to_thread(sessions) != count:
            await asyncio.sleep(LOOK)
        return time.perf_counter()

    async with asyncio.timeout(PATIENCE):
        true, told = await asyncio.gather(cluster(), shown())
    return max(0.0, told - true)


async def _is_there(connection: Connection, path: str) -> bool:
    return not await _is_gone(connection, path)


async def _is_gone(connection: Connection, path: str) -> bool:
    try:
        pod = await connection.ask("look", "GET", path)
    except ClusterRefused as refusal:
        return refusal.code == 404
    return pod["status"].get("phase") in ("Succeeded", "Failed")


def pod_of(farm: FarmHub) -> dict[str, Any]:
    """The pod of a session as our spawner makes it."""
    values = farm.farm.values
    spec = WorkloadSpec(
        id=new_workload_id(),
        kind=WorkloadKind.session,
        name="age",
        command=("/bin/sh", "-c", SERVER),
        cores=0.1,
        memory_gib=0.0625,
        person=PERSON,
        project="lab",
        profile="tiny",
        image="python",
        grace_seconds=2,
    )
    return manifests.session_pod(values, manifests.PodRequest(spec, numbers_of(values, PERSON)))


# What page views cost the API server


def requests_during(farm: FarmHub, place: Place, rate: int) -> tuple[Requests, int]:
    """Requests of hub and service in one window of time, by user agent, and how many pages were seen in it."""
    log, namespace = place.own.state.place.logs / "audit.log", cluster_of(farm.farm.values).namespace
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        views = view(farm, rate)
        time.sleep(2)  # the record is written a moment later
        lines = file.read().decode(errors="replace").splitlines()
    return count_requests(lines, namespace), views


def count_requests(lines: Iterable[str], namespace: str) -> Requests:
    """What the accounts of a namespace asked for, by account and program, in lines of the API server's record."""
    found: Requests = Counter()
    for line in lines:
        try:
            entry: Mapping[str, Any] = json.loads(line)
        except ValueError:
            continue  # half a line: it is being written
        who = str(entry.get("user", {}).get("username", ""))
        if entry.get("stage") == "ResponseComplete" and who.startswith(f"system:serviceaccount:{namespace}:"):
            found[f"{who.rpartition(':')[2]} ({str(entry.get('userAgent', '')).partition(' ')[0]})"] += 1
    return found


def view(farm: FarmHub, rate: int) -> int:
    """So many spawn pages a second for the whole window; how many were seen."""
    if not rate:
        time.sleep(WINDOW)
        return 0
    end, seen, lock, people = time.monotonic() + WINDOW, Counter[str](), threading.Lock(), 10
    cookies = farm.login(PERSON).cookies

    def person() -> None:
        with httpx.Client(base_url=farm.url, cookies=cookies, timeout=30, trust_env=False) as client:
            while (begin := time.monotonic()) < end:
                if client.get("/hub/spawn").status_code == 200:
                    with lock:
                        seen["page"] += 1
                time.sleep(max(0.0, people / rate - (time.monotonic() - begin)))

    threads = [threading.Thread(target=person) for _ in range(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen["page"]
