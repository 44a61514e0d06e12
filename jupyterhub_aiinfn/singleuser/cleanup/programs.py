"""One run of a program that prints a JSON object a line: the last line is kept and shared by all who watch."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator

LONGEST_LINE = 1024 * 1024
"""Bytes; the figures of the largest files and folders need 50 kB."""
PATIENCE = 2.0
"""Seconds for which a run goes on that nobody watches: a page that is loaded again finds it."""
LAST_WORDS = 2000


class Run:
    """One run. Its figures are read with :meth:`lines`; it ends when it is done, cancelled, or nobody watches."""

    def __init__(self, module: str, *arguments: str, given: bytes = b"", needs_watchers: bool = True) -> None:
        self.latest = b""
        self.failure = ""
        self.cancelled = False
        self._changed = asyncio.Event()
        self._watchers = 0
        self._needs_watchers = needs_watchers
        self._process: asyncio.subprocess.Process | None = None
        command = [sys.executable, "-I", "-m", f"{__package__}.{module}", *arguments]
        self._task = asyncio.ensure_future(self._follow(command, given))

    @property
    def done(self) -> bool:
        """Whether no more figures come."""
        return self._task.done()

    async def ended(self) -> bytes:
        """Wait for the end; the last line."""
        await asyncio.wait([self._task])
        return self.latest

    async def lines(self) -> AsyncIterator[bytes]:
        """The latest figures, then each time there are newer ones; slow readers miss some, never the last."""
        self._watchers += 1
        seen = b""
        try:
            while True:
                changed = self._changed
                if self.latest != seen:
                    seen = self.latest
                    yield seen
                    continue
                if self.done:
                    return
                await asyncio.wait([asyncio.ensure_future(changed.wait()), self._task], return_when="FIRST_COMPLETED")
        finally:
            self._watchers -= 1
            if self._needs_watchers and not self._watchers:
                asyncio.get_running_loop().call_later(PATIENCE, self._end_when_alone)

    def cancel(self) -> None:
        """End the program; what it has done stays done."""
        self.cancelled = True
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def _end_when_alone(self) -> None:
        if not self._watchers:
            self.cancel()

    async def _follow(self, command: list[str], given: bytes) -> None:
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=LONGEST_LINE, cwd="/"
            )
            if self.cancelled:
                self.cancel()
            await self._read(self._process, given)
        except (OSError, ValueError) as error:
            self.failure = f"it could not be done: {error}"
        finally:
            self._tell()

    async def _read(self, process: asyncio.subprocess.Process, given: bytes) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        errors = asyncio.ensure_future(process.stderr.read())
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(given)
            await process.stdin.drain()
        process.stdin.close()
        while line := await process.stdout.readline():
            self.latest = line
            self._tell()
        code = await process.wait()
        said = (await errors).decode("utf-8", "replace").strip()
        if code and not self.cancelled:
            self.failure = f"it ended before it was done: {said.splitlines()[-1] if said else f'exit code {code}'}"[
                :LAST_WORDS
            ]

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
