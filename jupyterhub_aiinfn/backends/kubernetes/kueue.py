"""The queues of Kueue (API v1beta2) as manifests, and the one in which a workload waits: pure functions of the values.

Sessions never borrow and are preempted by nobody: no queue has the right to, whatever its load. Only batch borrows what
others are promised and do not use, and goes when they come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from jupyterhub_aiinfn.api.workloads import JobClass, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.kubernetes import Kubernetes

from .capacity import Capacity, Pool
from .manifests import cluster_of
from .names import PLATFORM_QUEUE, group_of, guaranteed_queue
from .quotas import Share, quotas

Manifest = dict[str, Any]
API = "kueue.x-k8s.io/v1beta2"
PRIORITIES = {
    "session": (1000, "Sessions of people: they never make each other go."),
    "platform": (1000, "Jobs of the platform itself: small, kept for them, never evicted."),
    "batch": (0, "Opportunistic jobs: they go when a session needs their place."),
}
"""Of equal priority on purpose: what may reclaim only what is lower can touch neither sessions nor platform jobs."""
MAX_FLAVORS, MAX_ALL_FLAVORS = 64, 256
"""What Kueue takes of flavors: in one group of resources, and in all of a queue."""
NAMESPACE = "kubernetes.io/metadata.name"


def queue_of(values: Values, spec: WorkloadSpec, held_by_guarantee: int = 0) -> str | None:
    """The local queue of a workload; None where there is no Kueue.

    ``held_by_guarantee``: devices of its accelerator that sessions of its project hold or wait for in the queue of the
    guarantee. The choice is made here because a queue of Kueue cannot change to which quota it belongs.
    """
    if cluster_of(values).kueue is None:
        return None
    if spec.job_class is JobClass.platform:
        return PLATFORM_QUEUE
    project = values.projects.get(spec.project) if spec.project is not None else None
    if project is None or spec.project is None:
        raise BackendError(
            f'the workload "{spec.name[:60]}" belongs to no project, so it has no queue; choose a project'
        )
    guaranteed = project.guaranteed.get(spec.accelerator, 0) if spec.accelerator is not None else 0
    if spec.kind is WorkloadKind.session and guaranteed and held_by_guarantee + spec.accelerator_count <= guaranteed:
        return guaranteed_queue(spec.project)
    return spec.project


def kueue_manifests(values: Values, found: Capacity) -> list[Manifest]:
    """Everything that Kueue is told, in an order in which it can be applied; empty where there is no Kueue.

    ``found`` is used up. Raises :class:`BackendError` when there is less than was promised.
    """
    cluster = cluster_of(values)
    if cluster.kueue is None:
        return []
    flavors = list(_flavors(values, found))
    _check_number(flavors)
    cohort = cluster.kueue.cohort
    given = quotas(values, cluster.kueue, found)
    return [
        *(flavor.manifest() for flavor in flavors),
        {"apiVersion": API, "kind": "Cohort", "metadata": {"name": cohort}, "spec": {}},
        *(_priority(f"{cohort}-{name}", value, words) for name, (value, words) in PRIORITIES.items()),
        _queue(values, f"{cohort}-sessions", cluster.sessions_namespace, _quotas(values, flavors, given.sessions)),
        _queue(
            values,
            f"{cohort}-platform",
            cluster.jobs_namespace,
            _quotas(values, flavors, given.platform, only_held=True),
        ),
        *(
            _queue(
                values,
                f"{cohort}-{guaranteed_queue(project)}",
                cluster.sessions_namespace,
                _quotas(values, flavors, share, only_held=True),
            )
            for project, share in given.guaranteed.items()
        ),
        _batch(values, cluster, flavors),
        *_local_queues(values, cluster),
    ]


@dataclass(frozen=True)
class Flavor:
    """Cores and memory of one pool of nodes, or one accelerator in it."""

    values: Values
    accelerator: str | None
    """None: it is cores and memory."""
    reserved: str | None
    """Key of ``nodes`` of a reserved class; None: the open nodes."""

    @property
    def name(self) -> str:
        """``<cohort>.nodes[.<class>]`` or ``<cohort>.device.<accelerator>[.<class>]``; dots are in no key."""
        parts = [group_of(self.values), *(["nodes"] if self.accelerator is None else ["device", self.accelerator])]
        return ".".join([*parts, *([self.reserved] if self.reserved is not None else [])])

    @property
    def resources(self) -> tuple[str, ...]:
        """What is counted in it."""
        if self.accelerator is None:
            return "cpu", "memory"
        return (str(self.values.accelerators[self.accelerator].resource),)

    def quota(self, pool: Pool) -> dict[str, str]:
        """What a share of its pool is in it."""
        if self.accelerator is None:
            return {"cpu": f"{pool.milli}m", "memory": f"{pool.mib}Mi"}
        return {self.resources[0]: str(pool.devices.get(self.accelerator, 0))}

    def manifest(self) -> Manifest:
        """The ResourceFlavor: by its labels pods that are admitted in it go to its nodes."""
        labels: dict[str, str] = {}
        spec: Manifest = {}
        if self.accelerator is not None:
            labels |= self.values.accelerators[self.accelerator].node_selector
        if self.reserved is not None:
            entry = self.values.nodes[self.reserved]
            labels |= entry.selector
            key, _, value = str(entry.taint).partition("=")
            spec["nodeTaints"] = [{"key": key, "value": value, "effect": "NoSchedule"}]
        if labels:
            spec = {"nodeLabels": labels, **spec}
        return {"apiVersion": API, "kind": "ResourceFlavor", "metadata": {"name": self.name}, "spec": spec}


def _flavors(values: Values, found: Capacity) -> Iterator[Flavor]:
    """Cores: the open nodes first. Devices: the reserved nodes first, so that members leave the others to all."""
    for place in found.pools:
        yield Flavor(values, None, place)
    for key, entry in values.accelerators.items():
        if entry.resource is not None:
            for name, pool in found.reserved.items():
                if pool.devices.get(key, 0) > 0:
                    yield Flavor(values, key, name)
            yield Flavor(values, key, None)


def _check_number(flavors: list[Flavor]) -> None:
    counts = Counter(flavor.resources for flavor in flavors)
    many = [(", ".join(names), count, MAX_FLAVORS) for names, count in counts.items() if count > MAX_FLAVORS]
    if len(flavors) > MAX_ALL_FLAVORS:
        many.append(("all resources", len(flavors), MAX_ALL_FLAVORS))
    for what, count, most in many:
        which = "one for each accelerator in each reserved class of nodes that has it and one in the open nodes"
        raise BackendError(
            f"Kueue takes at most {most} kinds of quota of {what}, and there would be {count}: {which}; "
            "merge accelerators or classes"
        )


def _quotas(values: Values, flavors: list[Flavor], share: Share, only_held: bool = False) -> list[Manifest]:
    """The resource groups of a queue: one for cores and memory, one for each extended resource.

    With ``only_held`` just what the share holds: what a queue does not list it cannot admit.
    """
    kept = [(flavor, flavor.quota(share.get(flavor.reserved, Pool()))) for flavor in flavors]
    if only_held:
        kept = [(flavor, quota) for flavor, quota in kept if any(text.strip("miM") != "0" for text in quota.values())]
    return _groups([(flavor, quota, {"borrowingLimit": "0"}) for flavor, quota in kept])


def _groups(kept: Iterable[tuple[Flavor, dict[str, str], Manifest]]) -> list[Manifest]:
    groups: dict[tuple[str, ...], list[Manifest]] = {}
    for flavor, quota, limits in kept:
        resources = [{"name": name, "nominalQuota": amount, **limits} for name, amount in quota.items()]
        groups.setdefault(flavor.resources, []).append({"name": flavor.name, "resources": resources})
    return [{"coveredResources": list(covered), "flavors": flavors} for covered, flavors in groups.items()]


def _queue(values: Values, name: str, namespace: str, groups: list[Manifest]) -> Manifest:
    """A queue that takes back what is lent of its own, from batch only, and never ends what is its own."""
    preemption = {
        # Not Any: a quota that was lowered below what runs makes that "borrowed", and Any would end sessions for it.
        "reclaimWithinCohort": "LowerPriority",
        "borrowWithinCohort": {"policy": "Never"},
        "withinClusterQueue": "Never",
    }
    found = _cluster_queue(values, name, namespace, groups, preemption)
    # Rather take cores back from batch than go on to a reserved class: a session whose cores are of one class and whose
    # device is of another fits on no node.
    found["spec"]["flavorFungibility"] = {"whenCanBorrow": "MayStopSearch", "whenCanPreempt": "MayStopSearch"}
    return found


def _batch(values: Values, cluster: Kubernetes, flavors: list[Flavor]) -> Manifest:
    """The only queue that borrows: nothing is its own, and it makes nobody go."""
    preemption = {
        "reclaimWithinCohort": "Never",
        "borrowWithinCohort": {"policy": "Never"},
        "withinClusterQueue": "Never",
    }
    nothing = _groups([(flavor, flavor.quota(Pool()), {}) for flavor in flavors])
    return _cluster_queue(values, f"{group_of(values)}-batch", cluster.jobs_namespace, nothing, preemption)


def _cluster_queue(values: Values, name: str, namespace: str, groups: list[Manifest], preemption: Manifest) -> Manifest:
    spec = {
        "cohortName": group_of(values),
        "namespaceSelector": {"matchLabels": {NAMESPACE: namespace}},
        "queueingStrategy": "BestEffortFIFO",
        "preemption": preemption,
        "resourceGroups": groups,
    }
    return {"apiVersion": API, "kind": "ClusterQueue", "metadata": {"name": name}, "spec": spec}


def _priority(name: str, value: int, description: str) -> Manifest:
    head = {"apiVersion": API, "kind": "WorkloadPriorityClass", "metadata": {"name": name}}
    return {**head, "value": value, "description": description}


def _local_queues(values: Values, cluster: Kubernetes) -> Iterator[Manifest]:
    cohort = group_of(values)
    yield _local(cluster.jobs_namespace, PLATFORM_QUEUE, f"{cohort}-platform")
    for key, project in values.projects.items():
        yield _local(cluster.sessions_namespace, key, f"{cohort}-sessions")
        if project.guaranteed:
            queue = guaranteed_queue(key)
            yield _local(cluster.sessions_namespace, queue, f"{cohort}-{queue}")
        yield _local(cluster.jobs_namespace, key, f"{cohort}-batch")


def _local(namespace: str, name: str, queue: str) -> Manifest:
    head = {"apiVersion": API, "kind": "LocalQueue", "metadata": {"name": name, "namespace": namespace}}
    return {**head, "spec": {"clusterQueue": queue}}
