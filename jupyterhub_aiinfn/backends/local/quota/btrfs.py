"""Quotas of btrfs: each folder is a subvolume, whose group of one (qgroup ``0/id``) has the limit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jupyterhub_aiinfn.api.storage import QuotaMethod, StorageUse
from jupyterhub_aiinfn.errors import BackendError

from .base import Quota, check_folder, check_limit, figures
from .measured import MeasuredQuota

SUBVOLUME_INODE = 256
"""The inode of the top folder of every subvolume (BTRFS_FIRST_FREE_OBJECTID)."""
SECONDS = 60.0
"""How long one command may take; arbitrary, they take 5 ms."""
CONVERT = (
    "{folder} was made before there was a quota, so its limit is not enforced; with its person logged out: "
    "btrfs subvolume create {folder}.new; cp -a --reflink {folder}/. {folder}.new/; chown --reference={folder} "
    "{folder}.new; chmod --reference={folder} {folder}.new; mv {folder} {folder}.old; mv {folder}.new {folder}; then "
    "delete {folder}.old"
)


@dataclass(frozen=True)
class Group:
    """What the file system counts for one subvolume, in bytes."""

    referenced: int
    limit: int | None


class BtrfsQuota(Quota):
    """Enforced for subvolumes; a plain folder is measured and says how to convert it."""

    method = QuotaMethod.btrfs

    def __init__(self, plain: MeasuredQuota | None = None) -> None:
        """``plain`` counts folders that are no subvolumes."""
        self.plain = plain or MeasuredQuota()

    def make(self, folder: Path) -> None:
        """A subvolume, 0700."""
        if os.path.lexists(folder):
            raise FileExistsError(folder)
        run(["btrfs", "subvolume", "create", str(folder)], folder)
        folder.chmod(0o700)

    def set_limit(self, folder: Path, limit_bytes: int | None) -> None:
        """Set the limit of a subvolume."""
        check_limit(folder, limit_bytes)
        if is_subvolume(folder):
            run(["btrfs", "qgroup", "limit", "none" if limit_bytes is None else str(limit_bytes), str(folder)], folder)

    def forget(self, folder: Path) -> None:
        """Only what is measured is remembered."""
        self.plain.forget(folder)

    def use(self, folder: Path, limit_bytes: int | None = None) -> StorageUse:
        """What the file system counts, up to this moment."""
        if not is_subvolume(folder):
            found = self.plain.use(folder, limit_bytes)
            return found.model_copy(update={"note": CONVERT.format(folder=folder)})
        group = self._group(folder)
        return figures(
            folder, method=self.method, used=group.referenced, limit=group.limit, enforced=group.limit is not None
        )

    def _group(self, folder: Path) -> Group:
        number = run(["btrfs", "inspect-internal", "rootid", str(folder)], folder).strip()
        shown = run(["btrfs", "qgroup", "show", "-ref", "--raw", "--sync", str(folder)], folder)
        groups = parse_groups(shown)
        if f"0/{number}" not in groups:
            raise BackendError(
                f"btrfs counts nothing for {folder} (no group 0/{number}); an administrator repairs it with: "
                f"btrfs quota rescan -w {folder}"
            )
        return groups[f"0/{number}"]


def is_subvolume(folder: Path) -> bool:
    """Whether the folder of a btrfs file system is the top of a subvolume; a link or a file is refused."""
    check_folder(folder)
    return folder.lstat().st_ino == SUBVOLUME_INODE


def parse_groups(text: str) -> dict[str, Group]:
    """The table of ``btrfs qgroup show -re --raw``: id, referenced, exclusive, the limits of both, perhaps a path."""
    groups: dict[str, Group] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 4 and "/" in words[0] and words[1].isdigit():
            groups[words[0]] = Group(int(words[1]), int(words[3]) if words[3].isdigit() else None)
    return groups


def counts(folder: Path) -> str:
    """Empty when quotas are on for the file system of ``folder``; else what is to be done."""
    try:
        run(["btrfs", "qgroup", "show", str(folder)], folder)
    except BackendError as error:
        return f"{error}; switch quotas on with: btrfs quota enable {folder}"
    return ""


def run(command: Sequence[str], folder: Path) -> str:
    """What the command printed; :class:`BackendError` with what it complained of."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise BackendError("the program btrfs is not installed; install the system's package btrfs-progs") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendError(f"`{' '.join(command[:3])}` did not work for {folder}: {error}") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise BackendError(f"`{' '.join(command[:3])}` did not work for {folder}: {lines[-1].removeprefix('ERROR: ')}")
    return done.stdout
