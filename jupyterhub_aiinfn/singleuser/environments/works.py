"""Pieces of work on own environments, each a process of its own, and what the tabs of JupyterLab hear of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.errors import OwnEnvironmentError

SCHEMA = Path(__file__).parent.parent / "events" / "environments.yaml"
SCHEMA_ID = "urn:jupyterhub-aiinfn:environments"
WORKER = ("-I", "-m", "jupyterhub_aiinfn.singleuser.environments.worker")
LINES, FINISHED, AT_A_TIME = 500, 20, 4
"""Lines that are kept of each, finished ones that are kept, and how many may run. Arbitrary."""
PAUSE = 0.25
"""Seconds between two events of the same work: smooth for an eye, little for a socket. Arbitrary."""
PATIENCE = 10.0
"""Seconds that a cancelled one may tidy up."""
LONGEST_LINE = 1 << 20

Emit = Callable[[dict[str, Any]], object]


@dataclass
class Work:
    """One piece of work."""

    verb: str
    reference: str
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: str = "running"
    step: str = ""
    message: str = ""
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LINES))
    fresh: list[str] = field(default_factory=list)
    """Lines that no event has told yet."""
    process: asyncio.subprocess.Process | None = None
    cancelled: bool = False

    def as_json(self, lines: list[str]) -> dict[str, Any]:
        """What a tab hears."""
        said = {name: getattr(self, name) for name in ("id", "verb", "reference", "state", "step", "message")}
        return said | {"lines": lines}

    def hear(self, line: bytes) -> None:
        """Take one line of the worker."""
        try:
            said = json.loads(line)
            kind, text = said["kind"], str(said["text"])
        except (ValueError, KeyError, TypeError):
            kind, text = "line", line.decode(errors="replace").rstrip()
        if kind == "step":
            self.step = text
        elif kind in ("done", "failed"):
            self.state, self.message = kind, text
        else:
            self.lines.append(text)
            self.fresh.append(text)


class Works:
    """The works of one server."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._works: dict[str, Work] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def all(self) -> list[dict[str, Any]]:
        """Those that run and the last that ended, the newest first, with their lines."""
        return [work.as_json(list(work.lines)) for work in reversed(self._works.values())]

    async def start(self, order: Mapping[str, Any], reference: str) -> Work:
        """Begin; raises :class:`OwnEnvironmentError` when too much is under way."""
        running = [work for work in self._works.values() if work.state == "running"]
        if len(running) >= AT_A_TIME:
            raise OwnEnvironmentError(f"{len(running)} environments are being worked on already; wait for one of them")
        work = Work(order["verb"], reference)
        self._works[work.id] = work
        for old in [other.id for other in self._works.values() if other.state != "running"][:-FINISHED]:
            del self._works[old]
        task = asyncio.ensure_future(self._follow(work, order))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return work

    def cancel(self, identifier: str) -> None:
        """Stop one; raises :class:`OwnEnvironmentError` when none of that identifier runs."""
        work = self._works.get(identifier)
        if work is None or work.state != "running":
            raise OwnEnvironmentError("this has ended already; nothing was stopped")
        work.cancelled = True
        if work.process is not None:
            with contextlib.suppress(ProcessLookupError):
                work.process.send_signal(signal.SIGTERM)
            asyncio.get_running_loop().call_later(PATIENCE, kill_group, work.process.pid)

    async def _follow(self, work: Work, order: Mapping[str, Any]) -> None:
        telling = asyncio.ensure_future(self._tell_now_and_then(work))
        try:
            await run(work, order)
        except OSError as error:
            work.state, work.message = "failed", f"the work could not be started: {error}; try again"
        finally:
            telling.cancel()
            if work.cancelled and work.state != "done":
                work.state, work.message = "cancelled", f"{work.reference}: stopped as you asked"
            elif work.state == "running":
                work.state, work.message = "failed", f"{work.reference}: the work was killed; look at its state below"
            self._tell(work)

    async def _tell_now_and_then(self, work: Work) -> None:
        while True:
            self._tell(work)
            await asyncio.sleep(PAUSE)

    def _tell(self, work: Work) -> None:
        lines, work.fresh = work.fresh, []
        self._emit(work.as_json(lines))


async def run(work: Work, order: Mapping[str, Any]) -> None:
    """Run the worker to its end, and end whatever it left."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *WORKER,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        limit=LONGEST_LINE,
    )
    work.process = process
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(ConnectionError):
            process.stdin.write(json.dumps(order).encode())
            process.stdin.close()
        if work.cancelled:
            process.terminate()
        async for line in process.stdout:
            work.hear(line)
        await process.wait()
    finally:
        kill_group(process.pid)


def kill_group(pid: int) -> None:
    """End a worker and all that it started; its process group is its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
