"""How full homes, project folders and the public folder are: the same figures everywhere."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from .base import Message


class QuotaMethod(StrEnum):
    """How a limit is kept."""

    btrfs = "btrfs"
    """The file system refuses what goes over the limit (subvolume quota)."""
    xfs = "xfs"
    """The file system refuses what goes over the limit (project quota)."""
    measured = "measured"
    """The use is counted now and then; nothing refuses: "not enforced"."""


class StorageUse(Message):
    """One folder's use and limit."""

    used_bytes: int | None
    """Bytes on the disk; None when not counted yet."""
    at_least: bool = False
    """Whether the count was cut short: the use is ``used_bytes`` or more."""
    limit_bytes: int | None
    """None: no limit but the disk."""
    enforced: bool
    """Whether the file system refuses what goes over the limit."""
    method: QuotaMethod
    free_bytes: int | None = None
    """What can still be written: the smaller of quota and disk."""
    free_inodes: int | None = None
    """Files that can still be made, where the file system counts them."""
    writable: bool = True
    problem: str = ""
    """A sentence when nothing can be written: why, and the remedy."""
    note: str = ""
    """For administrators: why the limit is not enforced, and the remedy."""
    measured_at: datetime
    """The moment of the figures: of the count, when they were counted."""


class FolderKind(StrEnum):
    """Whose folder it is."""

    home = "home"
    """One person's."""
    project = "project"
    """A project's members read and write it."""
    public = "public"
    """Everybody reads it; some groups write it."""


class StorageFolder(Message):
    """One folder of the platform and how full it is."""

    kind: FolderKind
    key: str
    """Login name, key of the project, or ``public``."""
    name: str
    """For people: the login name, the project's title, ``Public``."""
    path: str
    """Where sessions have it: ``/home/alice``, ``/projects/flash-sim``, ``/public``."""
    read_only: bool = False
    """Whether the caller may not write there."""
    use: StorageUse | None = None
    """None when the folder is not made yet (the first session makes it), and when it cannot be looked at."""
    problem: str = ""
    """A sentence when it cannot be looked at."""


class StorageReport(Message):
    """The folders of the caller; with ``all`` those of everybody."""

    folders: tuple[StorageFolder, ...]
