"""The workloads of a cluster, derived from its pods and Jobs; an end once told never changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

from jupyterhub_aiinfn.api.workloads import EndReason, Phase, Workload

from .reading import gone, job_gone, read_job, read_pod

Object = dict[str, Any]
KEPT = 10_000
"""Ended workloads that are remembered (arbitrary): the ledger has them all."""


class Known:
    """What is known of every workload, and who wants to hear of it. A change costs the same however many there are."""

    def __init__(self) -> None:
        self.live: dict[str, Workload] = {}
        """Those that start or run, by id."""
        self._ended: dict[str, Workload] = {}
        self._listeners: set[asyncio.Queue[Workload]] = set()
        self._expected: dict[str, dict[str, Any]] = {}
        self._waiting: dict[str, set[asyncio.Future[Workload]]] = {}

    def get(self, workload_id: str) -> Workload | None:
        """One workload; None when there is none."""
        return self.live.get(workload_id) or self._ended.get(workload_id)

    def all(self) -> list[Workload]:
        """All, oldest first."""
        return sorted([*self._ended.values(), *self.live.values()], key=lambda one: (one.created_at, one.id))

    def pod(self, found: Object, is_gone: bool) -> None:
        """The pod of a session has changed."""
        self._tell(gone(found, datetime.now(UTC)) if is_gone else read_pod(found))

    def job(self, found: Object, is_gone: bool, pod: Object | None, *, sure: bool = False) -> bool:
        """A Job, or the newest of its pods, has changed; whether it was told.

        An end that has to be inferred is not, unless it is ``sure`` that nothing more is known: that of the pod may be
        told a moment later than that of the Job, by another watch.
        """
        workload = job_gone(found, datetime.now(UTC), pod) if is_gone else read_job(found, pod)
        if workload is not None and workload.inferred and not is_gone and not sure:
            return False
        self._tell(workload)
        return True

    async def watch(self) -> AsyncGenerator[Workload, None]:
        """All, then each again when it changes."""
        queue: asyncio.Queue[Workload] = asyncio.Queue()
        for workload in self.all():
            queue.put_nowait(workload)
        self._listeners.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    async def ended(self, workload_id: str) -> Workload:
        """A workload once it has ended."""
        if (found := self._ended.get(workload_id)) is not None:
            return found
        future: asyncio.Future[Workload] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(workload_id, set())
        waiting.add(future)
        try:
            return await future
        finally:
            waiting.discard(future)

    def expect_end(self, workload_id: str, end: dict[str, Any]) -> None:
        """Somebody ended it, and that could not be written on the cluster: reason and message, should nobody say more.

        Whoever was first counts.
        """
        if workload_id in self.live:
            self._expected.setdefault(workload_id, end)

    def _tell(self, workload: Workload | None) -> None:
        if workload is None or workload.id in self._ended or workload == self.live.get(workload.id):
            return
        if workload.phase is Phase.ended:
            expected = self._expected.pop(workload.id, None)
            if expected is not None and (workload.inferred or asked_by_nobody(workload)):
                workload = workload.model_copy(update={**expected, "inferred": False})
            self.live.pop(workload.id, None)
            self._ended[workload.id] = workload
            for future in self._waiting.pop(workload.id, ()):
                if not future.done():
                    future.set_result(workload)
            if len(self._ended) > KEPT:
                del self._ended[next(iter(self._ended))]
        else:
            self.live[workload.id] = workload
        for queue in self._listeners:
            queue.put_nowait(workload)


def asked_by_nobody(ended: Workload) -> bool:
    """Whether an end looks as if the program had ended by itself: of one that was deleted it does."""
    return ended.reason in (EndReason.finished, EndReason.failed)
