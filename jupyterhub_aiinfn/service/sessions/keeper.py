"""Looks at all sessions again and again, from outside, and ends those whose time is over.

The decisions are :mod:`jupyterhub_aiinfn.model.limits` and :mod:`jupyterhub_aiinfn.model.activity`; here they meet the
backend, the database and the clock. Idle time is measured on a clock that is never set (and counts sleep); what people
agreed upon (*keep until*, an administrator's notice) is a time of day.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from jupyterhub_aiinfn.api.sessions import ActivityReport
from jupyterhub_aiinfn.api.workloads import EndReason, Phase, Usage, Workload
from jupyterhub_aiinfn.backends.base import Backend
from jupyterhub_aiinfn.errors import BackendError, ServiceError
from jupyterhub_aiinfn.model.activity import FRESH, LONGEST_GAP, Claim, Counters, Course, believe, observe, resume
from jupyterhub_aiinfn.model.deadlines import Deadlines
from jupyterhub_aiinfn.model.limits import End, Policy, Stay, Step, StopCause, end_sentence, idle_end, next_step
from jupyterhub_aiinfn.service.availability.watch import Watch
from jupyterhub_aiinfn.service.database.tables import StayRow

from .stays import Stays, moment

log = logging.getLogger("aiinfn.sessions")
REASONS = {
    StopCause.idle: EndReason.idle,
    StopCause.max_age: EndReason.max_age,
    StopCause.administrator: EndReason.administrator,
}
LATE = 0.5
"""Seconds between two looks at least (arbitrary): while the backend has its patience to end a session by itself."""


@dataclass
class Seen:
    """What one process of the service remembers of a session."""

    course: Course | None = None
    usage: Usage | None = None
    claim: Claim | None = None
    believed: float | None = None
    """Since when a session that cannot be measured says itself that it is idle."""
    cores: float | None = None
    """Mean cores between the last two looks."""


@dataclass
class Keeper:
    """Every session, looked at each ``every`` seconds; ``patience`` is what the backend has to end one by itself."""

    backend: Backend
    watch: Watch
    stays: Stays
    every: float
    patience: timedelta
    seen: dict[str, Seen] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _deadlines: Deadlines = field(default_factory=Deadlines)
    _stopping: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self._wake.clear()
            pause = await self.look()
            try:
                await asyncio.wait_for(self._wake.wait(), pause)
            except TimeoutError:
                continue

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    def reported(self, work: Workload, report: ActivityReport) -> None:
        """What a session says about itself."""
        seen = self.seen.setdefault(work.id, Seen())
        seen.claim = Claim(boottime(), report.running_cells, report.cpu_cores, report.network_bytes_per_second)

    async def look(self) -> float:
        """Measure, decide, act and remember; in how many seconds the next end is due, ``every`` at most."""
        try:
            works = [work for work in self.watch.snapshot.sessions() if work.phase is Phase.running]
        except ServiceError:
            return 1.0
        usage = await self._usage()
        rows = await self.stays.of_all(works)
        self._deadlines.keep(work.id for work in works)
        self.seen = {work.id: self.seen.get(work.id, Seen()) for work in works}
        warned: dict[str, int | None] = {}
        pause = self.every
        for work in works:
            self._measure(work, usage.get(work.id), rows[work.id])
            warned[work.id], wait = await self._decide(work, rows[work.id])
            pause = min(pause, wait)
        await self.stays.look(works, {work.id: self._stored(work) for work in works}, warned)
        return pause

    def idle_for(self, work: Workload) -> timedelta | None:
        """How long nothing has worked in a session; None when something does, or nothing is known."""
        seen, now = self.seen.get(work.id, Seen()), boottime()
        if seen.course is not None and now - seen.course.last.at <= LONGEST_GAP:
            return None if seen.course.active else timedelta(seconds=now - seen.course.idle_from)
        return None if seen.believed is None else timedelta(seconds=now - seen.believed)

    def activity(self, work: Workload) -> str:
        """``active``, ``idle`` or ``unknown``."""
        if self.idle_for(work) is not None:
            return "idle"
        course = self.seen.get(work.id, Seen()).course
        known = course is not None and course.active and boottime() - course.last.at <= LONGEST_GAP
        return "active" if known else "unknown"

    def running_cells(self, work: Workload) -> int | None:
        """How many cells run, as the session says; None when it has not said lately."""
        claim = self.seen.get(work.id, Seen()).claim
        return claim.running_cells if claim is not None and boottime() - claim.at <= FRESH else None

    def stay(self, work: Workload, row: StayRow) -> Stay:
        """Where a session stands now."""
        now = datetime.now(UTC)
        ends_at = work.ends_at and self._deadlines.moment(work.id, work.ends_at, now, boottime())
        return Stay(
            now=now,
            ends_at=ends_at,
            idle_for=self.idle_for(work),
            warned_at=moment(row.warned_at),
            keep_until=moment(row.keep_until),
            stop_at=moment(row.stop_at),
            extensions=row.extensions,
        )

    async def _usage(self) -> dict[str, Usage]:
        try:
            return await self.backend.usage()
        except BackendError as error:
            log.warning("what sessions use cannot be measured: %s", error)
            return {}

    def _measure(self, work: Workload, usage: Usage | None, row: StayRow) -> None:
        seen, policy = self.seen[work.id], Policy.from_json(row.policy)
        if usage is None:
            seen.believed = believe(seen.believed, seen.claim, boottime(), policy)
            return
        counters = Counters(boottime(), usage.cpu_seconds, usage.network_bytes)
        if seen.course is None and (before := restored(row.course, counters.at)) is not None:
            seen.course = resume(before, counters, policy)
        else:
            seen.course = observe(seen.course, counters, policy)
        seen.usage, seen.believed = usage, None
        seen.cores = seen.course.recent[-1].cores if seen.course.recent else None

    async def _decide(self, work: Workload, row: StayRow) -> tuple[int | None, float]:
        """Act on one session; when it was warned of being idle, and in how many seconds its next end is due."""
        policy, stay = Policy.from_json(row.policy), self.stay(work, row)
        await self._extend_again(work, row, policy)
        step, end = next_step(policy, stay, self.patience)
        if step is Step.stop and end is not None:
            self._stop(work, row, policy, end)
        idle = idle_end(policy, stay)
        due = idle is not None and stay.now >= idle - policy.warning_time(StopCause.idle)
        warned = (row.warned_at or int(stay.now.timestamp())) if due else None
        return warned, self._pause(work, stay, end)

    def _pause(self, work: Workload, stay: Stay, end: End | None) -> float:
        """When to look again for the sake of one session: at its next end, unless that has begun."""
        if end is None or work.id in self._stopping:
            return self.every
        return max(LATE, (end.at - stay.now).total_seconds())

    async def _extend_again(self, work: Workload, row: StayRow, policy: Policy) -> None:
        """An extension that was granted just before the service was killed reaches the backend now."""
        longest = timedelta(seconds=policy.longest(row.extensions))
        if not row.extensions or work.started_at is None or work.ends_at is None:
            return
        if work.ends_at < work.started_at + longest - timedelta(seconds=1):
            try:
                await self.backend.extend(work.id, policy.longest(row.extensions))
            except BackendError as error:
                log.warning("%s could not be extended: %s", work.id, error)

    def _stop(self, work: Workload, row: StayRow, policy: Policy, end: End) -> None:
        if work.id not in self._stopping:
            task = asyncio.create_task(self._end(work, end.cause, end_sentence(policy, end, row.stop_message)))
            self._stopping[work.id] = task
            task.add_done_callback(lambda _: self._stopping.pop(work.id, None))

    async def _end(self, work: Workload, cause: StopCause, sentence: str) -> None:
        """End a session; its documents are saved meanwhile. What fails is tried again at the next look."""
        try:
            await self.backend.stop(work.id, sentence, None, REASONS[cause])
            log.info("%s of %s was ended (%s)", work.id, work.person, cause)
        except BackendError as error:
            log.warning("%s could not be ended: %s", work.id, error)

    def _stored(self, work: Workload) -> Mapping[str, Any]:
        course = self.seen[work.id].course
        if course is None:
            return {}
        return {
            "at": time.time(),
            "cpu_seconds": course.last.cpu_seconds,
            "network_bytes": course.last.network_bytes,
            "idle_for": course.last.at - course.idle_from,
        }


def restored(stored: Mapping[str, Any], now: float) -> Course | None:
    """The course as the process before this one left it; None when there is none, or the clock was set meanwhile.

    The wall clock tells how long ago that was: the other one may have begun again.
    """
    try:
        gap = time.time() - float(stored["at"])
        counters = Counters(now - gap, float(stored["cpu_seconds"]), stored["network_bytes"])
        idle_from = counters.at - float(stored["idle_for"])
    except (KeyError, TypeError, ValueError):
        return None
    return Course(counters, idle_from) if 0 < gap <= LONGEST_GAP else None


def boottime() -> float:
    """Seconds since boot, those that the machine slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
