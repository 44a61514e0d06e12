"""Counts or deletes what a person has chosen: a program of its own, so that it can be watched and cancelled.

``python -I -m jupyterhub_aiinfn.singleuser.cleanup.deleting <home> count|delete`` reads ``{"paths": [identifier, …],
"known": [key, …]}`` from stdin and prints one JSON object a line, the last one with ``"done": true``. It needs no room:
nothing is written, and a file whose name a full file system refuses to remove is emptied first.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import sys
import time
from collections.abc import Iterator
from typing import Any

from .known import BY_KEY, KnownFolder
from .names import names_of, text
from .walking import FOLDER, Folder, OtherFileSystem, Walk, mount_of, open_folder, open_path

AFTER = 0.3
MOST_REFUSALS = 20
FULL = (errno.ENOSPC, errno.EDQUOT)
Names = tuple[bytes, ...]
CLOSED = "it is closed, and what is in it is not counted; it will be deleted all the same, if it is yours"


class Work:
    """What was counted or deleted so far, and what was refused."""

    def __init__(self, *, delete: bool) -> None:
        self.delete = delete
        self.files = self.folders = self.bytes = self.refused = 0
        self.refusals: list[dict[str, str]] = []
        self.links: set[int] = set()
        self.next = time.monotonic() + AFTER

    def took(self, status: os.stat_result) -> None:
        """One file or folder more; the room of a file comes free with its last name."""
        if stat.S_ISDIR(status.st_mode):
            self.folders += 1
        else:
            self.files += 1
        if stat.S_ISDIR(status.st_mode) or status.st_nlink == 1 or (not self.delete and self.is_last_name(status)):
            self.bytes += status.st_blocks * 512
        if time.monotonic() > self.next:
            self.print(done=False)

    def is_last_name(self, status: os.stat_result) -> bool:
        """While counting: whether this file was not met before (roughly right: other names may be elsewhere)."""
        new = status.st_ino not in self.links
        self.links.add(status.st_ino)
        return new

    def refuse(self, names: Names, sentence: str) -> None:
        """Something that stays, and why."""
        self.refused += 1
        if len(self.refusals) < MOST_REFUSALS:
            self.refusals.append({"path": text(names), "why": sentence})

    def print(self, *, done: bool) -> None:
        """One line."""
        found: dict[str, Any] = {
            name: getattr(self, name) for name in ("files", "folders", "bytes", "refused", "refusals")
        }
        sys.stdout.write(json.dumps({"done": done, **found}) + "\n")
        sys.stdout.flush()
        self.next = time.monotonic() + AFTER


class Removal(Walk):
    """Counts or deletes everything below one folder; the folder itself is the caller's."""

    def __init__(self, top: int, names: Names, work: Work) -> None:
        super().__init__(top)
        self.above_top, self.work = names, work

    def meet(self, folder: Folder, name: bytes, status: os.stat_result, descriptor: int) -> bool:
        """Delete a file; go into a folder."""
        if stat.S_ISDIR(status.st_mode):
            return True
        if self.work.delete:
            try:
                remove_file(name, status, descriptor)
            except OSError as error:
                self.refuse(folder, name, error)
                return False
        self.work.took(status)
        return False

    def enter(self, name: bytes, above: int) -> int:
        """Open a folder; one that its owner had closed is opened first, else it could never be deleted."""
        try:
            descriptor = super().enter(name, above)
        except PermissionError:
            if not self.work.delete:
                raise
            unlock(name, above)
            descriptor = super().enter(name, above)
        if self.work.delete:
            unlock_open(descriptor)
        return descriptor

    def leave(self, folder: Folder, above: int) -> None:
        """Remove a folder that is empty now."""
        status = os.lstat(folder.name, dir_fd=above) if not self.work.delete else None
        if status is None:
            try:
                status = remove_folder(folder.name, above)
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:  # then what is in it was refused, with its reason
                    self.refuse(folder, b"", error)
                return
        self.work.took(status)

    def refuse(self, folder: Folder, name: bytes, error: OSError) -> None:
        """Something stays."""
        if isinstance(error, FileNotFoundError):
            return
        names = (*folder.names, *([name] if name else []))
        closed = not self.work.delete and isinstance(error, PermissionError)
        sentence = CLOSED if closed else why(error, owner_of(self.top, names))
        self.work.refuse((*self.above_top, *names), sentence)


def remove_file(name: bytes, status: os.stat_result, above: int) -> None:
    """Remove one name. A full file system may need room for that: the file is emptied first and it is tried again."""
    try:
        os.unlink(name, dir_fd=above)
    except OSError as error:
        if error.errno not in FULL or not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise  # a file with another name elsewhere must keep what is in it
        empty(name, above)
        os.unlink(name, dir_fd=above)


def empty(name: bytes, above: int) -> None:
    """Give the room of a file back without removing its name."""
    descriptor = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=above)
    try:
        os.ftruncate(descriptor, 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_folder(name: bytes, above: int) -> os.stat_result:
    """Remove an empty folder; how it was."""
    status = os.lstat(name, dir_fd=above)
    os.rmdir(name, dir_fd=above)
    return status


def unlock(name: bytes, above: int) -> None:
    """Give the owner all rights to a folder, which may not be a link."""
    descriptor = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        os.chmod(f"/proc/self/fd/{descriptor}", 0o700)  # noqa: PTH101 - by descriptor
    finally:
        os.close(descriptor)


def unlock_open(descriptor: int) -> None:
    """The same for one that is open and whose files could not be removed."""
    status = os.fstat(descriptor)
    if stat.S_IMODE(status.st_mode) & 0o300 != 0o300:
        with contextlib.suppress(OSError):  # somebody else's: what follows says so
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode) | 0o700)


def owner_of(top: int, names: Names) -> int | None:
    """Who owns what stays; None when it cannot be found again."""
    with contextlib.suppress(OSError):
        above = open_path(top, names[:-1])
        try:
            return os.lstat(names[-1], dir_fd=above).st_uid if names else None
        finally:
            os.close(above)
    return None


def why(error: OSError, owner: int | None) -> str:
    """Why something cannot be deleted."""
    if isinstance(error, OtherFileSystem) or error.errno == errno.EBUSY:
        return (
            "it is not in your home but mounted there (a project's folder, for example); nothing in it is deleted here"
        )
    if error.errno in (errno.EACCES, errno.EPERM) and owner not in (None, os.geteuid()):
        return f"it belongs to another user (user id {owner}); only they or an administrator can delete it"
    if error.errno == errno.EROFS:
        return "your home can only be read at this moment; tell an administrator"
    return f"the system refuses it: {error.strerror or error}"


# ------------------------------------------------------------------------------------------------- what was chosen


class Finder(Walk):
    """Where the folders of some names are, wherever they lie; not inside one another."""

    def __init__(self, top: int, wanted: set[bytes]) -> None:
        super().__init__(top)
        self.wanted = wanted
        self.found: list[Names] = []

    def meet(self, folder: Folder, name: bytes, status: os.stat_result, descriptor: int) -> bool:
        """Note a folder of that name."""
        if name in self.wanted and stat.S_ISDIR(status.st_mode):
            self.found.append((*folder.names, name))
            return False
        return True


def chosen(top: int, paths: list[str], known: list[str]) -> Iterator[Names]:
    """Every path that was chosen, by itself or by its kind; none lies in another one of them."""
    kinds = [BY_KEY[key] for key in known]
    found = {names_of(path) for path in paths} | set(known_paths(top, kinds))
    for names in sorted(found):
        if not any(names[:count] in found for count in range(1, len(names))):
            yield names


def known_paths(top: int, kinds: list[KnownFolder]) -> list[Names]:
    """Where the folders of these kinds may be."""
    fixed = [tuple(path.split(b"/")) for kind in kinds for path in kind.paths]
    wanted = {kind.name for kind in kinds if kind.name}
    if not wanted:
        return fixed
    finder = Finder(top, wanted)
    finder.run()
    return fixed + finder.found


def take(top: int, names: Names, work: Work) -> None:
    """Count or delete one chosen file or folder."""
    try:
        above = open_path(top, names[:-1])
    except FileNotFoundError:
        return
    except OSError as error:
        return work.refuse(names, why(error, None))
    try:
        take_from(above, names, work)
    except FileNotFoundError:
        pass
    except OSError as error:
        work.refuse(names, why(error, owner_of(top, names)))
    finally:
        os.close(above)


def take_from(above: int, names: Names, work: Work) -> None:
    """The same, from the folder that holds it."""
    status = os.lstat(names[-1], dir_fd=above)
    if stat.S_ISDIR(status.st_mode):
        take_folder(above, names, work)
    elif work.delete:
        remove_file(names[-1], status, above)
    if not work.delete or not stat.S_ISDIR(status.st_mode):
        work.took(status)
        return
    try:
        remove_folder(names[-1], above)
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            return
        raise
    work.took(status)


def take_folder(above: int, names: Names, work: Work) -> None:
    """What is in a folder."""
    try:
        descriptor = open_folder(names[-1], above, mount_of(above))
    except PermissionError:
        if not work.delete:
            return work.refuse(names, CLOSED)
        unlock(names[-1], above)
        descriptor = open_folder(names[-1], above, mount_of(above))
    try:
        if work.delete:
            unlock_open(descriptor)
        Removal(descriptor, names, work).run()
    finally:
        os.close(descriptor)


def main(home: str, verb: str) -> None:
    """The program."""
    os.nice(2)
    wanted = json.load(sys.stdin)
    top = os.open(home, FOLDER)
    work = Work(delete=verb == "delete")
    for names in chosen(top, wanted["paths"], wanted["known"]):
        take(top, names, work)
    work.print(done=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
