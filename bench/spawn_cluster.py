"""``spawn-kubernetes``, ``spawn-kueue``, ``spawn-evict``: a warm session on a cluster, ours and a stock KubeSpawner's.

Both start the same small server in the same image, with a home as a claim, on the same node, in alternating pairs.
Stock never has Kueue. With Kueue ours gets a device that is free, or one that a batch job holds, which ends at SIGTERM.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any

import httpx

from jupyterhub_aiinfn.api.workloads import JobClass, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec, new_workload_id
from jupyterhub_aiinfn.backends.kubernetes import manifests, names
from jupyterhub_aiinfn.backends.kubernetes.kueue import queue_of
from tests.cluster.farm_queues import card_profile, cards, queues

from . import processes, servers
from .cluster import FarmHub, Place, StockHub, circumstances, hub_seconds
from .figures import Figure, paired

PERSON = "alice"
PAIRS = int(os.environ.get("AIINFN_BENCH_PAIRS", "20"))
TINY = {"profile": "tiny", "size": "small", "project": "lab"}
CARD = {"profile": "card", "size": "small", "project": "lab", "accelerator": "card"}
BATCH = ("/bin/sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait")
"""A job that ends as soon as it is asked to."""
GOALS = {"spawn-kubernetes": 1.15, "spawn-kueue": 2.0, "spawn-evict": 3.0}
"""Medians of the paired ratios that are wanted at most; they are not judged here."""


@dataclass
class Side:
    """One of the two hubs, and the figures of its sessions."""

    server: servers.Server
    api: httpx.Client
    options: Mapping[str, str]
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def measure(self) -> None:
        """One session: started, timed, stopped."""
        before = hub_seconds(self.server)
        self.seconds.append(servers.start_session(self.api, PERSON, self.options))
        self.cpu.append(hub_seconds(self.server) - before)
        servers.stop_session(self.api, PERSON)

    def forget(self) -> None:
        """The first one counts for nothing: homes are bound, programs are read."""
        self.seconds.clear(), self.cpu.clear()


def without_kueue() -> list[Figure]:
    """A session on a cluster without Kueue."""
    return _run(lambda farm: _nothing, kueue=False)


def with_a_free_device() -> list[Figure]:
    """A session whose device is free, through the queue of Kueue."""
    return _run(lambda farm: _nothing, kueue=True)


def with_eviction() -> list[Figure]:
    """A session for which a batch job has to go."""
    return _run(lambda farm: lambda: _hold_the_card(farm), kueue=True)


def _nothing() -> None:
    pass


def _run(preparation: Callable[[FarmHub], Callable[[], None]], *, kueue: bool) -> list[Figure]:
    place = Place.find()
    found = circumstances(place)
    changes: dict[str, Any] = {"limits": {"start_timeout": "3m"}}
    if kueue:
        changes |= {"kubernetes": queues(), "profiles": {"card": card_profile("Card", wait="2m")}}
    with ExitStack() as stack:
        stack.enter_context(cards(place.client, 1) if kueue else nullcontext())
        farm = stack.enter_context(FarmHub(place, changes, kueue=kueue))
        stock = stack.enter_context(StockHub(place, homes=(PERSON,)))
        ours = Side(farm, farm.api(PERSON), CARD if kueue else TINY)
        theirs = Side(stock, stock.api(PERSON), {})
        alternate(ours, theirs, preparation(farm), PAIRS)
    return [
        paired("warm spawn on a cluster, POST to ready", ours.seconds, theirs.seconds),
        paired("CPU seconds of the hub for it", ours.cpu, theirs.cpu),
        *found,
    ]


def alternate(ours: Side, theirs: Side, prepare: Callable[[], None], pairs: int) -> None:
    """So many pairs after one that is not counted; who is first changes each time."""
    for number in range(pairs + 1):
        prepare()
        for side in (ours, theirs) if number % 2 else (theirs, ours):
            side.measure()
        if number == 0:
            ours.forget(), theirs.forget()
        else:
            print(f"  pair {number}: {ours.seconds[-1]:.2f} s, stock {theirs.seconds[-1]:.2f} s", flush=True)


def _hold_the_card(farm: FarmHub) -> None:
    """A batch job has the only card, once more."""
    client, values = farm.place.client, farm.farm.values
    namespace = names.namespace_of(values, WorkloadKind.job)
    client("delete", "jobs", "--all", "--namespace", namespace, "--wait=false")
    for job in client("get", "jobs", "--namespace", namespace, "--output", "name").split():
        client("patch", job, "--namespace", namespace, "--type=merge", "--patch", '{"metadata": {"finalizers": null}}')
    processes.wait_for(lambda: not client("get", "jobs,pods", "-n", namespace, "-o", "name"), 60, "the end of the job")
    spec = WorkloadSpec(
        id=new_workload_id(),
        kind=WorkloadKind.job,
        job_class=JobClass.batch,
        name="batch",
        command=BATCH,
        cores=0.02,
        memory_gib=0.02,
        person=None,  # homes are claims of the sessions' namespace here, and a person's job would need one
        project="lab",
        image="python",
        accelerator="card",
        accelerator_count=1,
        grace_seconds=5,
    )
    request = manifests.PodRequest(spec, queue=queue_of(values, spec, 0))
    client.apply(manifests.job(values, request))
    client.until("job", request.name, lambda one: one["status"].get("ready"), namespace, patience=120)
    time.sleep(1)  # it has set its trap
