"""What holds for every request: longest body, security headers, access log, and no traceback for anybody."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jupyterhub_aiinfn.api.base import ErrorDetail

from .health.metrics import Metrics
from .problems import UNEXPECTED, problem_json
from .settings import PREFIX

log = logging.getLogger("aiinfn.service")
access = logging.getLogger("aiinfn.access")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": with it browsers send "Origin: null" with our own forms, which then look like foreign ones.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


MOST_REQUESTS = 2000
"""Requests under way at a time, streams included; arbitrary, far above a hundred people with some tabs each."""
BUSY = ErrorDetail(reason="busy", message="the platform service has too many requests at this moment; try again soon")


DRAINED, DRAIN_SECONDS = 32 * 1024 * 1024, 5.0
"""Bytes and seconds for which a body that is too long is read and thrown away: a proxy that cannot send all of it calls
the service broken, and nobody reads the sentence (both arbitrary)."""


class TooLong(Exception):
    """The body is longer than allowed."""


class Protection:
    """ASGI middleware around everything."""

    def __init__(self, app: ASGIApp, max_body: int, metrics: Metrics) -> None:
        """``max_body`` in bytes."""
        self.app, self._max_body, self._metrics = app, max_body, metrics
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        exchange = Exchange(scope, send)
        self._under_way += 1
        try:
            if self._under_way > MOST_REQUESTS:
                await exchange.fail(503, BUSY)
            else:
                await self._serve(scope, BoundedBody(scope, receive, self._max_body), exchange)
        finally:
            self._under_way -= 1
            self._account(scope, exchange)

    async def _serve(self, scope: Scope, body: BoundedBody, exchange: Exchange) -> None:
        try:
            body.check_announced()
            await self.app(scope, body, exchange.send)
        except TooLong:
            await body.throw_away()
            message = f"the body is longer than {self._max_body // 1024} KiB; send less"
            await exchange.fail(413, ErrorDetail(reason="too-long", message=message))
        except Exception:
            log.exception("unexpected, in %s %s", scope["method"], quote(scope["path"], safe="/")[:200])
            await exchange.fail(500, UNEXPECTED)

    def _account(self, scope: Scope, exchange: Exchange) -> None:
        route = getattr(scope.get("route"), "path", "static" if exchange.static else "unmatched")
        self._metrics.answered(scope["method"], route, exchange.status, exchange.seconds)
        path = quote(scope["path"], safe="/")[:200]
        access.info("%s %s %s %.0f ms", scope["method"][:16], path, exchange.status, exchange.seconds * 1000)


class BoundedBody:
    """The body of a request, cut off when it is too long."""

    def __init__(self, scope: Scope, receive: Receive, most: int) -> None:
        self._scope, self._receive, self._left = scope, receive, most

    def check_announced(self) -> None:
        """Refuse a body whose announced length is too long before any of it is read."""
        for name, value in self._scope["headers"]:
            if name == b"content-length" and (not value.isdigit() or int(value[:20]) > self._left):
                raise TooLong

    async def throw_away(self) -> None:
        """Read on without keeping anything, for a while."""
        left, more = DRAINED, True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while more and left > 0:
                    message = await self._receive()
                    left -= len(message.get("body", b""))
                    more = message["type"] == "http.request" and message.get("more_body", False)

    async def __call__(self) -> Message:
        """The next part of the body."""
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise TooLong
        return message


class Exchange:
    """The answer to one request: headers are added as it begins."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send
        self._begun_at = time.monotonic()
        self.status, self.seconds = 0, 0.0
        self.static = scope["path"].startswith(f"{PREFIX}/static/")

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Pass a part of the answer on."""
        if message["type"] == "http.response.start":
            self.status, self.seconds = message["status"], time.monotonic() - self._begun_at
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            if self.status == 413:
                headers["Connection"] = "close"  # what is left of the body is not read: nothing can follow it
            headers.setdefault("Cache-Control", "max-age=3600" if self.static and self.status == 200 else "no-store")
        await self._send(message)

    async def fail(self, status: int, detail: ErrorDetail) -> None:
        """Answer with an error, when nothing was answered yet."""
        if self.status:
            return

        async def nothing() -> Message:
            return {"type": "http.disconnect"}

        await problem_json(status, detail)(self._scope, nothing, self.send)
