"""On which nodes a workload may be, and on which it would rather be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.accelerators import Accelerator

Manifest = dict[str, Any]
RESERVED = "reserved="
"""Taints that keep nodes for the members of a group."""
HEAVIEST = 100
"""The largest weight of a preference that Kubernetes takes."""


def accelerator_of(values: Values, spec: WorkloadSpec) -> Accelerator | None:
    """The catalogue's entry of what the workload holds; :class:`BackendError` when a cluster cannot give it."""
    if spec.accelerator is None:
        return None
    entry = values.accelerators.get(spec.accelerator)
    if entry is None or entry.resource is None:
        said = "is not in the catalogue" if entry is None else "has no resource, by which a cluster knows where it is"
        raise BackendError(
            f'the accelerator "{spec.accelerator}" {said}; ask an administrator to correct accelerators.*.resource'
        )
    if spec.accelerator_count < 1:
        raise BackendError(f'{spec.accelerator_count} of "{spec.accelerator}" were asked for; ask for one at least')
    return entry


def devices(values: Values, spec: WorkloadSpec) -> dict[str, str]:
    """The extended resource that the workload holds: asked for and limited alike."""
    entry = accelerator_of(values, spec)
    return {} if entry is None else {str(entry.resource): str(spec.accelerator_count)}


def node_selector(values: Values, spec: WorkloadSpec) -> dict[str, str]:
    """Labels that the node must have: never another model than the one that was chosen."""
    entry = accelerator_of(values, spec)
    return {} if entry is None else dict(entry.node_selector)


def tolerations(values: Values, groups: frozenset[str]) -> list[Manifest]:
    """The reserved nodes to which members of these groups may go, and nobody else."""
    own = dict.fromkeys(entry.taint for entry in values.nodes.values() if entry.taint and is_for(entry.taint, groups))
    return [
        {"key": key, "operator": "Equal", "value": value, "effect": effect}
        for key, _, value in (taint.partition("=") for taint in own)
        for effect in ("NoSchedule", "PreferNoSchedule")
    ]


def is_for(taint: str, groups: frozenset[str]) -> bool:
    """Whether a taint keeps nodes for one of these groups."""
    return taint.startswith(RESERVED) and taint.removeprefix(RESERVED) in groups


def affinity(values: Values, spec: WorkloadSpec, groups: frozenset[str]) -> Manifest:
    """Preferences between nodes: away from devices that the workload does not use, to nodes that its group paid for."""
    terms = [*_away_from_devices(values, spec), *_to_own_nodes(values, spec, groups)]
    return {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}} if terms else {}


def _away_from_devices(values: Values, spec: WorkloadSpec) -> Iterator[Manifest]:
    """A bonus for nodes without a device, the larger the more valuable it is (the smaller its preference weight).

    A node without any device has all of them; of two with a device that with the less valuable one has more.
    """
    for key, entry in values.accelerators.items():
        if key == spec.accelerator or not entry.node_selector:
            continue
        weight = max(1, (HEAVIEST - entry.preference_weight) // len(entry.node_selector))
        for label, value in entry.node_selector.items():
            yield _term(weight, {"key": label, "operator": "NotIn", "values": [value]})


def _to_own_nodes(values: Values, spec: WorkloadSpec, groups: frozenset[str]) -> Iterator[Manifest]:
    """Members take a device of their reserved nodes first; without a device they leave these alone."""
    for entry in values.nodes.values():
        if spec.accelerator is not None and entry.taint and is_for(entry.taint, groups) and entry.selector:
            labels = [{"key": key, "operator": "In", "values": [value]} for key, value in entry.selector.items()]
            yield _term(HEAVIEST, *labels)


def _term(weight: int, *expressions: Manifest) -> Manifest:
    return {"weight": weight, "preference": {"matchExpressions": list(expressions)}}
