"""Keeps what running cells put out, and decides when it goes where: to a tab that comes back, or into the notebook.

A run belongs to the tab that asked for it. While that tab is connected, its document takes the outputs as always, and
the run is forgotten once the tab has saved the notebook. When the tab has been away for some seconds and no other is
there, the outputs of what has ended are written into the notebook (:mod:`.notebooks`). At the end of the session that
is done for everything that no tab has saved.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import OrderedDict
from collections.abc import Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .kernels import Kernels
from .notebooks import Notebooks
from .runs import Kept, Phase, Request
from .spool import Spool

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

SCHEMA_ID = "urn:jupyterhub-aiinfn:session"
TICK = 2.0
"""Seconds between two looks at what is kept; nothing is done when nothing is."""
AWAY = 6.0
"""Seconds that a tab may be away: a reload, or a network that changes."""
OTHERS = 20.0
"""Seconds that other tabs of the kernel have to fetch the outputs of a tab that is gone."""
LATER = 120.0
"""Seconds until it is tried again to write what could not be written; each time the person is told that it failed."""
SAVED_AFTER = 3.0
"""Seconds between a run's end and a save that surely holds it."""
NEVER_RAN = 10.0
"""Seconds after which a run that an idle kernel has not begun counts as dropped."""
MOST_RUNS = 500
ALL_TOGETHER = 64 * 1024 * 1024
"""Characters kept in memory; the oldest runs that a notebook or a tab has go first."""


class Keeper:
    """The runs of one server."""

    def __init__(self, server_app: ServerApp) -> None:
        self._app = server_app
        self.log = server_app.log
        self.runs: OrderedDict[str, Kept] = OrderedDict()
        self._connections: dict[object, tuple[str, str]] = {}
        self._spool = Spool.of(os.environ)
        self._notebooks = Notebooks(server_app)
        self._kernels = Kernels(server_app, self._message, self._kernel_ended)
        self._tasks: set[asyncio.Task[None]] = set()
        self._finding: set[asyncio.Task[None]] = set()
        self._acting = asyncio.Lock()
        self._saved_at: dict[str, float] = {}

    def start(self) -> None:
        """Take up what an earlier server left, and begin to look."""
        for data in self._spool.read():
            with contextlib.suppress(KeyError, TypeError, ValueError, IndexError):
                kept = Kept.from_json(data)
                self.runs[kept.request.message_id] = kept
        self._notebooks.on_save(self._saved)
        self._app.io_loop.add_callback(lambda: self._later(self._look_for_ever()))

    # What connections and kernels say

    def listen(self, kernel: Any) -> None:
        """Follow what this kernel puts out, from now on."""
        with contextlib.suppress(Exception):  # the tab's own connection says what is wrong with the kernel
            self._kernels.listen(kernel)

    def connected(self, connection: object, kernel: str, tab: str) -> None:
        """A tab is connected to a kernel."""
        self._connections[connection] = (kernel, tab)
        for kept in self.runs.values():
            if (kept.kernel, kept.tab) == (kernel, tab):
                kept.orphan_since = None

    def disconnected(self, connection: object) -> None:
        """It no longer is; may be said twice."""
        kernel, tab = self._connections.pop(connection, ("", ""))
        if not tab or (kernel, tab) in self._connections.values():
            return
        for kept in self.runs.values():
            if (kept.kernel, kept.tab) == (kernel, tab):
                kept.orphan_since = time.monotonic()
                kept.told, kept.owed = False, True

    def requested(self, kernel: str, tab: str, request: Request) -> None:
        """A tab asks for the run of a cell."""
        kept = self.runs[request.message_id] = Kept(request=request, kernel=kernel, tab=tab, asked=time.monotonic())
        task = self._later(self._find_notebook(kept))
        self._finding.add(task)
        task.add_done_callback(self._finding.discard)
        self._bound()

    async def _find_notebook(self, kept: Kept) -> None:
        kept.path = await self._notebooks.path_of(kept.kernel)
        if not kept.path:
            self._forget(kept)  # a console
        kept.real_path, kept.seen = self._notebooks.look(kept.path)

    def _message(self, kernel: str, parent: str, kind: str, content: dict[str, Any]) -> None:
        kept = self.runs.get(parent)
        if kind == "update_display_data":
            self._change_displays(kernel, content)
        elif kept is not None and kept.kernel == kernel and kept.phase is Phase.running:
            if kind == "status":
                self._note_status(kept, content)
            else:
                kept.recorded.take(kind, content)

    def _note_status(self, kept: Kept, content: dict[str, Any]) -> None:
        if content.get("execution_state") == "idle":
            kept.phase, kept.ended = Phase.done, time.monotonic()

    def _change_displays(self, kernel: str, content: dict[str, Any]) -> None:
        """A display is changed wherever it is shown, whichever cell changes it."""
        for one in self.runs.values():
            if one.kernel == kernel and one.loaded is None:
                one.recorded.change_display(content)

    def _kernel_ended(self, kernel: str) -> None:
        for kept in [one for one in self.runs.values() if one.kernel == kernel and one.phase is Phase.running]:
            if kept.recorded.execution_count is None:
                self._forget(kept)
            else:
                kept.phase, kept.ended = Phase.interrupted, time.monotonic()

    def _saved(self, path: str) -> None:
        """A notebook was saved: runs whose tab has them in its document are in it."""
        now = self._saved_at[path] = time.monotonic()
        for kept in list(self.runs.values()):
            old = kept.ended is not None and now - kept.ended > SAVED_AFTER
            if kept.path == path and kept.merged is None and old and self.is_in_its_tab(kept):
                self._forget(kept)

    # What tabs ask

    def is_with_its_tab(self, kept: Kept) -> bool:
        """Whether the tab that has the outputs in its document is connected."""
        return (kept.kernel, kept.tab) in self._connections.values()

    def is_in_its_tab(self, kept: Kept) -> bool:
        """Whether the document of a connected tab holds the outputs: one that was away must first say so."""
        return self.is_with_its_tab(kept) and not kept.owed

    async def fetch(self, path: str, tab: str, file_hash: str, known: Mapping[str, int]) -> dict[str, Any]:
        """What a tab should show in the notebook; runs that it says it has are its to save from now on.

        ``file_hash`` is that of the file as the tab has it; what was written into the file since is among the runs, and
        ``hash`` is what the tab may take the file for once it has them. Outputs of a run that the tab has in the
        ``known`` version are left out.
        """
        async with self._acting:
            return await self._fetch(path, tab, file_hash, known)

    async def _fetch(self, path: str, tab: str, file_hash: str, known: Mapping[str, int]) -> dict[str, Any]:
        chain, last = self._written_since(path, file_hash)
        held = [one for one in self.runs.values() if one.path == path and one.merged is None]
        for kept in held:
            takes = kept.request.message_id in known and (kept.kernel, tab) in self._connections.values()
            if takes and (kept.tab == tab or not self.is_with_its_tab(kept)):
                kept.tab, kept.orphan_since, kept.owed = tab, None, False
        same = last if chain and await self._notebooks.hash_of(path) == last else ""
        return {"runs": [kept.for_tab(known) for kept in [*chain, *held]], "hash": same}

    def _written_since(self, path: str, known_hash: str) -> tuple[list[Kept], str]:
        """The runs written into the notebook after it had this hash, and the hash after the last of them."""
        found: list[Kept] = []
        last = known_hash
        for kept in self.runs.values():
            if kept.path != path or kept.merged is None or not known_hash:
                continue
            before, after = kept.merged
            if before == last or (found and after == last):
                found.append(kept)
                last = after
        return found, last

    # What is done about it

    async def _look_for_ever(self) -> None:
        while True:
            try:
                await self._look()
            except Exception:  # whatever it was: the next look finds the same runs
                self.log.exception("outputs of running cells could not be looked after")
            await asyncio.sleep(TICK)

    async def _look(self) -> None:
        self._kernels.drop_ended()
        held = [kept for kept in self.runs.values() if kept.merged is None]
        if not held:
            return
        await self._follow_renames(held)
        self._drop_what_never_ran(held)
        for kept in held:
            self._write_down(kept)
        await self.merge([kept for kept in held if kept.request.message_id in self.runs and self._is_due(kept)])

    async def _follow_renames(self, held: Iterable[Kept]) -> None:
        paths = await self._notebooks.paths()
        for kept in held:
            if (path := paths.get(kept.kernel, kept.path)) != kept.path:
                kept.path = path
                kept.real_path, kept.seen = self._notebooks.look(path)

    def _drop_what_never_ran(self, held: Iterable[Kept]) -> None:
        """A kernel drops what waits behind an error, and says so to the tab alone."""
        for kept in held:
            late = time.monotonic() - kept.asked > NEVER_RAN
            if kept.phase is Phase.running and late and self._kernels.is_idle(kept.kernel):
                if kept.recorded.execution_count is None:
                    self._forget(kept)
                else:
                    kept.phase, kept.ended = Phase.done, time.monotonic()

    def _is_due(self, kept: Kept) -> bool:
        if kept.orphan_since is None or not kept.path:
            return False
        others = any(kernel == kept.kernel for kernel, _ in self._connections.values())
        if others and not kept.told:
            kept.told = True
            self._tell_tabs("outputs", kept.path)
        wait = AWAY + OTHERS if others else AWAY
        return kept.phase is not Phase.running and time.monotonic() - kept.orphan_since > wait

    async def merge(self, due: list[Kept]) -> None:
        """Write these into their notebooks, or next to them."""
        async with self._acting:
            for path in dict.fromkeys(kept.path for kept in due):
                await self._merge_into(path, [kept for kept in due if kept.path == path])

    async def _merge_into(self, path: str, due: list[Kept]) -> None:
        outcome = await self._notebooks.merge(path, due)
        for kept in due:
            name = kept.request.message_id
            if name in outcome.merged and outcome.before != outcome.after:
                kept.merged = (outcome.before, outcome.after)
                self._write_down(kept)
            elif name in outcome.merged or outcome.aside:
                self._forget(kept)
            else:
                kept.orphan_since = time.monotonic() + LATER  # nothing can be written now: tried again when it is due
        if outcome.aside:
            self.log.warning("outputs that %r could not take are in %r", path, outcome.aside)
            self._tell_tabs("kept-aside", path, outcome.aside)

    async def finish(self, asked_at: float) -> None:
        """The server ends: what no tab has saved since ``asked_at`` goes into the notebooks, complete or so far."""
        await asyncio.gather(*self._finding, return_exceptions=True)
        due = []
        for kept in self.runs.values():
            if (
                kept.merged is None
                and kept.path
                and not self._is_saved(kept, asked_at)
                and kept.recorded.execution_count is not None
            ):
                if kept.phase is Phase.running:
                    kept.phase = Phase.interrupted
                due.append(kept)
        for kept in due:
            self._write_down(kept)
        await self.merge(due)

    def _is_saved(self, kept: Kept, asked_at: float) -> bool:
        """Whether a tab has saved all of it since it was asked: what runs on puts out more than a tab has saved."""
        if kept.ended is None or not self.is_in_its_tab(kept):
            return False
        return self._saved_at.get(kept.path, 0.0) >= max(asked_at, kept.ended)

    def _write_down(self, kept: Kept) -> None:
        state = (kept.phase, kept.recorded.version, kept.path, kept.merged)
        if state != kept.spooled and kept.recorded.execution_count is not None:
            self._spool.write(kept.request.message_id, kept.as_json())
            kept.spooled = state

    def _forget(self, kept: Kept) -> None:
        self.runs.pop(kept.request.message_id, None)
        self._spool.remove(kept.request.message_id)

    def _bound(self) -> None:
        """Runs are kept for tabs that sleep or never save, but not without end: first go those in their notebook."""
        size = sum(kept.recorded.size for kept in self.runs.values())
        written = [kept for kept in self.runs.values() if kept.merged is not None]
        shown = [kept for kept in self.runs.values() if kept.ended is not None and self.is_in_its_tab(kept)]
        for kept in [*written, *shown]:
            if len(self.runs) <= MOST_RUNS and size <= ALL_TOGETHER:
                return
            size -= kept.recorded.size
            self._forget(kept)

    def _tell_tabs(self, event: str, path: str, aside: str = "") -> None:
        events = self._app.event_logger
        if events is not None:
            events.emit(schema_id=SCHEMA_ID, data={"event": event, "seconds": 0, "path": path, "aside": aside})

    def _later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
