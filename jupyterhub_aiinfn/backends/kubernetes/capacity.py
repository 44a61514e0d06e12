"""What the machines of a cluster have for workloads: of the nodes that are there, or as the values state it.

Counted in whole thousandths of a core, MiB and devices, always rounded down: a quota never promises more than there is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.nodes import NodeClass
from jupyterhub_aiinfn.values.quoting import quote

from .placement import RESERVED

QUANTITY = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)(?:[eE]([+-]?[0-9]{1,2})|([numkMGTPE]|[KMGTPE]i)?)")
UNITS = {"n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": Fraction(1)}
UNITS |= {unit: Fraction(1000**power) for power, unit in enumerate("kMGTPE", 1)}
UNITS |= {f"{unit}i": Fraction(1024**power) for power, unit in enumerate("KMGTPE", 1)}
HARD = ("NoSchedule", "NoExecute")
PASSING = "node.kubernetes.io/"
"""Taints of nodes that are out of order for a while: their devices stay promised, and who runs there keeps them."""


@dataclass
class Pool:
    """What nodes have that are alike in who may be on them; it is what is left, while it is given away."""

    milli: int = 0
    """Thousandths of cores."""
    mib: int = 0
    """Memory, MiB."""
    devices: dict[str, int] = field(default_factory=dict)
    """Devices by key of ``accelerators``."""

    def add(self, milli: int, mib: int, devices: Mapping[str, int]) -> None:
        """One machine more."""
        self.milli += max(0, milli)
        self.mib += max(0, mib)
        for key, count in devices.items():
            self.devices[key] = self.devices.get(key, 0) + count


@dataclass
class Capacity:
    """Everything there is: open to all, and by reserved class of nodes."""

    open: Pool = field(default_factory=Pool)
    reserved: dict[str, Pool] = field(default_factory=dict)
    """By key of ``nodes``; every reserved class is in it."""
    notes: list[str] = field(default_factory=list)
    """Sentences about nodes that are not counted, or not as one would expect."""

    @property
    def pools(self) -> dict[str | None, Pool]:
        """All pools; None is what is open to all."""
        found: dict[str | None, Pool] = {None: self.open}
        found.update(self.reserved)
        return found


def capacity(values: Values, nodes: Sequence[Mapping[str, Any]] | None) -> Capacity:
    """What there is for workloads, less what each machine keeps.

    ``nodes`` are those of the cluster as the API server lists them; None: only what the values state counts, and
    :class:`BackendError` says when they state nothing. Nodes of classes that state their machines do not count twice.
    """
    found = Capacity(reserved={key: Pool() for key, entry in values.nodes.items() if entry.taint is not None})
    stated = {key: entry for key, entry in values.nodes.items() if entry.machines is not None}
    if nodes is None and not stated:
        raise BackendError(
            "nothing says what the cluster has; give its nodes with --nodes (from `kubectl get nodes -o yaml`), "
            "or write nodes.*.machines"
        )
    found.notes += [
        f"nodes.{key} is of no use to anybody: nobody tolerates its taint {entry.taint}, only {RESERVED}<group>"
        for key, entry in values.nodes.items()
        if entry.taint is not None and not entry.taint.startswith(RESERVED)
    ]
    for key, entry in stated.items():
        _add_stated(found.pools[key if entry.taint is not None else None], entry)
    for node in nodes or ():
        _add_node(values, found, node)
    return found


def _add_stated(pool: Pool, entry: NodeClass) -> None:
    machines = entry.machines
    assert machines is not None
    milli, mib = _kept([entry])
    for _ in range(machines.count):
        pool.add(
            math.floor(exact(machines.cores) * 1000) - milli,
            math.floor(exact(machines.memory_gib) * 1024) - mib,
            machines.accelerators,
        )


def _kept(classes: Iterable[NodeClass]) -> tuple[int, int]:
    """What a machine keeps: the most that one of its classes says, in thousandths of cores and MiB, rounded up."""
    keeps = [entry.keep for entry in classes]
    milli = max((math.ceil(exact(keep.cores) * 1000) for keep in keeps), default=0)
    return milli, max((math.ceil(exact(keep.memory_gib) * 1024) for keep in keeps), default=0)


def _add_node(values: Values, found: Capacity, node: Mapping[str, Any]) -> None:
    name, labels = _name(node), _texts(_map(_map(node, "metadata"), "labels"))
    classes = {key: entry for key, entry in values.nodes.items() if has_labels(labels, entry.selector)}
    if any(entry.machines is not None for entry in classes.values()):
        return
    reserved = [key for key, entry in classes.items() if entry.taint is not None]
    taints = set(_hard_taints(node))
    strange = sorted(taints - {str(classes[key].taint) for key in reserved})
    if strange:
        found.notes.append(f"node {name} is not counted: nobody tolerates its taint {strange[0]}")
        return
    if len(reserved) > 1:
        found.notes.append(
            f"node {name} is in the reserved classes {' and '.join(reserved)}; it counts as {reserved[0]}"
        )
    if reserved and str(classes[reserved[0]].taint) not in taints:
        taint = classes[reserved[0]].taint
        found.notes.append(f"node {name} is of the reserved class {reserved[0]} and has not its taint {taint}")
    allocatable = _map(_map(node, "status"), "allocatable")
    milli, mib = _kept(classes.values())
    pool = found.pools[reserved[0] if reserved else None]
    pool.add(
        math.floor(quantity(allocatable.get("cpu", "0"), name, "cpu") * 1000) - milli,
        math.floor(quantity(allocatable.get("memory", "0"), name, "memory") / 1024**2) - mib,
        _devices(values, labels, allocatable, name),
    )


def _devices(values: Values, labels: Mapping[str, str], allocatable: Mapping[str, Any], name: str) -> dict[str, int]:
    """Devices of a node by accelerator: of those with its resource the one whose labels it has."""
    found = {}
    for key, entry in values.accelerators.items():
        resource = str(entry.resource)
        if resource in allocatable and has_labels(labels, entry.node_selector):
            found[key] = math.floor(quantity(allocatable[resource], name, resource))
    return found


def exact(number: float) -> Fraction:
    """What the file says, not its nearest binary fraction: a tenth of a core is 100 thousandths."""
    return Fraction(repr(float(number)))


def has_labels(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether a node with these labels is meant by a selector."""
    return all(labels.get(label) == value for label, value in wanted.items())


def quantity(text: object, node: str, what: str) -> Fraction:
    """``31850m``, ``131900000Ki``, ``7``, ``1e3``; :class:`BackendError` for what is none."""
    found = QUANTITY.fullmatch(str(text)) if isinstance(text, str | int) and not isinstance(text, bool) else None
    if found is None:
        raise BackendError(
            f"allocatable {what} of node {node} is {quote(text)}, which is no quantity; "
            "give the file that `kubectl get nodes -o yaml` writes"
        )
    number, exponent, unit = found.groups()
    return Fraction(number) * (Fraction(10) ** int(exponent) if exponent else UNITS[unit or ""])


def _hard_taints(node: Mapping[str, Any]) -> Iterator[str]:
    taints = _map(node, "spec").get("taints")
    for taint in taints if isinstance(taints, list) else ():
        if isinstance(taint, Mapping) and taint.get("effect") in HARD:
            key = str(taint.get("key", ""))
            if not key.startswith(PASSING):
                yield f"{key}={taint.get('value') or ''}"


def _name(node: Mapping[str, Any]) -> str:
    name = _map(node, "metadata").get("name")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9.-]{1,253}", name):
        raise BackendError("a node has no name; give the file that `kubectl get nodes -o yaml` writes")
    return name


def _map(value: object, key: str) -> Mapping[str, Any]:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _texts(labels: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): value for key, value in labels.items() if isinstance(value, str)}
