"""What must be ended on a cluster although nobody asks for it at this moment; looked for every second, in memory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime
from typing import Any

from jupyterhub_aiinfn.api.workloads import Phase, Workload, WorkloadKind
from jupyterhub_aiinfn.errors import AiinfnError

from .known import Known
from .translation import part
from .watched import Watched

EVERY = 1.0
"""Seconds between two looks (arbitrary)."""
log = logging.getLogger(__name__)
End = Callable[[Workload], Coroutine[Any, Any, object]]


class Tending:
    """Calls ``end`` with sessions over their longest life, and ``cascade`` with Jobs of which only the pods are left.

    What fails is tried again; one workload is never ended twice at once.
    """

    def __init__(self, watched: Watched, end: End, cascade: End) -> None:
        self._watched, self._end, self._cascade = watched, end, cascade
        self._ending: dict[str, asyncio.Task[None]] = {}

    async def run(self, now: Callable[[], datetime]) -> None:
        """Look for ever."""
        try:
            while True:
                self._watched.settle()
                for workload in list(overdue(self._watched.known, now())):
                    self._begin(workload, self._end)
                for workload in list(half_deleted(self._watched)):
                    self._begin(workload, self._cascade)
                await asyncio.sleep(EVERY)
        finally:
            for task in self._ending.values():
                task.cancel()

    def _begin(self, workload: Workload, end: End) -> None:
        if workload.id not in self._ending:
            self._ending[workload.id] = asyncio.create_task(self._try(workload, end))

    async def _try(self, workload: Workload, end: End) -> None:
        try:
            await end(workload)
        except AiinfnError as error:
            log.warning("%s should end and does not yet: %s; it is tried again", workload.id, error)
        except Exception:
            log.exception("%s should end and does not yet; it is tried again", workload.id)
        finally:
            self._ending.pop(workload.id, None)


def overdue(known: Known, now: datetime) -> Iterator[Workload]:
    """Sessions that have reached their longest life; of jobs the cluster sees to it."""
    for one in known.live.values():
        if one.kind is WorkloadKind.session and one.ends_at is not None and one.ends_at <= now:
            yield one


def half_deleted(watched: Watched) -> Iterator[Workload]:
    """Jobs that somebody deleted in the usual way: our finalizer keeps the Job, and so the cluster keeps its pods."""
    for one in watched.jobs:
        for job in one.objects.values():
            head = part(job, "metadata")
            if head.get("deletionTimestamp") and "foregroundDeletion" not in (head.get("finalizers") or []):
                workload = watched.known.get(str(part(head, "labels").get("aiinfn/workload")))
                if workload is not None and workload.phase is not Phase.ended:
                    yield workload
