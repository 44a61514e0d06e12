"""A walk through a home that cannot be led astray: by descriptors of folders, never through a link or a mount point.

Depth costs nothing (one descriptor, whatever the nesting), wide folders are read in pieces, and what vanishes meanwhile
is passed over. Names are bytes.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from itertools import islice

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PIECE = 4096
"""Names that are read before their files are looked at, in the order of the disk; arbitrary."""


class OtherFileSystem(OSError):
    """The folder is a mount point: a project's folder, for example."""


class Changed(OSError):
    """The folder is no longer where it was when it was entered."""


class Folder:
    """A folder on the way down. ``names`` are its path from the top; ``left`` the folders in it still to be walked."""

    __slots__ = ("bytes", "depth", "files", "identity", "largest", "left", "name", "newest", "owner", "parent")

    def __init__(self, name: bytes, parent: Folder | None, status: os.stat_result) -> None:
        self.name = name
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent is not None else 0
        self.identity = (status.st_dev, status.st_ino)
        self.owner = status.st_uid
        self.left: list[bytes] = []
        self.bytes = status.st_blocks * 512
        self.files = 0
        self.newest = 0.0
        self.largest = 0
        """Bytes of the largest folder in it."""

    @property
    def names(self) -> tuple[bytes, ...]:
        """Path from the top, without the top itself."""
        found: list[bytes] = []
        folder: Folder | None = self
        while folder is not None and folder.parent is not None:
            found.append(folder.name)
            folder = folder.parent
        return tuple(reversed(found))


def mount_of(descriptor: int) -> int:
    """The kernel's number of the mount in which a folder was opened: also bind mounts of one file system differ."""
    with open(f"/proc/self/fdinfo/{descriptor}", "rb") as stream:  # noqa: PTH123
        for line in stream:
            if line.startswith(b"mnt_id:"):
                return int(line[7:])
    return -1


def open_folder(name: bytes, above: int, mount: int) -> int:
    """Open a folder that is neither a link nor on another mount; raises :class:`OSError`."""
    descriptor = os.open(name, FOLDER, dir_fd=above)
    if mount_of(descriptor) != mount:
        os.close(descriptor)
        raise OtherFileSystem(name)
    return descriptor


def open_path(top: int, names: tuple[bytes, ...]) -> int:
    """Open the folder at ``names`` below ``top`` step by step, with the same promises."""
    mount = mount_of(top)
    here = os.dup(top)
    for name in names:
        try:
            inner = open_folder(name, here, mount)
        finally:
            os.close(here)
        here = inner
    return here


def entries(descriptor: int) -> Iterator[tuple[bytes, os.stat_result]]:
    """Name and status of everything in a folder, links not followed; what vanishes meanwhile is left out."""
    with os.scandir(descriptor) as found:
        while piece := list(islice(found, PIECE)):
            piece.sort(key=lambda entry: entry.inode())
            for entry in piece:
                try:
                    yield os.fsencode(entry.name), entry.stat(follow_symlinks=False)
                except OSError:
                    continue


class Walk:
    """One walk, depth first. What to do with what is met is said by a subclass."""

    def __init__(self, top: int) -> None:
        """``top`` stays open and the caller's."""
        self.top = top
        self.here = -1
        self.mount = mount_of(top)

    def meet(self, folder: Folder, name: bytes, status: os.stat_result, descriptor: int) -> bool:
        """Something that lies in ``folder``, which ``descriptor`` has open. For a folder: whether to walk it."""
        return True

    def leave(self, folder: Folder, above: int) -> None:
        """All of ``folder`` was met; ``above`` has the folder around it open. Not called for the top."""

    def refuse(self, folder: Folder, name: bytes, error: OSError) -> None:
        """The folder ``name`` in ``folder`` could not be entered."""

    def run(self) -> Folder:
        """Walk everything; the top with its sums."""
        folder = top = Folder(b"", None, os.fstat(self.top))
        self.here = os.dup(self.top)
        try:
            self.read(folder, self.here)
            while True:
                if folder.left:
                    folder = self.down(folder)
                elif folder.parent is None:
                    return top
                else:
                    folder = self.up(folder)
        finally:
            os.close(self.here)

    def read(self, folder: Folder, descriptor: int) -> None:
        """Meet what lies in the folder."""
        try:
            for name, status in entries(descriptor):
                if self.meet(folder, name, status, descriptor) and stat.S_ISDIR(status.st_mode):
                    folder.left.append(name)
        except OSError as error:
            self.refuse(folder, b"", error)

    def down(self, folder: Folder) -> Folder:
        """Enter the next folder; or stay, when it cannot be entered."""
        name = folder.left.pop()
        try:
            descriptor = self.enter(name, self.here)
        except OSError as error:
            self.refuse(folder, name, error)
            return folder
        self.go(descriptor)
        inner = Folder(name, folder, os.fstat(descriptor))
        self.read(inner, descriptor)
        return inner

    def go(self, descriptor: int) -> None:
        """Be in that folder, and no longer in the one before."""
        os.close(self.here)
        self.here = descriptor

    def enter(self, name: bytes, above: int) -> int:
        """Open a folder for reading."""
        return open_folder(name, above, self.mount)

    def up(self, folder: Folder) -> Folder:
        """Go back to the folder around this one; to the first above that can still be found, when it was moved."""
        assert folder.parent is not None
        above = self.above(folder.parent)
        if above is None:
            return self.lost(folder.parent)
        self.go(above)
        self.leave(folder, above)
        return folder.parent

    def above(self, parent: Folder) -> int | None:
        """The folder around, open; None when it is no longer where it was."""
        for find in (lambda: os.open(b"..", FOLDER, dir_fd=self.here), lambda: open_path(self.top, parent.names)):
            try:
                descriptor: int = find()
            except OSError:
                continue
            if is_folder(descriptor, parent):
                return descriptor
            os.close(descriptor)
        return None

    def lost(self, folder: Folder) -> Folder:
        """The nearest folder above that is still there; what was left of those below is given up."""
        while folder.parent is not None:
            folder = folder.parent
            with contextlib.suppress(OSError):
                descriptor = open_path(self.top, folder.names)
                if is_folder(descriptor, folder):
                    self.go(descriptor)
                    return folder
                os.close(descriptor)
        self.go(os.dup(self.top))
        return folder


def is_folder(descriptor: int, folder: Folder) -> bool:
    """Whether the descriptor is of that very folder."""
    status = os.fstat(descriptor)
    return (status.st_dev, status.st_ino) == folder.identity
