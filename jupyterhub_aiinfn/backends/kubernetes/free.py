"""What of a cluster is free, counted from its nodes and from what is on them: a pure function."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jupyterhub_aiinfn.api.availability import DeviceAvailability, ReservedDevices
from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.values import Values

from .capacity import HARD, PASSING, has_labels, quantity
from .placement import RESERVED
from .translation import condition, part, parts

Object = Mapping[str, Any]
Group = str | None
"""For whom a node is: None is everybody."""


@dataclass(frozen=True)
class Machine:
    """What a node has for workloads."""

    name: str
    group: Group
    takes: bool
    """Whether it takes somebody new: not cordoned, ready, and kept by no taint that nobody tolerates."""
    devices: Mapping[str, int]
    """By key of ``accelerators``."""


@dataclass(frozen=True)
class Use:
    """Devices of one accelerator that a workload holds or waits for."""

    accelerator: str
    count: int
    node: str | None = None
    """None: it waits, or nobody knows yet where it is."""
    ends_at: datetime | None = None
    """When it gives them back, at the latest."""
    gives_way: bool = False
    """Whether it goes as soon as a session needs its place."""
    guarantee: str | None = None
    """Key of the project whose guarantee pays for it."""


@dataclass
class _Pool:
    """Devices that the same people can have."""

    total: int = 0
    used: int = 0
    gives_way: int = 0
    ends: list[tuple[datetime, int]] = field(default_factory=list)

    @property
    def free(self) -> int:
        return self.total - self.used + self.gives_way

    def hold(self, use: Use) -> None:
        self.used += use.count
        self.gives_way += use.count if use.gives_way and use.node is not None else 0
        if use.ends_at is not None and use.node is not None and not use.gives_way:
            self.ends.append((use.ends_at, use.count))

    def next_free_at(self) -> datetime | None:
        """When one is free at the latest, those who wait served first; None when one is, or when nobody knows."""
        missing = 1 - self.free
        if missing <= 0:
            return None
        for moment, count in sorted(self.ends):
            missing -= count
            if missing <= 0:
                return moment
        return None


def read_machine(values: Values, node: Object) -> Machine:
    """A node as the values see it; nothing that it holds can make this fail."""
    head, spec = part(node, "metadata"), part(node, "spec")
    taints = [one for one in parts(spec, "taints") if one.get("effect") in HARD]
    names = {f"{one.get('key')}={one.get('value') or ''}" for one in taints}
    lasting = {name for name in names if not name.startswith(PASSING)}
    groups = [name.removeprefix(RESERVED) for name in lasting if name.startswith(RESERVED)]
    ready = not spec.get("unschedulable") and condition(node, "Ready").get("status") == "True"
    return Machine(
        name=str(head.get("name")),
        group=groups[0] if groups else None,
        takes=ready and lasting == names and len(lasting) == len(groups) <= 1,
        devices=dict(_devices(values, part(head, "labels"), part(part(node, "status"), "allocatable"))),
    )


def _devices(values: Values, labels: Object, allocatable: Object) -> Iterator[tuple[str, int]]:
    for key, entry in values.accelerators.items():
        resource = str(entry.resource)
        if resource in allocatable and has_labels({**labels}, entry.node_selector):
            try:
                yield key, int(quantity(allocatable[resource], "of the cluster", resource))
            except BackendError:
                continue


def devices_of(values: Values, machines: Iterable[Machine], uses: Iterable[Use]) -> dict[str, DeviceAvailability]:
    """What everybody can have of each accelerator, and what is kept for whom.

    What runs on a node that takes nobody new is in use and in the total; its free devices are in neither. Batch counts
    as used and is told apart, because it goes as soon as a session comes. Who waits counts as used too.
    """
    by_accelerator: defaultdict[str, list[Use]] = defaultdict(list)
    for use in uses:
        by_accelerator[use.accelerator].append(use)
    there = list(machines)
    return {key: _of_accelerator(values, key, there, by_accelerator[key]) for key in values.accelerators}


def _of_accelerator(values: Values, key: str, machines: list[Machine], uses: list[Use]) -> DeviceAvailability:
    pools = _pools(key, machines, uses)
    shares = list(_guarantees(values, key, pools, uses))
    everybody = pools.pop(None)
    shares += [((group,), pool) for group, pool in sorted(pools.items(), key=str) if group is not None]
    reserved = tuple(
        ReservedDevices(
            groups=groups,
            total=pool.total,
            used=pool.used,
            gives_way=pool.gives_way,
            next_free_at=pool.next_free_at(),
        )
        for groups, pool in shares
        if pool.total or pool.used
    )
    reason = "no node of the cluster that is open to you has it now"
    return DeviceAvailability(
        accelerator=key,
        total=everybody.total,
        used=everybody.used,
        gives_way=everybody.gives_way,
        reason="" if everybody.total else reason,
        next_free_at=everybody.next_free_at(),
        reserved=reserved,
    )


def _pools(key: str, machines: list[Machine], uses: list[Use]) -> dict[Group, _Pool]:
    """What each kind of people has, the guarantees not yet taken from it."""
    held = Counter[str]()
    for use in uses:
        if use.node is not None:
            held[use.node] += use.count
    pools: dict[Group, _Pool] = {None: _Pool()}
    place: dict[str, Group] = {}
    for machine in machines:
        place[machine.name] = machine.group
        if count := max(held[machine.name], machine.devices.get(key, 0) if machine.takes else 0):
            pools.setdefault(machine.group, _Pool()).total += count
    waiting = None if pools[None].total else next((group for group, pool in pools.items() if pool.total), None)
    for use in uses:
        group = waiting if use.node is None else place.get(use.node)
        pool = pools.setdefault(group, _Pool())
        if use.node is not None and use.node not in place:
            pool.total += use.count  # its node is unknown for the moment, and it surely holds them
        pool.hold(use)
    return pools


def _guarantees(
    values: Values, key: str, pools: dict[Group, _Pool], uses: list[Use]
) -> Iterator[tuple[tuple[str, ...], _Pool]]:
    """What projects are guaranteed and do not hold is kept for their members: on their own nodes first."""
    paid = Counter[str | None]()
    for use in uses:
        paid[use.guarantee] += use.count
    for name, project in values.projects.items():
        kept = project.guaranteed.get(key, 0) - paid[name]
        kept -= sum(max(0, pools[group].free) for group in project.groups if group in pools)
        kept = min(kept, pools[None].free)
        if kept > 0:
            pools[None].total -= kept
            yield tuple(project.groups), _Pool(total=kept)
