"""Rights in folders that several people share: setgid and default ACLs, and what brings moved files in line.

What is *made* in such a folder gets the folder's group and the ACL, whatever umask its maker has. What is *moved* in
(mv, cp -p, tar) keeps the rights it had: :func:`repair` gives the group what the owner has. It goes through descriptors
and follows no link: it runs as root in folders that people change meanwhile. Own environments are left alone: whoever
makes one says who may read it and who may change it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .tree_walk import Entry, TreeWalk

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
VERSION, UNDEFINED = 2, 0xFFFFFFFF
USER_OBJECT, GROUP_OBJECT, GROUP, MASK, OTHER = 0x01, 0x04, 0x08, 0x10, 0x20
"""Of linux/posix_acl_xattr.h."""
READ, WRITE, EXECUTE = 4, 2, 1
ENVIRONMENTS = ".aiinfn/environments"
"""Where own environments are in a project folder (``singleuser.environments.places``)."""
TURN_SECONDS = 0.005
"""A repair works so long and rests as long: the service answers requests meanwhile."""


@dataclass(frozen=True)
class Rights:
    """Who may what: the group as much as the owner; others nothing, or (``readable``) read."""

    gid: int
    readable: bool = False

    def others(self, owner: int) -> int:
        """The bits of others for a file whose owner has those."""
        return owner & (READ | EXECUTE) if self.readable else 0


def acl(owner: int, gid: int, others: int) -> bytes:
    """An ACL as the kernel takes it: the owner and the group ``gid`` have ``owner``.

    The group has an entry of its own besides the one of the owning group: a file whose group is changed stays shared.
    """
    entries = [
        (USER_OBJECT, owner, UNDEFINED),
        (GROUP_OBJECT, owner, UNDEFINED),
        (GROUP, owner, gid),
        (MASK, owner, UNDEFINED),
        (OTHER, others, UNDEFINED),
    ]
    return struct.pack("<I", VERSION) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def share(folder: Path, rights: Rights) -> None:
    """Give a folder of the platform's its group, setgid and ACLs; what is below it is left as it is.

    Nothing is written where all is as it should be: a folder that is full must still be usable. :class:`OSError` for a
    link. A file system without ACLs keeps setgid and mode: what people make there follows their umask until the next
    repair.
    """
    others = rights.others(READ | EXECUTE)
    mode, wanted = stat.S_ISGID | 0o770 | others, acl(7, rights.gid, others)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if found.st_gid != rights.gid:
            os.fchown(descriptor, -1, rights.gid)
        if stat.S_IMODE(found.st_mode) != mode or found.st_gid != rights.gid:
            os.fchmod(descriptor, mode)
        for name in (DEFAULT, ACCESS):
            _ensure_acl(descriptor, name, wanted)
    finally:
        os.close(descriptor)


def _ensure_acl(descriptor: int, name: str, wanted: bytes) -> None:
    with tolerated_without_acls():
        try:
            found = os.getxattr(descriptor, name)
        except OSError as error:
            if error.errno != errno.ENODATA:
                raise
            found = b""
        if found != wanted:
            os.setxattr(descriptor, name, wanted)


@contextlib.contextmanager
def tolerated_without_acls() -> Iterator[None]:
    """Pass over what a file system without ACLs answers."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.EOPNOTSUPP):
            raise


@dataclass(frozen=True)
class Repaired:
    """What a repair did."""

    seen: int
    changed: int
    complete: bool


def repair(folder: Path, rights: Rights, *, seconds: float = 600.0, considerate: bool = True) -> Repaired:
    """Bring everything below ``folder`` in line, for at most so many seconds. Blocking."""
    walk, seen, changed = TreeWalk(folder), 0, 0
    begun = turn = time.monotonic()
    for entry in walk:
        seen += 1
        if is_off(entry.stat, rights) and not is_of_an_environment(walk.here):
            changed += _repair_one(walk.descriptor, entry, rights)
        if (now := time.monotonic()) - turn > TURN_SECONDS:
            if now - begun > seconds:
                return Repaired(seen, changed, complete=False)
            if considerate:
                time.sleep(now - turn)
            turn = time.monotonic()
    return Repaired(seen, changed, complete=not walk.skipped)


def is_of_an_environment(folder: str) -> bool:
    """Whether what is in that folder, relative to the shared one, belongs to an own environment."""
    return folder == ENVIRONMENTS or folder.startswith(f"{ENVIRONMENTS}/")


def is_off(found: os.stat_result, rights: Rights) -> bool:
    """Whether a file or folder has not the group, or the group not the rights of the owner. Links have no rights.

    Files with the setuid or setgid bit are off too: nothing in a session needs them.
    """
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        return False
    owner, group, others = (found.st_mode >> 6) & 7, (found.st_mode >> 3) & 7, found.st_mode & 7
    if found.st_gid != rights.gid or group != owner:
        return True
    bits = found.st_mode & (stat.S_ISUID | stat.S_ISGID)
    if bits != (stat.S_ISGID if stat.S_ISDIR(found.st_mode) else 0):
        return True
    return rights.readable and others & READ != owner & READ


def _repair_one(parent: int, entry: Entry, rights: Rights) -> bool:
    """Change one entry of the open folder; False when it is another one by now."""
    try:
        descriptor = os.open(entry.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    except OSError:
        return False
    try:
        found = os.fstat(descriptor)
        if (found.st_dev, found.st_ino) != (entry.stat.st_dev, entry.stat.st_ino) or not is_off(found, rights):
            return False
        _set(f"/proc/self/fd/{descriptor}", found, rights)
    except OSError:
        return False  # a file system that refuses (read-only, full): the next repair tries again
    finally:
        os.close(descriptor)
    return True


def _set(place: str, found: os.stat_result, rights: Rights) -> None:
    """``place`` names an open descriptor of a regular file or a folder: the kernel follows it to that very inode."""
    owner = (found.st_mode >> 6) & 7
    others = rights.others(owner) if rights.readable else found.st_mode & 7
    is_folder = stat.S_ISDIR(found.st_mode)
    os.chown(place, -1, rights.gid)
    Path(place).chmod((owner << 6) | (owner << 3) | others | (stat.S_ISGID if is_folder else 0))
    with tolerated_without_acls():
        if is_folder:
            os.setxattr(place, DEFAULT, acl(7, rights.gid, rights.others(READ | EXECUTE)))
        os.setxattr(place, ACCESS, acl(owner, rights.gid, others))
