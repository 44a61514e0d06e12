"""Measures a home: a program of its own, so that the person's server goes on answering meanwhile.

``python -I -m jupyterhub_aiinfn.singleuser.cleanup.scanning <home>`` prints one JSON object a line: the figures
so far, and a last one with ``"done": true``. It keeps the largest only, so what it needs does not grow with the home.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import os
import stat
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from .known import KNOWN, LAST_NAMES, KnownFolder, known_folder
from .names import identifier, text
from .walking import FOLDER, Folder, OtherFileSystem, Walk

KEPT = 60
"""Files and folders that are listed: the largest; arbitrary."""
FIRST_AFTER, AFTER = 0.2, 0.6
"""Seconds until the first figures, and between two later ones."""
MOST_LINKS = 200_000
"""Files with several names that are remembered, so that they count once; beyond, each name counts."""
MOST_NOTES = 20
DEEPEST_ON_THE_WAY = 6
"""Folders that are not yet counted to their end are listed down to this depth."""
MOSTLY = 0.9
"""A folder of which one folder inside makes up this much is left out: the inner one says more."""


@dataclass
class Sum:
    """Files and bytes of one kind of known folder."""

    files: int = 0
    bytes: int = 0


@dataclass
class Notes:
    """What was not counted, with the first examples."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, names: tuple[bytes, ...]) -> None:
        """One more."""
        self.count += 1
        if len(self.examples) < MOST_NOTES:
            self.examples.append(text(names))


Row = tuple[int, int, dict[str, Any]]


class Scan(Walk):
    """The figures of a home while they grow."""

    def __init__(self, top: int) -> None:
        super().__init__(top)
        self.begun = time.monotonic()
        self.next = self.begun + FIRST_AFTER
        self.uid = os.geteuid()
        self.files = self.folders = self.bytes = self.rows = 0
        self.links: set[int] = set()
        self.twice = False
        self.largest_files: list[Row] = []
        self.largest_folders: list[Row] = []
        self.known: dict[str, Sum] = {one.key: Sum() for one in KNOWN}
        self.inside: KnownFolder | None = None
        self.inside_from: Folder | None = None
        self.unreadable, self.elsewhere, self.foreign = Notes(), Notes(), Notes()
        self.now: Folder | None = None

    def meet(self, folder: Folder, name: bytes, status: os.stat_result, descriptor: int) -> bool:
        """Count a file or folder."""
        if folder is not self.now:
            self.enter_known(folder)
        if status.st_uid != self.uid:
            self.foreign.add((*folder.names, name))
        if stat.S_ISDIR(status.st_mode):
            self.folders += 1
            return True
        self.count(folder, name, status)
        if not self.files % 64 and time.monotonic() > self.next:
            self.say(folder)
        return False

    def count(self, folder: Folder, name: bytes, status: os.stat_result) -> None:
        """A file: once, however many names it has."""
        self.files += 1
        folder.files += 1
        folder.newest = max(folder.newest, status.st_mtime)
        if status.st_nlink > 1 and self.seen(status.st_ino):
            return
        size = status.st_blocks * 512
        folder.bytes += size
        self.bytes += size
        # A link, such as the one to the projects' folders, takes no room: nothing is gained by deleting it.
        if size and (len(self.largest_files) < KEPT or size > self.largest_files[0][0]):
            row = self.row((*folder.names, name), size, status.st_mtime, status.st_uid, 1)
            self.keep(self.largest_files, size, row)

    def seen(self, inode: int) -> bool:
        """Whether another name of this file was counted."""
        if inode in self.links:
            return True
        if len(self.links) < MOST_LINKS:
            self.links.add(inode)
        else:
            self.twice = True
        return False

    def enter_known(self, folder: Folder) -> None:
        """Note when the walk comes into a folder that is known to be safe."""
        self.now = folder
        if self.inside is None and folder.name in LAST_NAMES and (found := known_folder(folder.names)):
            self.inside, self.inside_from = found, folder

    def leave(self, folder: Folder, above: int) -> None:
        """Add the sums of a folder to the one around it."""
        outer = folder.parent
        assert outer is not None
        if folder is self.inside_from and self.inside is not None:
            kind = self.known[self.inside.key]
            kind.files += folder.files
            kind.bytes += folder.bytes
            self.inside = self.inside_from = None
        self.list_folder(folder)
        outer.files += folder.files
        outer.bytes += folder.bytes
        outer.newest = max(outer.newest, folder.newest)
        outer.largest = max(outer.largest, folder.bytes)
        self.now = None

    def list_folder(self, folder: Folder) -> None:
        """Keep it when it is among the largest and says more than what is in it."""
        too_small = len(self.largest_folders) == KEPT and folder.bytes <= self.largest_folders[0][0]
        if too_small or not folder.bytes or folder.largest > MOSTLY * folder.bytes:
            return
        row = self.row(folder.names, folder.bytes, folder.newest, folder.owner, folder.files)
        self.keep(self.largest_folders, folder.bytes, row)

    def keep(self, heap: list[Row], size: int, row: dict[str, Any]) -> None:
        """Put a row among the largest; of equal ones the first stays."""
        self.rows += 1
        heapq.heappush(heap, (size, -self.rows, row))
        if len(heap) > KEPT:
            heapq.heappop(heap)

    def refuse(self, folder: Folder, name: bytes, error: OSError) -> None:
        """A folder that was not looked into."""
        names = (*folder.names, name) if name else folder.names
        if isinstance(error, OtherFileSystem):
            self.elsewhere.add(names)
        elif not isinstance(error, FileNotFoundError):
            self.unreadable.add(names)

    def row(self, names: tuple[bytes, ...], size: int, newest: float, owner: int, files: int) -> dict[str, Any]:
        """What the page shows of one file or folder."""
        return {
            "id": identifier(names),
            "path": text(names),
            "bytes": size,
            "modified": int(newest) if newest else None,
            "files": files,
            "owner": None if owner == self.uid else owner,
        }

    def say(self, folder: Folder) -> None:
        """Print the figures so far; the folders on the way down are among them with what was found yet."""
        before = list(self.largest_folders)
        on_the_way: Folder | None = folder
        size = newest = 0.0
        files = 0
        while on_the_way is not None and on_the_way.parent is not None:
            size, files, newest = size + on_the_way.bytes, files + on_the_way.files, max(newest, on_the_way.newest)
            if on_the_way.depth <= DEEPEST_ON_THE_WAY:
                row = self.row(on_the_way.names, int(size), newest, on_the_way.owner, files)
                self.keep(self.largest_folders, int(size), row)
            on_the_way = on_the_way.parent
        self.print(done=False)
        self.largest_folders = before
        self.next = time.monotonic() + AFTER

    def print(self, *, done: bool) -> None:
        """One line."""
        line = {
            "done": done,
            "seconds": round(time.monotonic() - self.begun, 3),
            "files": self.files,
            "folders": self.folders,
            "bytes": self.bytes,
            "largest_files": rows(self.largest_files),
            "largest_folders": rows(self.largest_folders),
            "known": [
                {"key": key, "files": one.files, "bytes": one.bytes} for key, one in self.known.items() if one.files
            ],
            "unreadable": vars(self.unreadable),
            "elsewhere": vars(self.elsewhere),
            "foreign": vars(self.foreign),
            "counted_twice": self.twice,
        }
        sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
        sys.stdout.flush()


def rows(heap: list[Row]) -> list[dict[str, Any]]:
    """The largest first."""
    return [row for _, _, row in sorted(heap, key=lambda one: one[:2], reverse=True)]


def main(home: str) -> None:
    """The program."""
    os.nice(2)
    top = os.open(home, FOLDER)
    scan = Scan(top)
    with contextlib.suppress(BrokenPipeError):  # nobody listens any more
        whole = scan.run()
        scan.bytes = max(scan.bytes, whole.bytes)
        scan.print(done=True)


if __name__ == "__main__":
    main(sys.argv[1])
