"""The ``storage`` section: where homes, project folders and the public folder live, and how full they may become."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from .base import GROUP_FOLDER, HOME, GroupName, Section

StorageGiB = Annotated[float, Field(ge=0.01, le=1_000_000, allow_inf_nan=False)]
"""A limit of a folder; 10 MiB at least, because an empty home already needs something."""


class Home(Section):
    """One home for each person, the same for all profiles."""

    backend: Literal["local"] = "local"
    """``local``: a folder of the state folder's ``homes``."""
    path: Annotated[str, StringConstraints(pattern=HOME, max_length=64)] = "user-{name}"
    """Name of the home folder; ``{name}`` is the login name."""
    quota_gib: StorageGiB | None = None
    """What a home may hold, GiB; absent: what the disk has. Enforced where the file system can (btrfs, XFS)."""


class ProjectFolders(Section):
    """One folder for each project but the personal one, shared by its members."""

    path: Annotated[str, StringConstraints(pattern=GROUP_FOLDER, max_length=64)] = "shared-{group}"
    """Name of the folder below the state folder's ``projects``; ``{group}`` is the project's key."""


class Public(Section):
    """One folder that everybody reads."""

    writers: tuple[GroupName, ...] = ()
    """Groups whose members may write there; others only read."""
    quota_gib: StorageGiB | None = None
    """What the folder may hold, GiB; absent: what the disk has."""


class Storage(Section):
    """Homes of people, folders of projects, and a folder for everybody."""

    home: Home = Home()
    """The home of each person."""
    project: ProjectFolders = ProjectFolders()
    """The folders of projects."""
    public: Public | None = None
    """The folder that everybody reads; absent: there is none."""
