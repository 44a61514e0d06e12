"""Which shared folders a person has, and how: decided from the values and the person's groups, nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from jupyterhub_aiinfn.values import Values

from .requests import Person
from .standing import projects_of


@dataclass(frozen=True)
class Folders:
    """What a person has beside the home."""

    projects: tuple[str, ...] = ()
    """Keys of the projects whose folders they read and write."""
    public: bool = False
    """Whether there is a folder that everybody reads."""
    writes_public: bool = False
    """Whether they also write there."""


def folders_of(values: Values, person: Person, today: date) -> Folders:
    """The folders of a person on one day: of the projects that they may charge then, but the personal one."""
    projects = tuple(key for key in projects_of(values, person, today) if has_folder(values, key))
    public = values.storage.public
    writes = public is not None and not person.groups.isdisjoint(public.writers)
    return Folders(projects, public=public is not None, writes_public=writes)


def has_folder(values: Values, project: str) -> bool:
    """Whether there is a folder of that project; the personal one has none: who is in no other has a home."""
    return project in values.projects and not values.projects[project].personal
