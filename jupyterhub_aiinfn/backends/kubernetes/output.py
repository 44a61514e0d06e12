"""What workloads of a cluster write: the end of their log, and in it how far a job says it is."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from jupyterhub_aiinfn.api.workloads import Phase, Progress, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.progress import TAIL, last_progress
from jupyterhub_aiinfn.errors import ClusterRefused

from . import names
from .calls import path_of
from .connection import NOT_FOUND, Connection
from .translation import part

LOG_BYTES = 1024 * 1024
EVERY = 2.0
"""Seconds between two looks into the log of a job for how far it is, however many people ask (arbitrary)."""
LINES = 200
"""Lines of it that are read then (arbitrary)."""
REMEMBERED = 1000
"""Jobs of which is remembered what they said (arbitrary)."""


@dataclass
class Said:
    """What one job said last, and when somebody looked."""

    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    looked_at: float = float("-inf")
    progress: Progress | None = None


class Output:
    """The output of workloads, read where their nodes keep it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._said: dict[str, Said] = {}

    async def last_lines(self, pod: dict[str, Any] | None, lines: int) -> str:
        """The last lines of a pod, at most 1 MiB; empty before it runs and after it is gone."""
        content = await self._tail(pod, {"tailLines": str(max(1, min(lines, 10**6)))}, LOG_BYTES)
        return content.decode(errors="replace").rstrip("\n")

    async def progress(self, workload: Workload, pod: dict[str, Any] | None) -> Progress | None:
        """How far a job says it is, or said when its node last answered; None when it has not.

        Of each job the log is read once in :data:`EVERY` seconds and no more than :data:`TAIL` bytes of it, whoever
        asks how often, and whether or not there is an answer.
        """
        if workload.kind is not WorkloadKind.job or workload.phase is Phase.starting:
            return None
        said = self._remembered(workload.id)
        async with said.looking:
            if time.monotonic() - said.looked_at >= EVERY:
                try:
                    said.progress = await self._look(pod) or said.progress
                finally:  # also when whoever asked has gone meanwhile
                    said.looked_at = time.monotonic()
        return said.progress

    async def _look(self, pod: dict[str, Any] | None) -> Progress | None:
        try:
            # the node counts the bytes from the first of those lines: who writes long ones hides what is after them
            query = {"tailLines": str(LINES), "limitBytes": str(TAIL)}
            return last_progress(await self._tail(pod, query, TAIL))
        except ClusterRefused:
            return None

    def _remembered(self, workload_id: str) -> Said:
        found = self._said.pop(workload_id, None) or Said()
        self._said[workload_id] = found  # at the end: at the beginning are those for whom nobody has asked for longest
        if len(self._said) > REMEMBERED:
            del self._said[next(iter(self._said))]
        return found

    async def _tail(self, pod: dict[str, Any] | None, query: dict[str, str], most: int) -> bytes:
        if pod is None:
            return b""
        head = part(pod, "metadata")
        path = f"{path_of('Pod', str(head['namespace']), str(head['name']))}/log"
        try:
            return await self._connection.tail("read its log", path, {"container": names.MAIN, **query}, most)
        except ClusterRefused as error:
            if error.code in (400, NOT_FOUND):  # it does not run yet, or no more
                return b""
            raise
