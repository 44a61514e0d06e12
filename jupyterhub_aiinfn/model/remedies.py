"""What else would do now, when the devices that somebody wants are not to be had."""

from __future__ import annotations

from collections.abc import Iterator

from jupyterhub_aiinfn.errors import NothingFree, Refusal

from .options import listed, quoted
from .standing import Standing


def refusal_with_remedy(standing: Standing, profile: str, project: str, accelerator: str, count: int) -> Refusal | None:
    """Why ``count`` devices cannot be had for ``project`` now, and what would do instead.

    None when they can, or when the start of the session waits for them.
    """
    refusal = standing.accelerator_refusal(project, accelerator, count)
    if not isinstance(refusal, NothingFree):
        return refusal
    if standing.wait(profile, project, accelerator, count) is not None:
        return None
    instead = listed(list(_instead(standing, profile, project, accelerator, count))[:2])
    later = _later(standing, accelerator, count, str(refusal))
    return NothingFree(f"{refusal}: {instead} now, or {later}" if instead else f"{refusal}: {later}")


def _later(standing: Standing, accelerator: str, count: int, sentence: str) -> str:
    devices = standing.devices(accelerator)
    if devices is not None and devices.total < count:
        return "choose another profile" if devices.total == 0 else "choose fewer"
    return "try again then" if "is expected free" in sentence else "try again later"


def _instead(standing: Standing, profile: str, project: str, accelerator: str, count: int) -> Iterator[str]:
    """Nearest first: fewer of them, another project, another accelerator of the profile, none."""
    fewer = [number for number in standing.values.accelerators[accelerator].per_session if number < count]
    for number in sorted(fewer, reverse=True):
        if standing.accelerator_refusal(project, accelerator, number) is None:
            yield f"take {number} of them"
            break
    for other in standing.projects:
        if other != project and _would_do(standing, other, accelerator, count):
            yield f"choose the project {quoted(other)}"
            break
    yield from _other_accelerators(standing, profile, project, accelerator)


def _other_accelerators(standing: Standing, profile: str, project: str, accelerator: str) -> Iterator[str]:
    rules, catalogue = standing.values.profiles[profile], standing.values.accelerators
    others = [key for key in rules.accelerators if key != accelerator]
    for key in sorted(others, key=lambda other: -catalogue[other].preference_weight):
        if _would_do(standing, project, key, min(catalogue[key].per_session)):
            yield f"take {standing.name_of(key)}"
    if not rules.accelerator_required:
        yield "start without an accelerator"


def _would_do(standing: Standing, project: str, accelerator: str, count: int) -> bool:
    refused = standing.accelerator_refusal(project, accelerator, count) or standing.sessions_refusal(project)
    return refused is None
