"""Find out what the file system of a folder can enforce."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import btrfs
from .base import Quota
from .measured import PATIENCE_SECONDS, MeasuredQuota
from .xfs import XfsQuota

MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True)
class Mount:
    """A mounted file system."""

    point: Path
    kind: str
    options: frozenset[str]


def choose_quota(
    homes_folder: Path, number_of: Callable[[Path], int] | None = None, patience: float = PATIENCE_SECONDS
) -> Quota:
    """The best that there is for folders of ``homes_folder``; a :class:`MeasuredQuota` says why it is no better.

    Blocking. ``number_of`` gives folders their numbers where the file system wants them (XFS); ``patience`` is how long
    whoever asks waits for a count, in seconds.
    """

    def measured(note: str = "") -> MeasuredQuota:
        return MeasuredQuota(note, patience=patience)

    mount = mount_of(homes_folder, MOUNTS.read_text(errors="surrogateescape"))
    if mount is None or mount.kind not in ("btrfs", "xfs"):
        kind = f"{mount.kind} at {mount.point}" if mount else "unknown"
        return measured(
            f"the file system of {homes_folder} ({kind}) has no quota that the platform knows; "
            "put the state folder on btrfs or XFS for limits that are enforced"
        )
    if os.geteuid() != 0:
        return measured(f"only root can set quotas of {mount.kind}; run the platform as root")
    if mount.kind == "btrfs":
        problem = btrfs.counts(homes_folder)
        return measured(problem) if problem else btrfs.BtrfsQuota(measured())
    if mount.options.isdisjoint({"prjquota", "pquota"}) or number_of is None:
        return measured(f"{mount.point} is mounted without project quotas; mount it with the option prjquota")
    return XfsQuota(mount.point, number_of, measured())


def snapshots(folder: Path) -> bool:
    """Whether a snapshot of the folder can be taken: root, and a subvolume of btrfs."""
    mount = mount_of(folder, MOUNTS.read_text(errors="surrogateescape"))
    return os.geteuid() == 0 and mount is not None and mount.kind == "btrfs" and btrfs.is_subvolume(folder)


def mount_of(folder: Path, mountinfo: str) -> Mount | None:
    """The last mounted file system among those nearest to the folder, as ``/proc/self/mountinfo`` has it."""
    place, best = folder.resolve(), None
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        words, after = fields.split(), rest.split()
        if len(words) < 6 or len(after) < 3:
            continue
        point = Path(unescaped(words[4]))
        if place.is_relative_to(point) and (best is None or len(point.parts) >= len(best.point.parts)):
            best = Mount(point, after[0], frozenset(words[5].split(",")) | frozenset(after[2].split(",")))
    return best


def unescaped(word: str) -> str:
    """A path of mountinfo: space, tab, newline and backslash are octal there."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), word)
