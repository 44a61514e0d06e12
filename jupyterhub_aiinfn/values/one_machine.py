"""What values say that one machine ignores: said by ``aiinfn values check``, so that nobody relies on it."""

from __future__ import annotations

from collections.abc import Iterator

from .document import Values
from .profiles import Profile
from .storage import Storage


def ignored_on_one_machine(values: Values) -> list[str]:
    """A sentence for each setting that only a cluster follows; empty for values that are for a cluster."""
    return [] if values.kubernetes is not None else list(_sentences(values))


def _sentences(values: Values) -> Iterator[str]:
    for key, profile in values.profiles.items():
        yield from _of_profile(key, profile)
    for key, project in values.projects.items():
        if project.guaranteed:
            yield f"projects.{key}.guaranteed is ignored: one machine keeps no devices for a project"
    if values.identity.uid is not None:
        yield "identity.uid is ignored: one machine allots uids itself"
    yield from _of_storage(values.storage)


def _of_profile(key: str, profile: Profile) -> Iterator[str]:
    if profile.wait is not None:
        yield f"profiles.{key}.wait is ignored: on one machine nobody waits for a device"
    for name, size in profile.sizes.items():
        if size.guaranteed_cores is not None or size.guaranteed_memory_gib is not None:
            yield f"profiles.{key}.sizes.{name}: what is guaranteed is ignored: one machine guarantees nothing"


def _of_storage(storage: Storage) -> Iterator[str]:
    for name, said in (("scratch", storage.scratch), ("cvmfs", storage.cvmfs), ("buckets", storage.buckets)):
        if said:
            yield f"storage.{name} is ignored: one machine mounts nothing"
    for name, volume in (("project", storage.project.volume), ("public", storage.public and storage.public.volume)):
        if volume is not None:
            yield f"storage.{name}.volume is ignored: on one machine the folder is below the state folder"
