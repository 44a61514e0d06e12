"""The second line: sessions whose own end at their longest life failed are ended by the hub, service or no service.

The runner of a session ends it by itself, and the platform service looks after that; both may be gone or hang. The hub
gives them time first, so that a session is asked to end once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from jupyterhub_aiinfn.api.workloads import EndReason, Phase, Workload
from jupyterhub_aiinfn.backends.base import Backend
from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.model.deadlines import Deadlines

PAUSE = 5.0
"""Seconds between two looks (into memory)."""
PATIENCE = 15.0
"""Seconds, beyond the grace of a session, that the others have (arbitrary; the service takes five)."""
SENTENCE = "it reached its longest life"

log = logging.getLogger("JupyterHub.aiinfn")


class LongestLife:
    """Ends sessions ``patience`` seconds after their longest life.

    When that is, is told as a time of day; the difference is taken once and then counted on a clock that is never set.
    """

    def __init__(self, backend: Backend, sessions: Iterable[Workload], patience: float, pause: float = PAUSE) -> None:
        self._backend, self._sessions, self._patience, self._pause = backend, sessions, patience, pause
        self._deadlines = Deadlines()
        self._ending: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, once."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())

    def overdue(self) -> list[Workload]:
        """The sessions that should have ended by now."""
        live = [(work, work.ends_at) for work in self._sessions if work.ends_at and work.phase is Phase.running]
        self._deadlines.keep(work.id for work, _ in live)
        now, clock = datetime.now(UTC), boottime()
        late = timedelta(seconds=-self._patience)
        return [work for work, ends_at in live if self._deadlines.left(work.id, ends_at, now, clock) <= late]

    async def _run(self) -> None:
        while True:
            try:
                for work in self.overdue():
                    if work.id not in self._ending:
                        self._ending[work.id] = asyncio.create_task(self._end(work))
            except Exception:
                log.exception("the ages of sessions could not be looked at; that is tried again")
            await asyncio.sleep(self._pause)

    async def _end(self, work: Workload) -> None:
        try:
            log.warning("%s of %s outlived its longest life; the hub ends it", work.id, work.person)
            await self._backend.stop(work.id, SENTENCE, None, EndReason.max_age)
        except BackendError as error:
            log.warning("%s could not be ended: %s; that is tried again", work.id, error)
        finally:
            self._ending.pop(work.id, None)


def boottime() -> float:
    """Seconds since boot, those that the machine slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
