"""A stretch of network between a process of the platform and the API server that can be cut, or go silent."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit


class Cut:
    """Passes connections on until it is told otherwise."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._open = asyncio.Event()
        self._open.set()
        self._refuses = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Whatever is connected breaks, and nobody gets through."""
        self._refuses = True
        self.break_all()

    def mend(self) -> None:
        """It passes on again."""
        self._refuses = False
        self._open.set()

    def fall_silent(self) -> None:
        """Nothing passes, and nobody is told."""
        self._open.clear()

    def break_all(self) -> None:
        """Whatever is connected breaks; the next one gets through."""
        for writer in self._writers:
            writer.transport.abort()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self._writers.add(writer)
        try:
            if not self._refuses:
                await self._pass_on(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await self._open.wait()
            inner_reader, inner_writer = await asyncio.open_connection(*self._target)
            copies = [
                asyncio.create_task(self._copy(reader, inner_writer)),
                asyncio.create_task(self._copy(inner_reader, writer)),
            ]
            try:
                await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in copies:
                    one.cancel()
                inner_writer.transport.abort()

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._open.wait()
                target.write(data)
                await target.drain()


@asynccontextmanager
async def behind_cut(kubeconfig: Path, folder: Path) -> AsyncIterator[tuple[Cut, Path]]:
    """A kubeconfig that leads through such a stretch."""
    given = json.loads(kubeconfig.read_text())
    url = urlsplit(given["clusters"][0]["cluster"]["server"])
    assert url.hostname is not None
    found = Cut(url.hostname, url.port or 443)
    async with await asyncio.start_server(found.handle, "127.0.0.1", 0) as server:
        given["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        file = folder / "cut.kubeconfig"
        file.write_text(json.dumps(given))
        yield found, file
        found.break_all()
