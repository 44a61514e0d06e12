"""Starts sessions whose environment is ready: each waiter once, also when hub or service go away in between."""

from __future__ import annotations

import asyncio
import logging
import time

from jupyterhub_aiinfn.api.environments import StartState
from jupyterhub_aiinfn.api.workloads import EndReason, Phase, Workload
from jupyterhub_aiinfn.backends.base import Backend
from jupyterhub_aiinfn.errors import AiinfnError, BackendError, HubDown, ServiceError, WorkloadNotFound
from jupyterhub_aiinfn.service.database.tables import WaiterRow
from jupyterhub_aiinfn.service.identity.hub import HubAnswer, HubApi, was_not_delivered

from .catalogue import Catalogue
from .waiters import STARTING, WAITING, Waiters

log = logging.getLogger("aiinfn.starts")
BUSY = frozenset({429, 503})
"""The hub is up and has no room for one more start: try again."""
RECENT = 120
"""Seconds: a start that was interrupted longer ago is not repeated, the person has gone on meanwhile (arbitrary)."""
AGAIN = "start the session again from the hub's page"


class Starter:
    """Looks at everything that waits, whenever a workload changes and every few seconds."""

    def __init__(self, backend: Backend, hub: HubApi, waiters: Waiters, catalogue: Catalogue, retry: float) -> None:
        """``retry`` is the pause before a start is tried again, and between two looks, in seconds."""
        self._backend, self._hub, self._waiters, self._catalogue, self._retry = backend, hub, waiters, catalogue, retry
        self._wake = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._not_before: dict[str, float] = {}
        self._slots = asyncio.Semaphore(8)

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    async def run(self) -> None:
        """Look until cancelled; a start that is cancelled half way is settled by the next process."""
        try:
            while True:
                await self._look()
                await self._pause()
        finally:
            for task in self._tasks.values():
                task.cancel()

    async def cancel(self, row: WaiterRow) -> bool:
        """Give a start up, and stop the job when nobody else waits for it; False when it was too late."""
        others = await self._waiters.cancel(row)
        if others == 0 and not self._catalogue.ready(row.image):
            try:
                await self._backend.stop(row.job, "everybody who waited for it has cancelled")
            except WorkloadNotFound:
                log.info("the job %s is gone already", row.job)
        return others is not None

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), self._retry)
        except TimeoutError:
            await self._waiters.forget_old()
        self._wake.clear()

    async def _look(self) -> None:
        rows = await self._waiters.open()
        jobs = {job: await self._job(job) for job in {row.job for row in rows}}
        for row in rows:
            if row.id in self._tasks or self._not_before.get(row.id, 0) > time.monotonic():
                continue
            if row.state == STARTING:
                self._spawn(row, interrupted=True)
            elif row.state == WAITING:
                await self._decide(row, jobs[row.job])
        self._not_before = {row.id: self._not_before[row.id] for row in rows if row.id in self._not_before}

    async def _job(self, job: str) -> Workload | BackendError:
        try:
            return await self._backend.workload(job)
        except BackendError as error:
            return error

    async def _decide(self, row: WaiterRow, job: Workload | BackendError) -> None:
        """Start, fail, expire, or leave a waiting row as it is."""
        if row.expires_at < time.time():
            await self._end(row, StartState.expired, f"this start waited too long; {AGAIN}")
        elif self._catalogue.ready(row.image) or (isinstance(job, Workload) and job.reason == EndReason.finished):
            if await self._waiters.claim(row.id):
                self._spawn(row, interrupted=False)
        elif isinstance(job, WorkloadNotFound):
            await self._end(row, StartState.failed, f"the job that built the environment is gone; {AGAIN}")
        elif isinstance(job, Workload) and job.reason == EndReason.stopped:
            await self._build_again(row)
        elif isinstance(job, Workload) and job.phase == Phase.ended:
            await self._end(row, StartState.failed, self._failure(row, job))

    async def _build_again(self, row: WaiterRow) -> None:
        """The last person who waited cancelled just when this one came: the job was stopped under them."""
        try:
            await self._waiters.wait_for_job(row.id, await self._catalogue.job_for(row.image, row.job))
        except AiinfnError as error:
            await self._end(row, StartState.failed, f"{error}; {AGAIN}")

    def _failure(self, row: WaiterRow, job: Workload) -> str:
        why = job.message.rstrip(".") or f"the job ended with code {job.exit_code}"
        return f'the environment "{self._catalogue.title(row.image)}" was not built: {why}; {AGAIN} to try once more'

    async def _end(self, row: WaiterRow, state: StartState, message: str) -> None:
        if await self._waiters.finish(row.id, StartState.waiting, state, message):
            log.info("start %s of %s: %s", row.id, row.person, state)

    def _spawn(self, row: WaiterRow, *, interrupted: bool) -> None:
        task = asyncio.create_task(self._settle(row, interrupted=interrupted))
        self._tasks[row.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(row.id, None))

    async def _settle(self, row: WaiterRow, *, interrupted: bool) -> None:
        """Bring a claimed start to its end; whatever goes wrong on the way is tried again later."""
        try:
            async with self._slots:
                await (self._resume(row) if interrupted else self._start(row))
        except HubDown:
            self._later(row)
        except AiinfnError as error:
            await self._waiters.finish(row.id, StartState.starting, StartState.failed, f"{error}; {AGAIN}")
        except Exception:
            log.exception("start %s failed; it is tried again", row.id)
            self._later(row)

    async def _start(self, row: WaiterRow) -> None:
        try:
            answer = await self._hub.start_server(row.person, row.server_name, row.options)
        except HubDown as error:
            self._later(row)  # it may have been started: the next look asks the hub
            if was_not_delivered(error):
                await self._waiters.release(row.id, "the hub does not answer; the start is tried again by itself")
            return
        await self._conclude(row, answer)

    async def _conclude(self, row: WaiterRow, answer: HubAnswer) -> None:
        self._not_before.pop(row.id, None)
        if answer.status in (201, 202):
            await self._waiters.finish(row.id, StartState.starting, StartState.started)
            log.info("start %s of %s: the hub starts it", row.id, row.person)
        elif answer.status in BUSY:
            self._later(row)
            await self._waiters.release(row.id, answer.message or "the hub is busy; the start is tried again by itself")
        else:
            message = refusal(answer)
            await self._waiters.finish(row.id, StartState.starting, StartState.failed, message)

    async def _resume(self, row: WaiterRow) -> None:
        """What became of a start whose answer nobody has seen: the hub knows."""
        if await self._hub.server_is_up(row.person, row.server_name):
            await self._waiters.finish(row.id, StartState.starting, StartState.started)
        elif time.time() - (row.claimed_at or row.created_at) < RECENT:
            await self._start(row)
        else:
            raise ServiceError("the platform was interrupted while it started this session", status=503, reason="lost")

    def _later(self, row: WaiterRow) -> None:
        self._not_before[row.id] = time.monotonic() + self._retry


def refusal(answer: HubAnswer) -> str:
    """The hub's sentence; our own where the hub's has no remedy."""
    if answer.status == 400 and answer.message.endswith("is already running"):
        return "this session runs already; stop it on the hub's home page, then start again"
    return answer.message or f"the hub could not start the session (status {answer.status}); {AGAIN}"
