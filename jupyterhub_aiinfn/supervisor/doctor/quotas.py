"""Whether the file system under the homes can keep people to a quota.

This is the one place where the doctor learns about quotas: what a backend of quotas knows joins in :func:`quotas`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from .findings import Finding, Patient, ok, warning

MOUNTS = Path("/proc/self/mountinfo")
CAN = {"btrfs": "a subvolume for each home with `btrfs quota enable`", "xfs": "project quotas (mount option prjquota)"}
"""File systems that can, and by what."""


def quotas(patient: Patient) -> Iterator[Finding]:
    """What can be enforced where the homes are, or will be."""
    place = next(folder for folder in (patient.state.homes, *patient.state.homes.parents) if folder.is_dir())
    kind, options = file_system(place)
    if kind in CAN and (kind != "xfs" or "prjquota" in options or "pquota" in options):
        yield ok("quotas", f"homes are on {kind}, which can enforce them by {CAN[kind]}")
    else:
        how = f": {CAN[kind]}" if kind in CAN else ", put the homes on btrfs or XFS"
        sentence = f"homes are on {kind or 'an unknown file system'}, which enforces none here: one person can fill it"
        yield warning("quotas", sentence, f"for quotas that hold{how}")


def file_system(folder: Path) -> tuple[str, str]:
    """Kind and options of the file system in which a folder is; empty when the kernel does not say."""
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    real, best = folder.resolve(), ("", "", "")
    for line in MOUNTS.read_text(errors="replace").splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if len(fields) < 6 or len(kinds) < 3:
            continue
        # btrfs gives each subvolume a number of its own, so the longest mount point above counts where none fits.
        point = fields[4].encode().decode("unicode_escape")
        if fields[2] == wanted or real.is_relative_to(point):
            best = max(best, (point, kinds[0], f"{fields[5]},{kinds[2]}"), key=lambda one: len(one[0]))
    return best[1], best[2]
