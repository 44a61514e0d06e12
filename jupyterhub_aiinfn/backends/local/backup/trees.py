"""One folder as one archive, by GNU tar: owners, modes, ACLs, hard links, holes; and back.

tar goes through descriptors and follows no link of the tree. What is never kept is looked for beforehand.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from jupyterhub_aiinfn.errors import BackendError

from ..quota.btrfs import SUBVOLUME_INODE
from ..tree_walk import LONGEST_PATH, TreeWalk
from .checking import offence

CHUNK = 1024 * 1024
SHOWN = 20
"""Names that are listed in a manifest; how many more there are is said (arbitrary)."""
MOST_LEFT_OUT, MOST_TOPS = 200, 2000
"""Things that are left out of a folder one by one, and by their topmost folder: each is an argument of tar (arbitrary).

With more of them nothing of the folder is kept: nobody else's copy may fail for what one person makes."""
DEEPEST = 200
"""Folders below one another that are kept (arbitrary): the time that tar takes for a name grows with their square."""
LEFT_BY_SNAPSHOT = 2
"""The inode of what a snapshot of btrfs has where a subvolume is nested (BTRFS_EMPTY_SUBVOL_DIR_OBJECTID)."""
EVERYTHING = "everything"
CHANGED = re.compile(r"file changed as we read it|File removed before we read it|File shrank|Cannot stat: No such file")
EXPECTED = re.compile(r"Exiting with failure status due to previous errors|Removing leading")
CREATE = (
    *("--create", "--file", "-", "--format=posix", "--pax-option=delete=atime,delete=ctime", "--numeric-owner"),
    *("--acls", "--xattrs", "--sparse", "--one-file-system", "--sort=none", "--anchored", "--wildcards"),
)
EXTRACT = (
    *("--extract", "--file", "-", "--same-permissions", "--numeric-owner", "--acls", "--xattrs"),
    *("--delay-directory-restore", "--sparse"),
)


@dataclass(frozen=True)
class Written:
    """What was written."""

    size: int
    sha256: str
    changed: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def pack(folder: Path, file: Path, *, without: Iterable[str] = (), links: bool = True, empty: str = "") -> Written:
    """Write the tree of ``folder`` to ``file`` (0600), but what is named ``without`` and what is never kept. Blocking.

    ``empty`` is a reason to keep nothing but the folder itself.
    """
    odd = {EVERYTHING: empty} if empty else find_odd(folder, set(without), links=links)
    excluded = [f"--exclude=./{literally(name)}" for name in (*without, *odd)]
    if EVERYTHING in odd:
        excluded = ["--exclude=./*"]
    with tempfile.TemporaryFile() as complaints, open_new(file) as target:
        command = ["tar", *CREATE, *excluded, "--directory", str(folder), "."]
        process = start(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints)
        assert process.stdout is not None
        try:
            size, digest = copy(process.stdout, target)
        except BaseException:
            process.kill()
            raise
        finally:
            process.stdout.close()
            code = process.wait()
        os.fsync(target.fileno())
        lines = read_lines(complaints)
    if code not in (0, 1, 2) or (code == 2 and not lines):
        raise BackendError(f"{folder} could not be copied: tar ended with {code}; {' '.join(lines[:2])}")
    changed = [line for line in lines if CHANGED.search(line)]
    unread = [line for line in lines if not CHANGED.search(line) and not EXPECTED.search(line)]
    return Written(
        size, digest, shortened(changed), shortened([*(f"{why}: {name}" for name, why in odd.items()), *unread])
    )


def literally(name: str) -> str:
    """A pattern that only this name fits."""
    return re.sub(r"([*?\[\\])", r"\\\1", name)


def find_odd(folder: Path, without: set[str], *, links: bool) -> dict[str, str]:
    """What is not kept, by its path below ``folder``, with the reason. Sockets are left out by tar."""
    walk, odd, tops = TreeWalk(folder, LONGEST_PATH, DEEPEST), dict[str, str](), dict[str, str]()
    top_stat = folder.lstat()
    for entry in walk:
        why = elsewhere(entry.stat, top_stat) or offence(
            entry.stat.st_mode, entry.stat.st_uid, entry.stat.st_gid, links=links
        )
        if walk.length + len(os.fsencode(entry.name)) > LONGEST_PATH:
            why = why or "a path that is too long"
        if len(walk.levels) > DEEPEST and stat.S_ISDIR(entry.stat.st_mode):
            why = why or f"more than {DEEPEST} folders below one another"
        top = walk.levels[1].name if len(walk.levels) > 1 else entry.name
        if not why or stat.S_ISSOCK(entry.stat.st_mode) or top in without:
            continue
        if len(odd) <= MOST_LEFT_OUT and (name := f"{walk.here}/{entry.name}" if walk.here else top) not in without:
            odd[name] = why
        tops[top] = f"more than {MOST_LEFT_OUT} things that are not kept, such as {why}"
        if len(tops) > MOST_TOPS:
            return {EVERYTHING: f"it has {why} in more than {MOST_TOPS} folders"}
    return odd if len(odd) <= MOST_LEFT_OUT else tops


def elsewhere(found: os.stat_result, top: os.stat_result) -> str:
    """Why the contents of a folder are not below ``top``: another disk, or a subvolume inside one of btrfs."""
    if not stat.S_ISDIR(found.st_mode):
        return ""
    if found.st_dev != top.st_dev:
        return "a folder of another disk or subvolume"
    in_snapshot = top.st_ino == SUBVOLUME_INODE and found.st_ino == LEFT_BY_SNAPSHOT
    return "a subvolume of its own" if in_snapshot else ""


def unpack(file: Path, folder: Path, *, as_root: bool) -> None:
    """Unpack an archive that was checked into an empty folder. Blocking."""
    owner = "--same-owner" if as_root else "--no-same-owner"
    with file.open("rb") as source, tempfile.TemporaryFile() as complaints:
        command = ["tar", *EXTRACT, owner, "--directory", str(folder)]
        code = start(command, stdin=source, stdout=subprocess.DEVNULL, stderr=complaints).wait()
        lines = read_lines(complaints)
    if code != 0:
        raise BackendError(f"{file} could not be unpacked: {' '.join(lines[:2]) or f'tar ended with {code}'}")


def start(command: Sequence[str], stdin: int | IO[bytes], stdout: int, stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start tar with messages in English, whatever the language of the machine."""
    variables = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"}
    try:
        return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, env=variables)
    except FileNotFoundError as error:
        raise BackendError("the program tar is not installed; install the system's package tar") from error
    except OSError as error:
        raise BackendError(f"tar could not be started: {error.strerror}") from error


def copy(source: IO[bytes], target: IO[bytes] | None) -> tuple[int, str]:
    """Copy to the end (None: only read); how many bytes, and their SHA-256."""
    digest, size = hashlib.sha256(), 0
    while data := source.read(CHUNK):
        digest.update(data)
        size += len(data)
        if target is not None:
            target.write(data)
    if target is not None:
        target.flush()
    return size, digest.hexdigest()


def open_new(file: Path) -> IO[bytes]:
    """A new file that only its owner reads."""
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def read_lines(stream: IO[bytes]) -> list[str]:
    """The complaints of tar, without its name."""
    with suppress(OSError):
        stream.seek(0)
    return [line.removeprefix("tar: ") for line in stream.read(CHUNK).decode("utf-8", "backslashreplace").splitlines()]


def shortened(lines: Sequence[str]) -> tuple[str, ...]:
    """The first of them, as text that every terminal takes, and how many more there are."""
    shown = [line[:300].encode("ascii", "backslashreplace").decode().replace("\n", "\\n") for line in lines[:SHOWN]]
    more = len(lines) - SHOWN
    return (*shown, f"and {more} more") if more > 0 else tuple(shown)
