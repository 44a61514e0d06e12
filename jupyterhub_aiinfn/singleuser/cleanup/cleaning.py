"""The one clean-up of this server: one scan, one deletion at a time, shared by all tabs."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from typing import Any

from nbformat.sign import NotebookNotary
from tornado import web

from jupyterhub_aiinfn.api.storage import StorageUse

from .chosen import Chosen
from .programs import Run
from .rescue import Rescue
from .use import use_of_home


@dataclass(frozen=True)
class State:
    """What a page must know before any figure."""

    rescue: bool
    """Whether JupyterLab keeps its state in scratch space."""
    reason: str
    """Why the session began as a rescue session."""
    problem: str
    """Why an ordinary session is not possible now; empty when there is room."""
    can_unlock: bool
    """Whether the person can give themselves the right to write back."""
    lab_wanted: bool
    """Whether JupyterLab's addresses lead to JupyterLab and not here."""
    use: StorageUse

    def as_json(self) -> dict[str, Any]:
        """The body of ``GET aiinfn/api/cleanup``."""
        return {**vars(self), "use": self.use.model_dump(mode="json")}


class Cleaning:
    """What is under way in the home of this session."""

    def __init__(self, rescue: Rescue, notary: NotebookNotary) -> None:
        """``notary`` has a database open in the folder that moves when the session becomes an ordinary one."""
        self.rescue = rescue
        self._notary = notary
        self.deletion: Run | None = None
        self._scan: Run | None = None

    async def state(self) -> State:
        """How the home is at this moment, tried."""
        return await asyncio.to_thread(self._state)

    def _state(self) -> State:
        problem = self.rescue.problem()
        return State(
            rescue=self.rescue.active,
            reason=self.rescue.reason,
            problem=problem,
            can_unlock=self.rescue.can_unlock(),
            lab_wanted=self.rescue.lab_wanted,
            use=use_of_home(self.rescue.home, problem, os.environ),
        )

    def scan(self, *, again: bool) -> Run:
        """The scan that is under way, or the last one; a new one when it was cancelled, failed, or ``again``."""
        run = self._scan
        if run is None or run.cancelled or (run.done and (again or run.failure)):
            run = self._scan = Run("scanning", str(self.rescue.home))
        return run

    async def count(self, chosen: Chosen) -> dict[str, Any]:
        """Files, folders and bytes of what was chosen."""
        run = Run("deleting", str(self.rescue.home), "count", given=chosen.as_json(), needs_watchers=False)
        try:
            line = await run.ended()
        except asyncio.CancelledError:
            run.cancel()
            raise
        if run.failure or not line:
            raise web.HTTPError(500, f"what is chosen could not be counted: {run.failure}; load the page again")
        found: dict[str, Any] = json.loads(line)
        return found

    def delete(self, chosen: Chosen) -> Run:
        """Begin; it goes on when the page goes, and can be looked at again."""
        if self.deletion is not None and not self.deletion.done:
            raise web.HTTPError(409, "something is being deleted already; wait until it is done, or cancel it")
        given = chosen.as_json()
        self.deletion = Run("deleting", str(self.rescue.home), "delete", given=given, needs_watchers=False)
        return self.deletion

    async def go_on(self) -> str:
        """The person wants JupyterLab: an ordinary session when possible. Why it stays a rescue session, or empty."""
        if not self.rescue.active:
            return ""
        self._notary.store.close()
        try:
            return await asyncio.to_thread(self.rescue.become_ordinary)
        finally:
            self._notary.store = self._notary.store_factory()

    async def unlock(self) -> None:
        """Give the person the right to write their own home back."""
        try:
            await asyncio.to_thread(self.rescue.unlock)
        except OSError as error:
            sentence = f"the rights of your home could not be changed: {error.strerror}; tell an administrator"
            raise web.HTTPError(409, sentence) from error

    def end(self) -> None:
        """The server ends: nothing that it started stays."""
        for run in (self._scan, self.deletion):
            if run is not None:
                run.cancel()
