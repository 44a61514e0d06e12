"""Sessions as sandboxed processes of this machine, started by the local backend."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from traitlets import default

from jupyterhub_aiinfn.api.workloads import Workload
from jupyterhub_aiinfn.backends.base import WorkloadSpec, new_workload_id
from jupyterhub_aiinfn.backends.local.ports import Ports
from jupyterhub_aiinfn.errors import AiinfnError, Refusal, WorkloadNotFound
from jupyterhub_aiinfn.model.requests import Grant

from . import session_environment, session_programs
from .answering import first_of, until_it_answers
from .refusals import Refused, StartFailed
from .spawner import GrantedSpawner

LAST_LINES = 20
LOOPBACK = "127.0.0.1"


class LocalSpawner(GrantedSpawner):
    """One session of one person through :class:`~jupyterhub_aiinfn.backends.base.Backend`.

    The state that survives a restart of the hub is the workload's id; whether it lives is asked of the
    sessions in memory, which the backend's watch keeps up to date.
    """

    lab_prefix: Path
    service_url: str
    workload_id: str = ""
    ports = Ports()
    """Of all sessions of this hub."""
    _starting = False

    @default("ip")
    def _ip(self) -> str:
        return LOOPBACK

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up a session that an earlier hub started."""
        super().load_state(state)
        self.workload_id = state.get("workload", "")
        if self.workload_id:
            self._notice_end()

    def get_state(self) -> dict[str, Any]:
        """What is needed to find the session again."""
        state: dict[str, Any] = super().get_state()
        return state | {"workload": self.workload_id} if self.workload_id else state

    def clear_state(self) -> None:
        """Forget the session."""
        super().clear_state()
        self.workload_id = ""

    async def prepare(self, grant: Grant) -> None:
        """Settle id and port."""
        self.workload_id = new_workload_id()
        try:
            self.port = self.ports.take()
        except AiinfnError as error:
            raise StartFailed(str(error), reason="error") from error
        self.server.ip, self.server.port = LOOPBACK, self.port

    async def start(self) -> str:
        """Start the session and wait until it answers; the address where it does."""
        assert self.grant is not None
        self._starting = True
        try:
            await self._start_workload(self._spec(self.grant))
            await self._until_it_answers()
        except Refusal as refusal:
            self._refused = True
            raise Refused(refusal) from refusal
        except AiinfnError as error:
            raise StartFailed(str(error), reason="error") from error
        finally:
            self._starting = False
        self.came_up()
        self._notice_end()
        return f"http://{LOOPBACK}:{self.port}"

    async def poll(self) -> int | None:
        """None while the session lives, else its exit code; a look into memory."""
        if not self.workload_id:
            return 0
        if self._starting:
            return None
        if not await self.sessions_are_known():
            return None  # nothing is known, so nothing is ended; the next poll looks again
        if self.platform.sessions.live(self.workload_id) is not None:
            return None
        ended = self.platform.sessions.ended(self.workload_id)
        return (ended.exit_code or 0) if ended else 0

    async def stop(self, now: bool = False) -> None:
        """End the session politely, or at once; returns when it has ended."""
        self.platform.sessions.call_at_end(self.workload_id, None)
        with contextlib.suppress(WorkloadNotFound):
            grace = 0.0 if now else self._grace()
            self.platform.sessions.update(await self.platform.backend.stop(self.workload_id, "stopped", grace))

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """What a person sees while the session starts."""
        yield {"progress": 20, "message": "Preparing home and sandbox"}
        while self.platform.sessions.live(self.workload_id) is None:
            await asyncio.sleep(0.2)
        yield {"progress": 60, "message": "JupyterLab is starting"}

    async def _start_workload(self, spec: WorkloadSpec) -> None:
        begun = asyncio.ensure_future(self.platform.backend.start(spec, session_environment.secret(self.get_env())))
        try:
            self.platform.sessions.update(await asyncio.shield(begun))
        except asyncio.CancelledError:
            # Whoever cancels does not stop what is just being started: it would run on unknown to the hub.
            begun.add_done_callback(
                lambda done: None if done.cancelled() or done.exception() else self._stop_late(spec.id)
            )
            raise

    def _stop_late(self, workload_id: str) -> None:
        task = asyncio.ensure_future(self.platform.backend.stop(workload_id, "stopped while it was starting"))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _until_it_answers(self) -> None:
        """Return once the server answers; :class:`StartFailed` with the last lines when the session ends before."""
        ended = self.platform.sessions.end_of(self.workload_id)
        limit = self.platform.values.limits.start_timeout.total_seconds()
        if not await first_of(self._server_answers(), ended, limit):
            await self.stop(now=True)
            raise StartFailed(
                f"the session did not answer within {limit:g} seconds and was stopped; try again, or ask for help "
                "when it happens twice",
                last_lines=await self._log(),
                reason="timeout",
            )
        if ended.done():
            raise StartFailed(self._early_end(ended.result()), last_lines=await self._log())
        ended.cancel()
        await self._refuse_impostor()

    async def _refuse_impostor(self) -> None:
        """All sessions share loopback: whoever took the port first would get the person's requests."""
        if not await self.platform.backend.listens(self.workload_id, self.port):
            await self.stop(now=True)
            raise StartFailed(
                "another program had taken the port of this session, so the session was stopped; start it again",
                reason="error",
            )

    async def _server_answers(self) -> None:
        # What JupyterHub asks next: the session that does not answer it must end in our words, within our limit.
        await until_it_answers(LOOPBACK, self.port, f"{self.server.base_url}api")

    def _early_end(self, workload: Workload) -> str:
        said = workload.message or f"exit code {workload.exit_code}"
        return f"the session ended before it answered: {said}"

    async def _log(self) -> str:
        try:
            return (await self.platform.backend.log(self.workload_id, LAST_LINES)).strip()
        except AiinfnError:
            return ""

    def _notice_end(self) -> None:
        """Have the hub remove the route as soon as the session ends by itself, not at the next poll."""
        self.platform.sessions.call_at_end(self.workload_id, lambda: asyncio.ensure_future(self._ended_by_itself()))

    async def _ended_by_itself(self) -> None:
        if not self.pending:
            await self.poll_and_notify()

    def _grace(self) -> float:
        return self.platform.values.limits.stop_grace.total_seconds()

    def _spec(self, grant: Grant) -> WorkloadSpec:
        return self.workload_spec(
            grant,
            self.workload_id,
            command=session_environment.command(self.lab_prefix),
            grace_seconds=self._grace(),
            environment=session_environment.public(self.get_env())
            | self.describe_session(grant, self.workload_id, self.service_url)
            | self._programs(grant),
        )

    def _programs(self, grant: Grant) -> dict[str, str]:
        settings, refused = session_programs.package_settings(os.environ)
        for name in refused:
            self.log.warning("sessions are not told %s: it holds a password, a token or a folder", name)
        kernels = self.platform.environments.kernels(grant.image)
        return settings | {"PATH": session_programs.search_path(kernels, self.lab_prefix)}
