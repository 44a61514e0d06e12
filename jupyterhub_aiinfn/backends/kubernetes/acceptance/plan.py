"""Which sessions are started for which accelerator: decided from the values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jupyterhub_aiinfn.api.workloads import WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.accelerators import Accelerator
from jupyterhub_aiinfn.values.profiles import Size

from ..placement import RESERVED
from ..volumes import home_path
from .looking import MARK, command

PEOPLE = (f"{MARK}-1", f"{MARK}-2")
"""Login names of two people who are nobody; their homes stay, so they are the same in every run."""


@dataclass(frozen=True)
class Plan:
    """How one accelerator is tried."""

    accelerator: str
    entry: Accelerator
    count: int
    profile: str
    image: str
    project: str
    size_name: str
    size: Size

    def spec(self, person: str, *, word: str, with_device: bool, write: bool, seconds: int) -> WorkloadSpec:
        """A session that answers; it ends by itself after so many seconds, whatever becomes of who started it."""
        other = next(one for one in PEOPLE if one != person)
        return WorkloadSpec(
            kind=WorkloadKind.session,
            name=f"acceptance of {self.accelerator}",
            command=command(write=write, word=word, other_home=home_path(other), seconds=seconds),
            cores=self.size.cores,
            memory_gib=self.size.memory_gib,
            guaranteed_cores=self.size.guaranteed_cores,
            guaranteed_memory_gib=self.size.guaranteed_memory_gib,
            person=person,
            server_name=MARK,
            project=self.project,
            profile=self.profile,
            size=self.size_name,
            image=self.image,
            accelerator=self.accelerator if with_device else None,
            accelerator_count=self.count if with_device else 0,
            max_seconds=seconds,
        )


def plan_of(values: Values, accelerator: str) -> Plan:
    """The smallest session that holds the fewest devices; :class:`BackendError` says why there is none."""
    entry = values.accelerators[accelerator]
    if entry.resource is None:
        raise BackendError("it has no resource, by which a cluster knows where it is; write accelerators.*.resource")
    offers = [key for key, one in values.profiles.items() if accelerator in one.accelerators]
    if not offers:
        raise BackendError("no profile offers it; add it to the accelerators of one")
    key = next((one for one in offers if values.images[values.profiles[one].image].reference is not None), None)
    if key is None:
        raise BackendError("no profile that offers it has an image for a cluster; write images.*.reference")
    profile = values.profiles[key]
    name, size = min(profile.sizes.items(), key=lambda one: (one[1].memory_gib, one[1].cores))
    project = _project(values, accelerator)
    return Plan(accelerator, entry, min(entry.per_session), key, profile.image, project, name, size)


def _project(values: Values, accelerator: str) -> str:
    """A project that may hold it, real ones first."""
    may = [key for key, one in values.projects.items() if one.accelerators is None or accelerator in one.accelerators]
    if not may:
        raise BackendError("no project may hold it; add it to the accelerators of one")
    return min(may, key=lambda key: values.projects[key].personal)


def everybodys_groups(values: Values) -> frozenset[str]:
    """All groups for which something is reserved: so each device can be reached."""
    taints = (one.taint for one in values.nodes.values())
    reserved = {one.removeprefix(RESERVED) for one in taints if one and one.startswith(RESERVED)}
    return frozenset(reserved.union(*(one.groups for one in values.projects.values())))


def trial_values(values: Values) -> Values:
    """The values, with computed uids where the identity provider gives them: it knows none of our people."""
    uid = values.identity.uid
    if uid is None or uid.method != "claim":
        return values
    identity = values.identity.model_copy(update={"uid": uid.model_copy(update={"method": "crc32"})})
    return values.model_copy(update={"identity": identity})


def chosen(values: Values, only: Iterable[str]) -> list[str]:
    """The accelerators to try, in the order of the values; :class:`BackendError` for a name that is none."""
    wanted = list(only) or list(values.accelerators)
    unknown = [one for one in wanted if one not in values.accelerators]
    if unknown:
        known = ", ".join(values.accelerators) or "none"
        raise BackendError(f'there is no accelerator "{unknown[0][:60]}" in the values; there are {known}')
    if not wanted:
        raise BackendError("the values have no accelerators, so there is nothing to accept")
    return [one for one in values.accelerators if one in wanted]
