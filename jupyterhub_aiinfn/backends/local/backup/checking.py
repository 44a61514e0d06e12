"""What may be in an archive, and what was unpacked: names that stay inside, no devices, nothing with root's rights."""

from __future__ import annotations

import stat
import tarfile
from collections.abc import Iterable
from pathlib import Path

from jupyterhub_aiinfn.errors import StateError

from ..tree_walk import LONGEST_PATH, TreeWalk

LONGEST_NAME = LONGEST_PATH + 2
"""Characters of a member's name, ``./`` included: one is a byte at least."""
ORDINARY = {tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE}
KINDS = {
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
}


def offence(mode: int, uid: int, gid: int, *, links: bool) -> str:
    """Why a thing of that mode and owner is never kept; empty for one that is. ``links``: whether links may be."""
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return "a device"
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode) or stat.S_ISFIFO(mode)):
        return "neither file nor folder"
    as_root = (uid == 0 and mode & stat.S_ISUID) or (gid == 0 and mode & stat.S_ISGID)
    if stat.S_ISREG(mode) and as_root:
        return "a program with root's rights"
    return "" if links or not stat.S_ISLNK(mode) else "a link"


def check_archive(file: Path, *, links: bool) -> int:
    """Read a whole archive; how many entries it has. :class:`StateError` for the first one that must not be there."""
    try:
        with tarfile.open(file, "r:", errors="surrogateescape") as archive:
            return check_members(archive, file, links=links)
    except (tarfile.TarError, EOFError, ValueError, OverflowError, OSError, MemoryError) as error:
        raise StateError(f"{file} is no complete archive ({error}); take another backup") from error


def check_members(members: Iterable[tarfile.TarInfo], file: Path, *, links: bool) -> int:
    """The folder itself comes first; each member lies in a folder before it, once; hard links lead to files before."""
    folders, others, count = set[str](), set[str](), 0
    for member in members:
        count += 1
        name = inner(member.name)
        if member.islnk():
            problem = "" if inner(member.linkname) in others else "a hard link to what is not in the archive"
        else:
            kind = stat.S_IFREG if member.type in ORDINARY else KINDS.get(member.type, 0)
            problem = offence(kind | member.mode & 0o7777, member.uid, member.gid, links=links)
        if len(member.name) > LONGEST_NAME:
            problem = problem or "a path that is too long"
        if name is None or name in others or name in folders:
            problem = problem or "a name that leads out of its folder, or is there twice"
        elif name.rpartition("/")[0] not in folders and (name or not member.isdir()):
            problem = problem or "a name below something that is no folder"
        if problem:
            shown = member.name[:100].encode("ascii", "backslashreplace").decode()
            raise StateError(
                f'{file} holds "{shown}", {problem}: nothing is taken from a backup that was tampered with'
            )
        (folders if member.isdir() else others).add(name or "")
    if not folders:
        raise StateError(f"{file} is no complete archive (it is empty); take another backup")
    return count


def inner(name: str) -> str | None:
    """A member's name below the folder; "" for the folder itself, None for a name that leads out of it."""
    if name in (".", "./"):
        return ""
    rest = name.removeprefix("./")
    parts = rest.split("/")
    return None if "\0" in name or any(part in ("", ".", "..") for part in parts) else rest


def check_unpacked(folder: Path, *, links: bool) -> None:
    """Look at what really lies there: whatever an archive said, nothing forbidden may have come out of it."""
    walk = TreeWalk(folder)
    for entry in walk:
        problem = offence(entry.stat.st_mode, entry.stat.st_uid, entry.stat.st_gid, links=links)
        if problem:
            raise StateError(f"{folder} would hold {problem}: nothing is taken from a backup that was tampered with")
