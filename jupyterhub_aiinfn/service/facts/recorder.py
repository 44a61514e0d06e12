"""Writes down what the watch sees, and infers the end of what vanished while nobody watched."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field

from jupyterhub_aiinfn.api.workloads import Phase, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.base import Backend
from jupyterhub_aiinfn.errors import BackendError, ServiceError, WorkloadNotFound
from jupyterhub_aiinfn.service.availability.watch import Watch

from .book import Book

log = logging.getLogger("aiinfn.facts")


@dataclass
class Recorder:
    """Looks for the lost every ``every`` seconds; the hub has ``patience`` seconds to tell the end that it saw."""

    backend: Backend
    watch: Watch
    book: Book
    every: float
    patience: float
    _seen: dict[str, Workload] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _to_let_go: set[str] = field(default_factory=set)
    """Jobs whose end is written down, and which the backend still keeps."""
    _missing: dict[str, float] = field(default_factory=dict)
    """Since when (monotonic) a workload whose end nobody told is not there."""

    def see(self, work: Workload) -> None:
        """A workload as it is now; what has been seen is written soon."""
        self._seen[work.id] = work
        self._news.set()

    async def run(self) -> None:
        """Write until cancelled; what could not be written is tried again."""
        look = time.monotonic() + self.every
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), max(0, look - time.monotonic()))
            self._news.clear()
            await self._write()
            if time.monotonic() >= look:
                await self._let_go()
                await self.close_lost()
                look = time.monotonic() + self.every

    async def _write(self) -> None:
        seen, self._seen = self._seen, {}
        try:
            await self.book.note(seen.values())
        except BaseException:
            self._seen = seen | self._seen
            self._news.set()
            raise
        jobs = (work for work in seen.values() if work.kind is WorkloadKind.job)
        self._to_let_go |= {work.id for work in jobs if work.phase is Phase.ended}
        await self._let_go()

    async def _let_go(self) -> None:
        """Have the backend keep a job no longer whose end is on record; what fails is tried again at the next look."""
        for one in tuple(self._to_let_go):
            try:
                await self.backend.acknowledge_end(one)
            except WorkloadNotFound:
                pass
            except BackendError as error:
                log.warning("%s is not let go yet: %s", one, error)
                continue
            self._to_let_go.discard(one)

    async def close_lost(self) -> None:
        """Infer the ends of those that have been missing for too long."""
        try:
            live = self.watch.snapshot.workloads
            suspects = {one for one in await self.book.open() if one not in live}
            if suspects:
                suspects -= {work.id for work in await self.backend.workloads()}
        except (BackendError, ServiceError):
            return  # nobody knows what is there, so nothing is missing
        now = time.monotonic()
        self._missing = {one: self._missing.get(one, now) for one in suspects}
        lost = [one for one, since in self._missing.items() if now - since >= self.patience]
        for one in lost:
            log.warning("%s vanished and nobody told its end; it is inferred", one)
        await self.book.close_lost(lost)
