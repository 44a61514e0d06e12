"""Where the file system refuses nothing: the use is counted now and then, and labelled "not enforced"."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jupyterhub_aiinfn.api.storage import QuotaMethod, StorageUse

from ..tree_walk import TreeWalk
from .base import Quota, check_folder, figures

FRESH_SECONDS = 300.0
"""A count is not repeated before that (arbitrary)."""
LEAST_SECONDS = 15.0
"""A count is not repeated before that, whoever asks for it (arbitrary)."""
REST = 10.0
"""Nor before so many times its own length: one person who asks again and again keeps no disk busy (arbitrary)."""
DOUBTED = -math.inf
"""When a count was made that is to be repeated."""
LONGEST_SECONDS = 60.0
"""After it a count stops: "at least" (arbitrary)."""
PATIENCE_SECONDS = 0.5
"""How long whoever asks waits for a count that is under way: small homes are done by then."""
MOST_AT_ONCE = 2
"""Counts that run at the same time; others wait for their turn."""
TURN_SECONDS = 0.005
"""A count in the background works so long and rests as long: it must not slow down the process around it."""
LOOK_EVERY = 256
"""Entries between two looks at the clock."""


@dataclass(frozen=True)
class Count:
    """What a walk found."""

    used: int
    """Bytes on the disk; a file with several names counts once, whoever it belongs to."""
    files: int
    """Everything with a name, folders included."""
    complete: bool
    at: datetime
    took: float
    """Seconds."""


class MeasuredQuota(Quota):
    """Counts in the background and remembers; a figure is never older than it says."""

    method = QuotaMethod.measured

    def __init__(
        self,
        note: str = "",
        *,
        fresh: float = FRESH_SECONDS,
        longest: float = LONGEST_SECONDS,
        patience: float = PATIENCE_SECONDS,
        least: float = LEAST_SECONDS,
    ) -> None:
        """``note`` says why nothing is enforced; times in seconds."""
        self.note = note
        self._fresh, self._longest, self._patience, self._least = fresh, longest, patience, least
        self._lock = threading.Lock()
        self._turns = threading.Semaphore(MOST_AT_ONCE)
        self._counts: dict[Path, tuple[float, Count]] = {}
        self._running: dict[Path, threading.Thread] = {}

    def make(self, folder: Path) -> None:
        """An ordinary folder."""
        folder.mkdir(mode=0o700)

    def set_limit(self, folder: Path, limit_bytes: int | None) -> None:
        """Nothing can be set."""

    def use(self, folder: Path, limit_bytes: int | None = None) -> StorageUse:
        """The last count; a new one begins when that is old. ``used_bytes`` is None until the first is done."""
        count = self._count(folder)
        return figures(
            folder,
            method=self.method,
            used=count.used if count else None,
            limit=limit_bytes,
            enforced=False,
            at_least=count is not None and not count.complete,
            note=self.note,
            measured_at=count.at if count else None,
        )

    def forget(self, folder: Path) -> None:
        """Have the next :meth:`use` count anew, and wait for it a little; not sooner than a count is worth it."""
        with self._lock:
            known = self._counts.get(folder)
            if known is not None and time.monotonic() - known[0] >= max(self._least, known[1].took * REST):
                self._counts[folder] = (DOUBTED, known[1])

    def _count(self, folder: Path) -> Count | None:
        with self._lock:
            known = self._counts.get(folder)
            if known is not None and time.monotonic() - known[0] < self._fresh:
                return known[1]
            thread = self._running.get(folder)
            if thread is None:
                check_folder(folder)
                thread = threading.Thread(target=self._measure, args=(folder,), name="storage count", daemon=True)
                self._running[folder] = thread
                thread.start()
            waiting = len(self._running) > MOST_AT_ONCE  # whoever asks for many does not wait for each
        if (known is None or known[0] == DOUBTED) and not waiting:
            thread.join(self._patience)
        with self._lock:
            known = self._counts.get(folder, known)
        return known[1] if known else None

    def _measure(self, folder: Path) -> None:
        count = None
        try:
            with self._turns:
                count = measure(folder, seconds=self._longest, considerate=True)
        finally:
            with self._lock:
                self._running.pop(folder, None)
                if count is not None:
                    self._counts[folder] = (time.monotonic(), count)


def measure(folder: Path, *, seconds: float = LONGEST_SECONDS, considerate: bool = False) -> Count:
    """Count what is below ``folder`` for at most so many seconds; ``considerate``: half of the time asleep.

    Links are not followed, other file systems not entered. An unreadable folder makes the count incomplete.
    """
    walk, seen = TreeWalk(folder), set[tuple[int, int]]()
    begun = time.monotonic()
    turn, used, files, in_time = begun, 0, 0, True
    try:
        for entry in walk:
            files += 1
            if entry.stat.st_nlink == 1 or is_first(entry.stat.st_dev, entry.stat.st_ino, seen):
                used += entry.stat.st_blocks * 512
            if files % LOOK_EVERY == 0 and (now := time.monotonic()) - turn > TURN_SECONDS:
                in_time = now - begun < seconds
                if not in_time:
                    break
                turn = rest(now - turn) if considerate else now
    except OSError:
        in_time = False  # the folder itself went away or cannot be read
    return Count(used, files, in_time and not walk.skipped, datetime.now(UTC), time.monotonic() - begun)


def is_first(device: int, inode: int, seen: set[tuple[int, int]]) -> bool:
    """Whether this file was not counted before under another name."""
    if (device, inode) in seen:
        return False
    seen.add((device, inode))
    return True


def rest(seconds: float) -> float:
    """Sleep so long; the moment afterwards."""
    time.sleep(seconds)
    return time.monotonic()
