"""The sessions that run, start or are reserved, in memory: the hub asks here and never the disk."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator

from jupyterhub_aiinfn.api.workloads import EndReason, Phase, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.base import Backend
from jupyterhub_aiinfn.model.requests import Grant, Held

RETRY_AFTER = 1.0

log = logging.getLogger("JupyterHub.aiinfn")
Key = tuple[str, str]
"""Login name and name of the server."""


class Sessions:
    """A mirror of the backend's sessions, fed by its watch, and the reservations of starts under way."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._live: dict[str, Workload] = {}
        self._last_ended: dict[str, Workload] = {}
        self._reserved: dict[Key, Held] = {}
        self._waiting: dict[str, list[asyncio.Future[Workload]]] = {}
        self._on_end: dict[str, Callable[[], object]] = {}
        self._ended: dict[str, Workload] = {}
        self._loaded = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch, once."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._follow())

    async def stop(self) -> None:
        """Watch no longer."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def loaded(self) -> None:
        """Return once everything that the backend knows has been read."""
        self.start()
        await self._loaded.wait()

    def held(self) -> tuple[Held, ...]:
        """Everybody's sessions; one that is both reserved and live counts once."""
        by_key = dict(self._reserved)
        by_key.update(
            {(workload.person or "", workload.server_name or ""): held(workload) for workload in self._live.values()}
        )
        return tuple(by_key.values())

    def reserve(self, person: str, server_name: str, grant: Grant) -> None:
        """Count a session from now on, before its workload exists. No ``await`` may stand between decision and this."""
        choice = grant.choice
        self._reserved[person, server_name] = Held(
            person=person,
            server_name=server_name,
            project=choice.project,
            accelerator=choice.accelerator,
            count=choice.count,
        )

    def release(self, person: str, server_name: str) -> None:
        """The start is over: its workload counts by itself, or there is none."""
        self._reserved.pop((person, server_name), None)

    def starting(self) -> int:
        """How many starts are under way."""
        return len(self._reserved)

    def live(self, workload_id: str) -> Workload | None:
        """A session that starts or runs."""
        return self._live.get(workload_id)

    def ended(self, workload_id: str) -> Workload | None:
        """A session whose end was seen since the hub started, or the last one of its person."""
        return self._ended.get(workload_id)

    def last_ended(self, person: str) -> Workload | None:
        """The person's session that ended last."""
        return self._last_ended.get(person)

    def end_of(self, workload_id: str) -> asyncio.Future[Workload]:
        """Done when the session has ended."""
        future: asyncio.Future[Workload] = asyncio.get_running_loop().create_future()
        if workload := self._ended.get(workload_id):
            future.set_result(workload)
        else:
            self._waiting.setdefault(workload_id, []).append(future)
        return future

    def call_at_end(self, workload_id: str, callback: Callable[[], object] | None) -> None:
        """Call ``callback`` when the session ends by itself; None: no longer."""
        if callback is None:
            self._on_end.pop(workload_id, None)
        else:
            self._on_end[workload_id] = callback

    def update(self, workload: Workload) -> None:
        """Take in what the backend said about a workload; jobs are none of our business."""
        if workload.kind is not WorkloadKind.session:
            return
        if workload.phase is not Phase.ended:
            if workload.id not in self._ended:
                self._live[workload.id] = workload
            return
        seen_live = self._live.pop(workload.id, None) is not None
        self._note_end(workload, seen_live or workload.id in self._waiting or workload.id in self._on_end)

    def _note_end(self, workload: Workload, ours: bool) -> None:
        last = self._last_ended.get(workload.person or "")
        if last is None or (_end(workload) >= _end(last) and not _says_less(workload, last)):
            self._last_ended[workload.person or ""] = workload
        if not ours:
            return
        self._ended[workload.id] = workload
        while len(self._ended) > 1000:
            self._ended.pop(next(iter(self._ended)))
        for future in self._waiting.pop(workload.id, []):
            if not future.done():
                future.set_result(workload)
        if callback := self._on_end.pop(workload.id, None):
            callback()

    async def _follow(self) -> None:
        while True:
            try:
                for workload in await self._backend.workloads():
                    self.update(workload)
                self._loaded.set()
                async for workload in self._backend.watch():
                    self.update(workload)
            except Exception:  # whatever it was: a hub that sees no session end any more is worse
                log.exception("the watch of the sessions broke; it is made anew")
            await asyncio.sleep(RETRY_AFTER)

    def __iter__(self) -> Iterator[Workload]:
        return iter(tuple(self._live.values()))


def held(workload: Workload) -> Held:
    """What a live session holds."""
    return Held(
        person=workload.person or "",
        server_name=workload.server_name or "",
        project=workload.project or "",
        accelerator=workload.accelerator,
        count=workload.accelerator_count,
    )


def _says_less(workload: Workload, known: Workload) -> bool:
    """Whether it is the same end once more, by somebody who has not seen why: a pod that was evicted may just end."""
    return workload.id == known.id and workload.reason is EndReason.finished is not known.reason


def _end(workload: Workload) -> float:
    return (workload.ended_at or workload.created_at).timestamp()
