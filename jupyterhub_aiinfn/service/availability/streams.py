"""How many streams are open, and for whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from jupyterhub_aiinfn.errors import ServiceError


class Streams:
    """Counts open streams by caller; nobody may take all."""

    def __init__(self, most: int) -> None:
        """``most`` streams each."""
        self._most = most
        self._open: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """All open streams."""
        return self._open.total()

    def enter(self, name: str) -> Callable[[], None]:
        """Take a place and return what gives it back; 429 in words when the caller has too many."""
        if self._open[name] >= self._most:
            raise ServiceError(
                f"you have {self._most} open streams already; close a page or a program and try again",
                status=429,
                reason="too-many-streams",
            )
        self._open[name] += 1
        return lambda: self._leave(name)

    def _leave(self, name: str) -> None:
        self._open[name] -= 1
        if self._open[name] <= 0:
            del self._open[name]


class EventStream(StreamingResponse):
    """Server-sent events; the place is given back however the stream ends, also before its first byte."""

    def __init__(self, content: AsyncIterator[bytes], leave: Callable[[], None]) -> None:
        super().__init__(content, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()
