"""How full a home, project or public folder is: the same figures on every page, in Lab and on the command line."""

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
