"""One watch over the backend, kept in memory: everything that the service says about workloads comes from here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from jupyterhub_aiinfn.api.availability import Availability
from jupyterhub_aiinfn.api.workloads import Phase, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.base import Backend
from jupyterhub_aiinfn.errors import ServiceError

log = logging.getLogger("aiinfn.watch")
SETTLE = 0.05
"""Changes that come together make one snapshot (seconds, arbitrary)."""
RETRY = 1.0
"""Pause before a watch that failed is begun again (seconds, arbitrary)."""


@dataclass(frozen=True)
class Snapshot:
    """What lives and what is free at one moment."""

    availability: Availability
    workloads: Mapping[str, Workload]
    """Live ones by id."""

    def sessions(self) -> list[Workload]:
        """Live sessions, oldest first."""
        found = [work for work in self.workloads.values() if work.kind == WorkloadKind.session]
        return sorted(found, key=lambda work: (work.created_at, work.id))


class Watch:
    """The last snapshot, and a call to whoever waits for the next one."""

    def __init__(self, backend: Backend, heartbeat: float) -> None:
        """A snapshot is taken when a workload changes and every ``heartbeat`` seconds."""
        self._backend, self._heartbeat = backend, heartbeat
        self._live: dict[str, Workload] = {}
        self._changed, self._published, self._filled = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        self._readers: list[Callable[[Workload], None]] = []
        self._snapshot: Snapshot | None = None
        self.closed = False
        self.trouble = ""
        """Why there is no fresh snapshot, in words; empty when all is well."""

    @property
    def snapshot(self) -> Snapshot:
        """The last one; 503 in the first moments of the process."""
        if self._snapshot is None:
            raise ServiceError("the platform is starting; try again in a few seconds", status=503, reason="starting")
        return self._snapshot

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever a workload changes."""
        self._listeners.append(listener)

    def on_workload(self, reader: Callable[[Workload], None]) -> None:
        """Call ``reader`` with each workload that is known, and again whenever it changes."""
        self._readers.append(reader)

    def count_again(self) -> None:
        """Count what is free now: something other than a workload has changed."""
        self._changed.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._publish())

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """The last snapshot at once and then each new one, until :meth:`close`; slow readers skip some."""
        while not self.closed:
            published = self._published
            if self._snapshot is not None:
                yield self._snapshot
            await published.wait()

    def publish_again(self) -> None:
        """Wake whoever waits for the next snapshot: something that travels with it has changed."""
        published, self._published = self._published, asyncio.Event()
        published.set()

    def close(self) -> None:
        """End all streams: the service stops."""
        self.closed = True
        self._published.set()

    async def _follow(self) -> None:
        while True:
            try:
                self._live = {work.id: work for work in await self._backend.workloads() if work.phase != Phase.ended}
                self._filled.set()
                async for work in self._backend.watch():
                    self._note(work)
                log.warning("the backend's watch ended; it is begun again")
            except Exception:
                log.exception("the backend's watch failed; it is begun again")
                self.trouble = "the backend cannot be watched; see the service's log"
            await asyncio.sleep(RETRY)

    def _note(self, work: Workload) -> None:
        if work.phase == Phase.ended:
            self._live.pop(work.id, None)
        else:
            self._live[work.id] = work
        self._changed.set()
        for listener in self._listeners:
            listener()
        for reader in self._readers:
            reader(work)

    async def _publish(self) -> None:
        await self._filled.wait()
        while True:
            try:
                availability = await self._backend.availability()
                self._put(Snapshot(availability, dict(self._live)))
            except Exception:
                log.exception("what is free cannot be counted; the last count stays")
                self.trouble = "the backend does not say what is free; see the service's log"
            await self._wait()

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), self._heartbeat)
            await asyncio.sleep(SETTLE)
        except TimeoutError:
            pass
        self._changed.clear()

    def _put(self, snapshot: Snapshot) -> None:
        self._snapshot, self.trouble = snapshot, ""
        self.publish_again()
