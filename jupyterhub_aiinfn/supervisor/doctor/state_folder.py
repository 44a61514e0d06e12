"""The state folder: whose it is, who may read it, and whether there is room."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from jupyterhub_aiinfn.supervisor.record import ROOM

from .findings import Finding, Patient, broken, ok, warning

LITTLE = 2 << 30
"""Bytes below which somebody should make room (arbitrary: a few environments)."""
FEW_INODES = 10_000
NO_INODES = 200
"""Files that can still be made: few, and too few to start (arbitrary)."""


def permissions(patient: Patient) -> Iterator[Finding]:
    """Nobody but the platform's user may read what is secret."""
    root = patient.state.root
    if not root.is_dir():
        yield ok("state folder", f"{root} is not there yet; `aiinfn up` makes it")
        return
    owner = root.stat().st_uid
    if owner != os.geteuid():
        sentence = f"{root} belongs to the user id {owner}"
        yield broken("state folder", sentence, "run the platform and this command as that user")
        return
    wrong = list(_wrong(patient, owner))
    yield from wrong
    if not wrong:
        yield ok("state folder", f"{root} is yours, and its secrets are only yours to read")


def _wrong(patient: Patient, owner: int) -> Iterator[Finding]:
    state = patient.state
    private = (state.secrets, state.passwords, state.hub, state.service, state.logs, state.workloads)
    files = [file for folder in (state.secrets, state.passwords) for file in _files(folder)]
    for place in (*private, state.root / "values", state.people, *files):
        try:
            found = place.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(found.st_mode):
            yield broken("state folder", f"{place} is a link", "put the folder or file itself there")
        elif found.st_uid != owner:
            yield broken("state folder", f"{place} belongs to the user id {found.st_uid}", f"chown {owner} {place}")
        elif found.st_mode & 0o077:
            mode = "700" if stat.S_ISDIR(found.st_mode) else "600"
            sentence = f"{place} can be used by others (mode {stat.S_IMODE(found.st_mode):o})"
            yield broken("state folder", sentence, f"chmod {mode} {place}")


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []


def room(patient: Patient) -> Iterator[Finding]:
    """Bytes and inodes, for the state folder and for the cache."""
    for name, folder in (("room for the state", patient.state.root), ("room for the cache", patient.cache)):
        place = next(one for one in (folder, *folder.parents) if one.is_dir())
        disk = os.statvfs(place)
        yield _bytes(name, place, disk.f_bavail * disk.f_frsize)
        if disk.f_files:  # file systems such as btrfs count none
            yield from _inodes(name, place, disk.f_favail)


def _bytes(name: str, place: Path, free: int) -> Finding:
    sentence = f"{free / 2**30:.1f} GiB are free at {place}"
    if free < ROOM:
        return broken(name, f"{free / 2**20:.0f} MiB are free at {place}, {ROOM >> 20} are needed", "make room")
    if free < LITTLE:
        return warning(name, sentence, "make room: environments and homes will soon not fit")
    return ok(name, sentence)


def _inodes(name: str, place: Path, free: int) -> Iterator[Finding]:
    if free < NO_INODES:
        yield broken(name, f"only {free} more files can be made at {place}", "remove folders with many small files")
    elif free < FEW_INODES:
        yield warning(name, f"only {free} more files can be made at {place}", "remove folders with many small files")
