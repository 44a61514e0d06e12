"""Who is promised what of a cluster: the platform's jobs, each project's guarantee, and the rest for all sessions.

What nobody is promised twice: everything given is taken from what there is, and the sum is never more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.kubernetes import Kueue
from jupyterhub_aiinfn.values.profiles import Size
from jupyterhub_aiinfn.values.projects import Project

from .capacity import Capacity, Pool, exact
from .placement import is_for

Share = dict[str | None, Pool]
"""What somebody is promised of each pool; None is what is open to all."""


@dataclass(frozen=True)
class Cost:
    """What one session is guaranteed, everything beside it included."""

    milli: int = 0
    mib: int = 0


@dataclass
class Quotas:
    """The promises; together they are all that there is."""

    platform: Share
    guaranteed: dict[str, Share] = field(default_factory=dict)
    """By project."""
    sessions: Share = field(default_factory=dict)
    """The rest, for everybody's sessions."""


def quotas(values: Values, kueue: Kueue, found: Capacity) -> Quotas:
    """Give away what there is. Raises :class:`BackendError`, a sentence with the remedy, when there is not enough.

    ``found`` is used up: what is left of it in the end is the share of all sessions.
    """
    given = Quotas(platform=_platform(kueue, found))
    for key, project in values.projects.items():
        if project.guaranteed:
            given.guaranteed[key] = _guarantee(values, key, project, found)
    given.sessions = dict(found.pools)
    return given


def _platform(kueue: Kueue, found: Capacity) -> Share:
    jobs = kueue.platform_jobs
    cost = Cost(math.ceil(exact(jobs.cores) * 1000), math.ceil(exact(jobs.memory_gib) * 1024))
    if not _take(found.open, cost):
        raise BackendError(
            f"jobs of the platform shall have {jobs.cores:g} cores and {jobs.memory_gib:g} GiB, and all nodes open to "
            f"everybody have {found.open.milli / 1000:g} cores and {found.open.mib / 1024:g} GiB; "
            "lower kubernetes.kueue.platform_jobs or nodes.*.keep, or add nodes"
        )
    return {None: Pool(cost.milli, cost.mib)}


def _guarantee(values: Values, key: str, project: Project, found: Capacity) -> Share:
    share: Share = {}
    for accelerator, count in project.guaranteed.items():
        cost = session_cost(values, accelerator)
        if cost is None:
            raise BackendError(
                f'project "{key}" is guaranteed "{accelerator}", which no profile offers; add it to a profile'
            )
        for _ in range(count):
            _give_device(values, key, project, accelerator, cost, found, share)
    return share


def _give_device(
    values: Values, key: str, project: Project, accelerator: str, cost: Cost, found: Capacity, share: Share
) -> None:
    """One device with cores and memory for a session: of the project's reserved nodes first, then of the open ones."""
    own = frozenset(project.groups)
    order = [name for name in found.reserved if is_for(str(values.nodes[name].taint), own)]
    places: list[str | None] = [*order, None]
    place = next((one for one in places if found.pools[one].devices.get(accelerator, 0) > 0), "")
    if place == "":
        there = f"{share_of(share, accelerator)} can be had on nodes where its members may be"
        raise BackendError(
            f'project "{key}" is guaranteed {project.guaranteed[accelerator]} of "{accelerator}", and {there}; '
            "lower its guarantee or that of others, or add nodes"
        )
    payer = next((one for one in dict.fromkeys([place, None]) if _take(found.pools[one], cost)), "")
    if payer == "":
        needed = f"{cost.milli / 1000:g} cores and {cost.mib / 1024:g} GiB"
        raise BackendError(
            f'project "{key}" is guaranteed "{accelerator}", and a session with it needs {needed}, which are not left; '
            "lower guaranteed_cores and guaranteed_memory_gib of the sizes, lower the guarantee, or add nodes"
        )
    found.pools[place].devices[accelerator] -= 1
    share.setdefault(place, Pool()).add(0, 0, {accelerator: 1})
    share.setdefault(payer, Pool()).add(cost.milli, cost.mib, {})


def share_of(share: Share, accelerator: str) -> int:
    """How many of an accelerator a share holds."""
    return sum(pool.devices.get(accelerator, 0) for pool in share.values())


def _take(pool: Pool, cost: Cost) -> bool:
    """Take it, if it is there."""
    if pool.milli < cost.milli or pool.mib < cost.mib:
        return False
    pool.milli -= cost.milli
    pool.mib -= cost.mib
    return True


def session_cost(values: Values, accelerator: str) -> Cost | None:
    """The most that a session with this accelerator is guaranteed; None when no profile offers it."""
    sizes = list(_sizes(values, accelerator))
    beside = values.kubernetes.sessions.sidecars.values() if values.kubernetes is not None else ()
    milli, mib = sum(_milli(one.cores) for one in beside), sum(_mib(one.memory_gib) for one in beside)
    if not sizes:
        return None
    most_milli = max(_milli(size.cores if size.guaranteed_cores is None else size.guaranteed_cores) for size in sizes)
    kept = (size.memory_gib if size.guaranteed_memory_gib is None else size.guaranteed_memory_gib for size in sizes)
    return Cost(most_milli + milli, max(map(_mib, kept)) + mib)


def _sizes(values: Values, accelerator: str) -> Iterator[Size]:
    for profile in values.profiles.values():
        if accelerator in profile.accelerators:
            yield from profile.sizes.values()


def _milli(cores: float) -> int:
    """As pods ask for it (:func:`~.volumes.cores`), or more."""
    return max(1, math.ceil(exact(cores) * 1000))


def _mib(gib: float) -> int:
    return max(1, math.ceil(exact(gib) * 1024))
