"""The contract: few verbs, all blocking, all safe to call at any time from several processes.

Folders are the platform's own names below its state folder: nobody but the platform can put a link in their place.
"""

from __future__ import annotations

import errno
import os
import stat
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from jupyterhub_aiinfn.api.storage import QuotaMethod, StorageUse
from jupyterhub_aiinfn.errors import BackendError

LEAST_ROOM = 64 * 1024
"""Bytes; with less a folder counts as full: file systems refuse before the last byte (arbitrary)."""
GIB = 1024**3


class Quota(ABC):
    """Limits of folders, and their use. Errors are :class:`BackendError`; ``use`` raises none for a full folder."""

    method: ClassVar[QuotaMethod]

    def prepare(self, folder: Path, limit_bytes: int | None) -> None:
        """Make the folder (0700, of who runs the platform) when there is none, and set its limit.

        The folder above must exist. A folder that is there is kept as it is, also when no limit can be set on it.
        """
        check_limit(folder, limit_bytes)
        try:
            self.make(folder)
        except FileExistsError:
            check_folder(folder)
        except OSError as error:
            raise BackendError(
                f"the folder {folder} could not be made: {said(error)}; make room on the disk"
            ) from error
        self.set_limit(folder, limit_bytes)

    @abstractmethod
    def make(self, folder: Path) -> None:
        """Make an empty folder that can have a limit; :class:`FileExistsError` when anything has that name."""

    @abstractmethod
    def set_limit(self, folder: Path, limit_bytes: int | None) -> None:
        """Set the limit, or take it away (None); nothing happens where the folder can have none."""

    @abstractmethod
    def use(self, folder: Path, limit_bytes: int | None = None) -> StorageUse:
        """Use and limit now. ``limit_bytes`` is what the values say; an enforced limit is reported as enforced."""

    @abstractmethod
    def forget(self, folder: Path) -> None:
        """Somebody has just deleted much: a figure that is remembered must not be shown much longer."""


def said(error: OSError) -> str:
    """What the system said, for a sentence."""
    return error.strerror or str(error)


def check_limit(folder: Path, limit_bytes: int | None) -> None:
    """Refuse a limit that is no positive number of bytes."""
    if limit_bytes is not None and not 0 < limit_bytes < 2**63:
        raise BackendError(f"{limit_bytes} bytes cannot be the limit of {folder}; it must be 1 or more, below 8 EiB")


def check_folder(folder: Path) -> None:
    """Refuse what is no folder: a link or a file in its place is nobody's home."""
    try:
        found = folder.lstat()
    except OSError as error:
        raise BackendError(f"{folder} cannot be looked at: {said(error)}") from error
    if not stat.S_ISDIR(found.st_mode):
        raise BackendError(f"{folder} is not a folder but a link or a file; the administrator must move it away")


def figures(
    folder: Path,
    *,
    method: QuotaMethod,
    used: int | None,
    limit: int | None,
    enforced: bool,
    at_least: bool = False,
    note: str = "",
    measured_at: datetime | None = None,
) -> StorageUse:
    """The message, with what the disk says about room."""
    disk_bytes, inodes, read_only = room(folder)
    left = limit - used if enforced and limit is not None and used is not None else disk_bytes
    free = max(0, min(disk_bytes, left))
    problem = why_full(free, inodes, read_only=read_only, by_quota=left < disk_bytes)
    return StorageUse(
        used_bytes=used,
        at_least=at_least,
        limit_bytes=limit,
        enforced=enforced,
        method=method,
        free_bytes=free,
        free_inodes=inodes,
        writable=not problem,
        problem=problem,
        note=note,
        measured_at=measured_at or datetime.now(UTC),
    )


def room(folder: Path) -> tuple[int, int | None, bool]:
    """Free bytes and inodes of the disk for ordinary users (None: not counted), and whether it is read-only."""
    try:
        disk = os.statvfs(folder)
    except OSError as error:
        raise BackendError(f"{folder} cannot be looked at: {said(error)}") from error
    inodes = disk.f_favail if disk.f_files else None
    return disk.f_bavail * disk.f_frsize, inodes, bool(disk.f_flag & os.ST_RDONLY)


def why_full(free: int, inodes: int | None, *, read_only: bool, by_quota: bool) -> str:
    """A sentence when nothing can be written; empty when something can."""
    if read_only:
        return "the disk is mounted read-only; tell an administrator"
    if inodes == 0:
        return "the disk has no room for another file; delete files, or tell an administrator"
    if free >= LEAST_ROOM:
        return ""
    if by_quota:
        return "the limit is reached; delete files, or ask an administrator for more"
    return "the disk of this machine is full; delete files, and tell an administrator"


def is_full(error: OSError) -> bool:
    """Whether an error means that there is no room: of the quota, of the disk, of inodes."""
    return error.errno in (errno.EDQUOT, errno.ENOSPC)
