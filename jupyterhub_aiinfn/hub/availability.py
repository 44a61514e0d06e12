"""What is free and what is announced: a subscription to the platform service that never makes anybody wait."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import aiohttp
from pydantic import ValidationError

from jupyterhub_aiinfn.api.availability import Availability
from jupyterhub_aiinfn.api.sessions import Announcement, Announcements

TOO_OLD = timedelta(seconds=30)
SILENCE = 25.0
"""Seconds without a byte after which the service counts as hanging and the connection is made anew."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
MAX_EVENT = 4 * 1024 * 1024

log = logging.getLogger("JupyterHub.aiinfn")


class AvailabilityFeed:
    """The last snapshot of the service's stream, and the last announcements. Reading them is a look into memory."""

    def __init__(self, url: str, token: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._url = url
        self._token = token
        self._clock = clock
        self._last: Availability | None = None
        self._received: datetime | None = None
        self._announcements: tuple[Announcement, ...] = ()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Subscribe, once; reconnects by itself for ever."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._follow())

    async def stop(self) -> None:
        """Unsubscribe."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def snapshot(self) -> Availability | None:
        """What is free as far as is known; None when nothing younger than 30 s is known."""
        if self._last is None or self._received is None or self.age() > TOO_OLD:
            return None
        return self._last

    def age(self) -> timedelta:
        """Time since the snapshot was taken; very large when there is none."""
        if self._last is None or self._received is None:
            return timedelta.max
        return self._clock() - min(self._last.taken_at, self._received)

    def announcements(self) -> tuple[Announcement, ...]:
        """What was announced when the service was heard of last, but for what has run out since; newest first."""
        now = self._clock()
        return tuple(one for one in self._announcements if one.until is None or one.until > now)

    def announce(self, announcements: Announcements) -> None:
        """Take announcements in."""
        self._announcements = announcements.announcements

    def receive(self, snapshot: Availability) -> None:
        """Take a snapshot in."""
        self._last, self._received = snapshot, self._clock()

    async def _follow(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                async for name, data in self._stream():
                    self._take(name, data)
                    pause = FIRST_PAUSE
            except (aiohttp.ClientError, TimeoutError, OSError, ValidationError, ValueError) as error:
                log.debug("no availability from the platform service: %s", error)
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    def _take(self, name: str, data: str) -> None:
        """One event; those of a newer service that we do not know are passed over."""
        if name == "availability":
            self.receive(Availability.model_validate_json(data))
        elif name == "announcements":
            self.announce(Announcements.model_validate_json(data))

    async def _stream(self) -> AsyncIterator[tuple[str, str]]:
        timeout = aiohttp.ClientTimeout(total=None, connect=5, sock_read=SILENCE)
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "text/event-stream"}
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.get(self._url, headers=headers) as response,
        ):
            response.raise_for_status()
            async for event in events(response.content.iter_any()):
                yield event


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, str]]:
    """Name and data of each server-sent event; comments and other fields are skipped."""
    buffer, name = b"", ""
    data: list[str] = []
    async for chunk in chunks:
        buffer += chunk.replace(b"\r\n", b"\n")
        if len(buffer) > MAX_EVENT:
            raise ValueError("an event of the availability stream is too long")
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                data.append(line[5:].decode().removeprefix(" "))
            elif line.startswith(b"event:"):
                name = line[6:].decode().strip()
            elif not line:
                if data:
                    yield name, "\n".join(data)
                name, data = "", []
