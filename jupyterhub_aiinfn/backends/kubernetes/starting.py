"""How a session that starts stands, read from its pod: it waits, it comes up, it is ready, or it never will be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from jupyterhub_aiinfn.api.workloads import Phase
from jupyterhub_aiinfn.backends.base import WorkloadSpec

from .description import described
from .manifests import PodRequest
from .names import QUEUE, guaranteed_queue
from .reading import read_pod
from .translation import condition, container_states, part, pod_trouble, waits_for_quota

Object = Mapping[str, Any]


class Stand(Enum):
    """What a start can do next."""

    waits = "waits"
    """For its turn in the line of Kueue."""
    comes = "comes"
    """It has its place and is being prepared."""
    ready = "ready"
    """Its containers run, and it has an address."""
    over = "over"
    """It never comes up: waiting does not help."""


@dataclass(frozen=True)
class Start:
    """One look at a start."""

    stand: Stand
    sentence: str
    """What a person is told; for :attr:`Stand.over` why, and what to do."""
    held_back: bool = False
    """Whether Kueue has looked and found nothing free; before, everything waits for a moment."""


def look(pod: Object | None, *, seen: bool = False) -> Start:
    """How a start stands.

    ``pod`` is None before the cluster has told of it and, when it was ``seen``, after it went.
    """
    if pod is None:
        return Start(Stand.over, "somebody deleted it on the cluster") if seen else Start(Stand.comes, "asking for it")
    workload = read_pod(pod)
    if workload is None:
        return Start(Stand.over, "somebody changed its description on the cluster; start it again")
    trouble = pod_trouble(pod)
    if workload.phase is Phase.ended:
        return Start(Stand.over, workload.message or "it ended by itself")
    if part(pod, "metadata").get("deletionTimestamp"):
        return Start(Stand.over, trouble.sentence if trouble is not None else "somebody deleted it on the cluster")
    if waits_for_quota(pod):
        return Start(Stand.waits, "it waits for its turn")
    if is_ready(pod):
        return Start(Stand.ready, "its server is starting")
    if trouble is not None:
        return Start(Stand.over if trouble.lasting else Stand.comes, trouble.sentence)
    return Start(Stand.comes, _step(pod))


def is_ready(pod: Object) -> bool:
    """Whether every container runs and the pod has an address."""
    return condition(pod, "Ready").get("status") == "True" and bool(part(pod, "status").get("podIP"))


def _step(pod: Object) -> str:
    if condition(pod, "PodScheduled").get("status") != "True":
        return "a node is being chosen for it"
    if any(part(state, "running") for _, state in container_states(pod)):
        return "its home and folders are being prepared"
    return "its node fetches the image, unless it has it"


def has_gone(pod: Object | None) -> bool:
    """Whether nothing of a pod runs or will run any more, also when others still hold its object with a finalizer."""
    if pod is None:
        return True
    if not part(pod, "metadata").get("deletionTimestamp"):
        return False
    if part(pod, "status").get("phase") in ("Failed", "Succeeded"):
        return True
    return waits_for_quota(pod) and not any(container_states(pod))


def held_by_guarantee(pods: Iterable[Object], starting: Iterable[PodRequest], spec: WorkloadSpec) -> int:
    """Devices that are held or waited for in the queue of the guarantee of the workload's project and accelerator.

    ``starting`` are those whose pods nobody has seen yet.
    """
    if spec.project is None or spec.accelerator is None:
        return 0
    queue = guaranteed_queue(spec.project)
    held = sum(
        one.spec.accelerator_count
        for one in starting
        if one.queue == queue and one.spec.accelerator == spec.accelerator and one.spec.id != spec.id
    )
    for pod in pods:
        head = part(pod, "metadata")
        workload = described(head, datetime.now(UTC)) if part(head, "labels").get(QUEUE) == queue else None
        live = part(pod, "status").get("phase") not in ("Failed", "Succeeded")
        if workload is not None and workload.accelerator == spec.accelerator and live:
            held += workload.accelerator_count
    return held
