"""The hub's own record of what it started and stopped, kept until the platform service has taken it in.

One fact a line, written to the disk before it counts. A hub killed at any moment leaves at most one torn last line,
which was never acknowledged to anybody; it is cut off when the file is opened again. One process writes it: the hub.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jupyterhub_aiinfn.api.facts import Fact, FactKind
from jupyterhub_aiinfn.api.workloads import Workload
from jupyterhub_aiinfn.backends.local.state import flush_folder, write_file
from jupyterhub_aiinfn.errors import StateError

__all__ = ["Fact", "FactKind", "Outbox"]
MAX_FACTS = 100_000
"""Facts that are kept while nobody takes them; two for each session (arbitrary: about 60 MB)."""
LONGEST_LINE = 64 * 1024

log = logging.getLogger("JupyterHub.aiinfn")


class Outbox:
    """Facts in a file, oldest first. Methods block but for :meth:`record`; they may be called from any thread."""

    def __init__(self, file: Path, max_facts: int = MAX_FACTS) -> None:
        """Open or make it; :class:`StateError` when the file cannot be read or written."""
        self._file, self._max = file, max_facts
        self._mark = file.with_suffix(".delivered")
        self._lock = threading.Lock()
        self.on_write: Callable[[], object] = lambda: None
        """Called, in the thread that writes, after a fact was kept."""
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._facts = _read(file)
            delivered = self._delivered_before()
            self._last = max([delivered, *(fact.number for fact in self._facts)])
            self._facts = [fact for fact in self._facts if fact.number > delivered]
            self._rewrite()
        except OSError as error:
            raise StateError(_cannot(file, error)) from error

    def write(self, kind: FactKind, workload: Workload) -> Fact:
        """Keep a fact; it is on the disk when this returns. :class:`StateError` when it cannot be kept."""
        with self._lock:
            fact = Fact(number=self._last + 1, kind=kind, at=datetime.now(UTC), workload=workload)
            try:
                _append(self._file, _line(fact))
                self._last = fact.number
                self._facts.append(fact)
                if len(self._facts) > self._max:
                    self._drop_oldest()
            except OSError as error:
                raise StateError(_cannot(self._file, error)) from error
        self.on_write()
        return fact

    async def record(self, kind: FactKind, workload: Workload) -> None:
        """Keep a fact, without holding the event loop and without ever failing: a full disk must not stop a session."""
        try:
            await asyncio.shield(asyncio.to_thread(self.write, kind, workload))
        except StateError as error:
            log.error("%s is not in the record of the hub (%s): %s", workload.id, kind, error)

    def pending(self, most: int = 1000) -> list[Fact]:
        """The oldest facts that were not delivered yet."""
        with self._lock:
            return self._facts[:most]

    def count(self) -> int:
        """How many were not delivered yet."""
        return len(self._facts)

    def delivered(self, number: int) -> None:
        """Forget all facts up to this one: the service has written them down. Saying so twice changes nothing."""
        with self._lock:
            kept = [fact for fact in self._facts if fact.number > number]
            if len(kept) == len(self._facts):
                return
            try:
                # the mark first: killed in between, the facts are still there and are skipped when the file is read
                self._write_mark(self._facts[-len(kept) - 1].number)
                self._facts = kept
                self._rewrite()
            except OSError as error:
                raise StateError(_cannot(self._file, error)) from error

    def _delivered_before(self) -> int:
        try:
            return int(self._mark.read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def _write_mark(self, number: int) -> None:
        write_file(self._mark, str(number).encode())

    def _drop_oldest(self) -> None:
        """Keep the younger half and say how many went: a bound that is hit with every fact would cost a copy each."""
        count = len(self._facts) - self._max // 2
        gone, self._facts = self._facts[:count], self._facts[count:]
        dropped = sum(fact.dropped or 1 for fact in gone)
        log.error("nobody took %d facts of the hub for too long; they are dropped, and a gap stands for them", dropped)
        self._facts.insert(0, Fact(number=gone[-1].number, kind=FactKind.gap, at=gone[-1].at, dropped=dropped))
        self._rewrite()

    def _rewrite(self) -> None:
        """The file anew, in one step, when it holds more or less than is to be kept."""
        data = b"".join(map(_line, self._facts))
        if not self._file.exists() or self._file.stat().st_size != len(data):
            write_file(self._file, data)


def _line(fact: Fact) -> bytes:
    return fact.model_dump_json(exclude_defaults=True).encode() + b"\n"


def _append(file: Path, line: bytes) -> None:
    """Add a line and wait until it is on the disk; what a failed write left of it is taken back."""
    new = not file.exists()
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError(28, os.strerror(28))  # the disk is full
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
    if new:
        flush_folder(file.parent)


def _read(file: Path) -> list[Fact]:
    """The facts of a file; lines that nobody can read are said once and left out."""
    if not file.exists():
        return []
    found, wrong = [], 0
    for line in _lines(file):
        try:
            found.append(Fact.model_validate_json(line))
        except (ValidationError, ValueError):
            wrong += 1
    if wrong:
        log.warning("%d lines of the hub's record %s cannot be read and are left out", wrong, file.name)
    return found


def _lines(file: Path) -> Iterator[bytes]:
    """The whole lines; a last one without an end was never acknowledged."""
    with file.open("rb") as stream:
        while line := stream.readline(LONGEST_LINE):
            if line.endswith(b"\n"):
                yield line


def _cannot(file: Path, error: OSError) -> str:
    said: Any = error.strerror or error
    return f"the record of the hub {file} cannot be used ({said}); make room or correct its rights"
