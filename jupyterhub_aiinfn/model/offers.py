"""What the spawn page shows: the profiles of a person, what can be had of them now, and why the rest cannot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jupyterhub_aiinfn.errors import Refusal
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.profiles import Profile

from .limits import lasting
from .remedies import refusal_with_remedy
from .requests import Person, Situation
from .standing import Standing


@dataclass(frozen=True)
class SizeOffer:
    """One choice of cores and memory."""

    key: str
    cores: float
    memory_gib: float


@dataclass(frozen=True)
class ProjectOffer:
    """One project that may pay for a session of the profile."""

    key: str
    name: str
    available: bool
    """Whether it can pay for one more session now."""
    reason: str
    """Why not; empty when it can."""


@dataclass(frozen=True)
class AcceleratorOffer:
    """One accelerator of a profile, as far as one of the person's projects is entitled to it."""

    key: str
    name: str
    type: str
    description: str
    memory_gb: float | None
    counts: tuple[int, ...]
    """How many may be asked for; never empty."""
    projects: tuple[str, ...]
    """Keys of the person's projects that are entitled to it."""
    total: int | None
    """None: not known now."""
    free: int | None
    """None: not known now."""
    emulated: bool
    next_free_at: datetime | None
    available: bool
    """Whether one can be had now for at least one project (or nothing is known), or a start waits for it."""
    reason: str
    """Why not; empty when ``available``."""
    waits: str
    """How long a start waits when too few are free, in words; empty when such a start is refused."""


@dataclass(frozen=True)
class Offer:
    """One card of the page."""

    key: str
    name: str
    description: str
    image: str
    image_name: str
    sizes: tuple[SizeOffer, ...]
    """The first one is preselected."""
    accelerators: tuple[AcceleratorOffer, ...]
    accelerator_required: bool
    """Whether one of ``accelerators`` must be chosen; False when there are none to choose from."""
    projects: tuple[ProjectOffer, ...]
    max_seconds: int
    available: bool
    """Whether a session of this profile can be started now."""
    reason: str
    """Why not, as a sentence with its remedy; empty when ``available``."""


def offers(values: Values, person: Person, situation: Situation, server_name: str | None = None) -> list[Offer]:
    """The cards of a person, in the order of the values file; profiles that are not for them are absent.

    A profile that needs an accelerator is absent as well when no project of theirs is entitled to any of its
    accelerators. Who has no project at all sees every card, disabled, with the groups to ask for.
    """
    standing = Standing(values, person, situation, server_name)
    projects = tuple(_project(standing, key) for key in standing.projects)
    found = (_offer(standing, key, profile, projects) for key, profile in standing.profiles.items())
    return [offer for offer in found if offer is not None]


def _project(standing: Standing, key: str) -> ProjectOffer:
    refusal = standing.sessions_refusal(key)
    return ProjectOffer(key, standing.values.projects[key].name or key, refusal is None, _sentence(refusal))


def _offer(standing: Standing, key: str, profile: Profile, projects: tuple[ProjectOffer, ...]) -> Offer | None:
    accelerators = tuple(filter(None, (_accelerator(standing, key, name) for name in profile.accelerators)))
    required = profile.accelerator_required and bool(profile.accelerators)
    if required and not accelerators and standing.projects:
        return None
    reason = _reason(standing, projects, accelerators, required)
    return Offer(
        key=key,
        name=profile.name,
        description=profile.description,
        image=profile.image,
        image_name=standing.values.images[profile.image].name,
        sizes=tuple(SizeOffer(name, size.cores, size.memory_gib) for name, size in profile.sizes.items()),
        accelerators=accelerators,
        accelerator_required=required,
        projects=projects,
        max_seconds=int(profile.max.total_seconds()),
        available=not reason,
        reason=reason,
    )


def _reason(
    standing: Standing,
    projects: tuple[ProjectOffer, ...],
    accelerators: tuple[AcceleratorOffer, ...],
    required: bool,
) -> str:
    refusal = standing.project_refusal() or standing.sessions_refusal()
    if refusal is not None:
        return _sentence(refusal)
    if not any(project.available for project in projects):
        return projects[0].reason
    if required and not any(accelerator.available for accelerator in accelerators):
        return "; ".join(dict.fromkeys(accelerator.reason for accelerator in accelerators))
    return ""


def _accelerator(standing: Standing, profile: str, key: str) -> AcceleratorOffer | None:
    entitled = tuple(project for project in standing.projects if standing.is_entitled(project, key))
    if not entitled:
        return None
    entry = standing.values.accelerators[key]
    counts = tuple(n for n in entry.per_session if any(standing.is_entitled(project, key, n) for project in entitled))
    if not counts:
        return None
    devices = standing.devices(key)
    refusals = [_refusal(standing, profile, project, key, min(counts)) for project in entitled]
    available = None in refusals
    return AcceleratorOffer(
        key=key,
        name=entry.name,
        type=entry.type,
        description=entry.description,
        memory_gb=entry.memory_gb,
        counts=counts,
        projects=entitled,
        total=devices.total if devices else None,
        # more are used than there are when the values were changed under those who hold them
        free=max(0, devices.total - devices.used) if devices else None,
        emulated=standing.is_emulated(key),
        next_free_at=devices.next_free_at if devices else None,
        available=available,
        reason="" if available else _sentence(refusals[0]),
        waits=_waits(standing, profile, entitled, key, min(counts)),
    )


def _waits(standing: Standing, profile: str, projects: tuple[str, ...], key: str, count: int) -> str:
    waits = (standing.wait(profile, project, key, count) for project in projects)
    longest = max((wait for wait in waits if wait is not None), default=None)
    if longest is None:
        return ""
    expected = standing.expected(key)
    return f"a session waits for its turn, at most {lasting(longest)}{expected}"


def _refusal(standing: Standing, profile: str, project: str, key: str, count: int) -> Refusal | None:
    return refusal_with_remedy(standing, profile, project, key, count) or standing.sessions_refusal(project)


def _sentence(refusal: Refusal | None) -> str:
    return "" if refusal is None else str(refusal)
