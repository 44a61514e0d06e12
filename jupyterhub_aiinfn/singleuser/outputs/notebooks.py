"""Writes outputs into notebooks through Jupyter's own contents: read, merge, look again, write.

Everything happens with the person's rights, in their session. When in doubt nothing is overwritten: what does not fit
goes into a new notebook next to the other one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from jupyter_core.utils import ensure_async
from tornado.web import HTTPError

from jupyterhub_aiinfn.model.merging import Merged, Run, merge, outputs_only

from .runs import Kept

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

SAVES = "https://events.jupyter.org/jupyter_server/contents_service/v1"
ATTEMPTS = 3
"""How often a notebook that others write just now is read again (arbitrary)."""
NAMES = 100


@dataclass(frozen=True)
class Outcome:
    """What became of some runs of one notebook."""

    merged: frozenset[str] = frozenset()
    """Runs (by message) that are in the notebook now."""
    before: str = ""
    """Its hash before and after; equal when nothing had to be written."""
    after: str = ""
    aside: str = ""
    """The notebook that took what did not fit; empty when there was nothing, or it could not be written."""


class Notebooks:
    """The notebooks of this server."""

    def __init__(self, server_app: ServerApp) -> None:
        self._app = server_app
        self._contents: Any = server_app.contents_manager
        self._sessions: Any = server_app.session_manager
        self._own_saves: set[str] = set()

    def on_save(self, saved: Callable[[str], None]) -> None:
        """Call ``saved`` with the path whenever somebody else saves a file through this server."""

        async def listen(logger: object, schema_id: str, data: dict[str, Any]) -> None:
            path = str(data.get("path", "")).strip("/")
            if data.get("action") != "save":
                return
            if path in self._own_saves:  # heard after the save has returned
                self._own_saves.discard(path)
            else:
                saved(path)

        if self._app.event_logger is not None:
            self._app.event_logger.add_listener(schema_id=SAVES, listener=listen)

    async def paths(self) -> dict[str, str]:
        """The notebook of each kernel that has one."""
        found = await ensure_async(self._sessions.list_sessions())
        pairs = ((one["kernel"]["id"], one["path"]) for one in found if one.get("type") == "notebook" and one["kernel"])
        return {kernel: str(path).strip("/") for kernel, path in pairs}

    async def path_of(self, kernel: str) -> str:
        """The notebook of one kernel; empty for consoles and the like."""
        return (await self.paths()).get(kernel, "")

    def look(self, path: str) -> tuple[str, str]:
        """Where the path leads, and what the file is now; both empty where contents are not files."""
        place = self._place(path)
        if not place:
            return "", ""
        try:
            found = os.stat(place)  # noqa: PTH116
        except OSError:
            return "", ""
        return os.path.realpath(place), f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"  # noqa: PTH

    def _place(self, path: str) -> str:
        find = getattr(self._contents, "_get_os_path", None)
        try:
            return str(find(path)) if find is not None and path else ""
        except (HTTPError, ValueError):
            return ""

    async def hash_of(self, path: str) -> str:
        """Of the file as it is on disk; empty when there is none."""
        try:
            model = await ensure_async(self._contents.get(path, content=False, require_hash=True))
        except (HTTPError, OSError):
            return ""
        return str(model.get("hash") or "")

    async def merge(self, path: str, kept: Sequence[Kept]) -> Outcome:
        """Put the outputs into the notebook where nothing newer is lost; the others into one next to it."""
        runs = {one.request.message_id: one.as_run(self._saved_since(one)) for one in kept}
        names = {id(run): name for name, run in runs.items()}
        elsewhere = [run for one in kept if not self._is_where_it_was(one) for run in [runs[one.request.message_id]]]
        inside = [run for run in runs.values() if not any(run is other for other in elsewhere)]
        done, before, after = await self._write(path, inside)
        moved = "The path of the notebook leads to another file than when the cell was run."
        refused = [*done.refused, *((run, moved) for run in elsewhere)]
        wanted = [(run, why) for run, why in refused if run.outputs]
        # Runs that another run of the same cell replaced are in neither list: nobody would see them any more.
        gone = {names[id(run)] for run, _ in refused}
        merged = frozenset(names[id(run)] for run in runs.values() if names[id(run)] not in gone)
        aside = await self._write_aside(path, wanted) if wanted else ""
        if not wanted:
            merged = frozenset(runs)
        return Outcome(merged, before, after, aside)

    def _saved_since(self, kept: Kept) -> bool:
        return not kept.seen or self.look(kept.path)[1] != kept.seen

    def _is_where_it_was(self, kept: Kept) -> bool:
        return not kept.real_path or self.look(kept.path)[0] in ("", kept.real_path)

    async def _write(self, path: str, runs: list[Run]) -> tuple[Merged, str, str]:
        if not runs:
            return Merged({}), "", ""
        for _ in range(ATTEMPTS):
            before, document, why = await self._read(path)
            if why:
                return Merged({}, refused=tuple((run, why) for run in runs)), "", ""
            done = merge(document, runs)
            if not done.changed:
                return done, before, before
            trust(done)
            if await self.hash_of(path) != before:
                continue
            try:
                after = await self._save(path, done.document)
            except (HTTPError, OSError, ValueError) as problem:
                why = f"The notebook could not be written: {getattr(problem, 'log_message', None) or problem}"
                return Merged({}, refused=tuple((run, why) for run in runs)), "", ""
            return done, before, after
        why = "The notebook was being written by others."
        return Merged({}, refused=tuple((run, why) for run in runs)), "", ""

    async def _read(self, path: str) -> tuple[str, object, str]:
        """Hash and content, or why there is none."""
        try:
            model = await ensure_async(self._contents.get(path, content=True, type="notebook", require_hash=True))
        except (HTTPError, OSError) as problem:
            status = getattr(problem, "status_code", 500)
            return "", None, "The notebook is gone." if status == 404 else "The notebook cannot be read."
        return str(model.get("hash") or ""), model["content"], ""

    async def _save(self, path: str, document: dict[str, Any]) -> str:
        own = path.strip("/")
        self._own_saves.add(own)
        try:
            await ensure_async(self._contents.save({"type": "notebook", "format": "json", "content": document}, path))
        except BaseException:
            self._own_saves.discard(own)
            raise
        return await self.hash_of(path)

    async def _write_aside(self, path: str, runs: list[tuple[Run, str]]) -> str:
        """The name of a new notebook, which never replaces one; empty when none can be written."""
        document = outputs_only(runs, of=PurePosixPath(path).name)
        for place in (str(PurePosixPath(path).parent).strip("."), ""):
            name = await self._free_name(place, PurePosixPath(path).stem)
            try:
                if name:
                    await self._save(name, document)
                    return name
            except (HTTPError, OSError, ValueError):
                self._app.log.debug("no notebook can be written to %r", place, exc_info=True)
        return ""

    async def _free_name(self, place: str, stem: str) -> str:
        when = datetime.now().astimezone().strftime("%Y-%m-%d %H.%M")
        for number in range(NAMES):
            again = f" {number + 1}" if number else ""
            name = f"{place}/{stem} (outputs of {when}{again}).ipynb".strip("/")
            if not await ensure_async(self._contents.file_exists(name)):
                return name
        return ""


def trust(done: Merged) -> None:
    """The person ran these cells here: their outputs are as trusted as if JupyterLab had saved them."""
    cells = {run.cell_id for run in done.merged}
    for cell in done.document["cells"]:
        if cell.get("id") in cells:
            cell.setdefault("metadata", {})["trusted"] = True
