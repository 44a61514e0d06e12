"""The ``projects`` section: who pays, and who is entitled to what."""

from __future__ import annotations

from pydantic import Field

from .base import Count, Date, GroupName, Identifier, Line, PositiveCount, Section, Text
from .storage import StorageGiB


class PerUser(Section):
    """What one member may hold at a time within the project."""

    sessions: Count | None = None
    """Sessions at a time."""
    accelerators: dict[Identifier, Count] = Field(default_factory=dict)
    """Devices at a time, by key of ``accelerators``."""


class Project(Section):
    """Members, leaders, accelerators and caps; every workload is charged to exactly one project."""

    name: Line | None = None
    """Title; the key when absent."""
    description: Text = ""
    """What the project does."""
    unit: Line | None = None
    """One of ``site.units``."""
    leaders: tuple[Line, ...] = ()
    """Login names of those who lead it."""
    groups: tuple[GroupName, ...] = ()
    """Members of any of these groups are members of the project."""
    personal: bool = False
    """The project of everybody who is in no other; at most one may be so."""
    starts: Date | None = Field(default=None, alias="from")
    """First day."""
    until: Date | None = None
    """Last day."""
    accelerators: tuple[Identifier, ...] | None = None
    """Keys of ``accelerators`` that members may hold; absent: all."""
    guaranteed: dict[Identifier, PositiveCount] = Field(default_factory=dict)
    """Devices that a cluster with Kueue keeps for the project; while it does not use them, batch does."""
    at_most: dict[Identifier, Count] = Field(default_factory=dict)
    """Devices that the whole project may hold at a time."""
    per_user: PerUser = PerUser()
    """Devices and sessions that one member may hold at a time."""
    storage_gib: StorageGiB | None = None
    """What the project's folder may hold, GiB; absent: what the disk has."""
