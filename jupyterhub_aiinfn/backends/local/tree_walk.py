"""Walk through a tree that somebody else may change meanwhile, without ever leaving it.

Each step goes through the descriptor of a folder and follows no link; the way back up is checked. Folders of other file
systems are named and not entered. Neither depth nor number of files makes it need more than one descriptor.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
LONGEST_PATH = 4000
"""Bytes of a path that other programs can name (PATH_MAX is 4096); for walks whose findings are given to some."""

Identity = tuple[int, int]


@dataclass(frozen=True)
class Entry:
    """Something in the tree."""

    name: str
    """Its name in its folder; bytes that are no UTF-8 are surrogates (:func:`os.fsencode` gives them back)."""
    stat: os.stat_result
    """Of itself, not of what a link leads to."""


@dataclass
class Level:
    """A folder on the way down."""

    identity: Identity
    name: str
    below: list[str] = field(default_factory=list)
    """Folders still to be entered."""


class TreeWalk:
    """One walk, depth first. ``skipped`` counts folders that were not entered, ``first_skipped`` names one."""

    def __init__(self, root: Path, longest_path: int | None = None, deepest: int | None = None) -> None:
        """``root`` must not be a link. Folders with a longer path below it (bytes), or further below, are skipped."""
        self.root = root
        self.deepest = deepest
        self.longest_path = longest_path
        self.levels: list[Level] = []
        self.descriptor = -1
        self.length = 0
        self.skipped = 0
        self.first_skipped = ""

    @property
    def here(self) -> str:
        """The folder whose entries come now, relative to the root; "" for the root itself."""
        return "/".join(level.name for level in self.levels[1:])

    def __iter__(self) -> Iterator[Entry]:
        """Everything below the root. ``descriptor`` is the folder of the entry, until the next one is asked for."""
        self.descriptor = os.open(self.root, FLAGS)
        try:
            device = os.fstat(self.descriptor).st_dev
            self.levels = [Level(identity_of(self.descriptor), "")]
            yield from self._entries(device)
            while self._next_folder(device):
                yield from self._entries(device)
        finally:
            os.close(self.descriptor)
            self.descriptor = -1

    def _entries(self, device: int) -> Iterator[Entry]:
        level = self.levels[-1]
        with os.scandir(self.descriptor) as entries:
            for one in entries:
                try:
                    found = one.stat(follow_symlinks=False)
                except OSError:
                    continue  # gone meanwhile
                if stat.S_ISDIR(found.st_mode):
                    if found.st_dev == device:
                        level.below.append(one.name)
                    else:
                        self._skip(one.name)
                yield Entry(one.name, found)

    def _next_folder(self, device: int) -> bool:
        """Go to the next folder, down or up; False at the end."""
        while self.levels:
            below = self.levels[-1].below
            if below:
                if self._enter(below.pop(), device):
                    return True
            elif not self._leave():
                return False
        return False

    def _enter(self, name: str, device: int) -> bool:
        if self.longest_path is not None and self.length + len(os.fsencode(name)) > self.longest_path:
            return self._skip(name)
        if self.deepest is not None and len(self.levels) > self.deepest:
            return self._skip(name)
        try:
            descriptor = os.open(name, FLAGS, dir_fd=self.descriptor)
        except FileNotFoundError:
            return False
        except OSError:
            return self._skip(name)
        identity = identity_of(descriptor)
        if identity[0] != device:
            os.close(descriptor)
            return self._skip(name)
        os.close(self.descriptor)
        self.descriptor = descriptor
        self.levels.append(Level(identity, name))
        self.length += len(os.fsencode(name)) + 1
        return True

    def _leave(self) -> bool:
        """Back to the folder above; False at the root, and when somebody moved the folder meanwhile."""
        left = self.levels.pop()
        if not self.levels:
            return False
        self.length -= len(os.fsencode(left.name)) + 1
        try:
            descriptor = os.open("..", FLAGS, dir_fd=self.descriptor)
        except OSError:
            return self._lost(left.name)
        if identity_of(descriptor) != self.levels[-1].identity:
            os.close(descriptor)
            return self._lost(left.name)
        os.close(self.descriptor)
        self.descriptor = descriptor
        return True

    def _lost(self, name: str) -> bool:
        """The way back is gone: what was still to be entered is skipped."""
        self._skip(name)
        self.levels.clear()
        return False

    def _skip(self, name: str) -> bool:
        self.skipped += 1
        self.first_skipped = self.first_skipped or (f"{self.here}/{name}" if self.here else name)
        return False


def identity_of(descriptor: int) -> Identity:
    """Device and inode of an open folder."""
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino
