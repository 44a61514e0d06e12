"""The addresses of the clean-up page: the page itself, figures as they are found, counting, deleting, going on."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.iostream import StreamClosedError

from .chosen import read_chosen
from .cleaning import Cleaning
from .page import content_security_policy, render, safe_next

AUTH_RESOURCE = "contents"
"""Jupyter's resource for files: whoever may write them may clean up."""
PAGE = ("aiinfn", "cleanup")
STREAM = "application/x-ndjson"


class PageHandler(JupyterHandler):
    """``GET aiinfn/cleanup``: the page, in one answer and without JupyterLab's own files."""

    auth_resource = AUTH_RESOURCE

    def initialize(self, cleaning: Cleaning) -> None:
        """``cleaning`` knows the home."""
        self._cleaning = cleaning

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """The page; ``next`` is where it goes on to, an address of this server."""
        state = await self._cleaning.state()
        nonce = secrets.token_urlsafe(16)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Security-Policy", content_security_policy(nonce))
        onward = safe_next(self.get_argument("next", ""), self.base_url)
        self.finish(render(state, base_url=self.base_url, xsrf=self.xsrf_token.decode(), nonce=nonce, onward=onward))


class CleaningHandler(APIHandler):
    """What the endpoints share."""

    auth_resource = AUTH_RESOURCE

    def initialize(self, cleaning: Cleaning) -> None:
        """``cleaning`` knows the home and what runs."""
        self._cleaning = cleaning
        self._gone: Callable[[], object] | None = None

    def on_connection_close(self) -> None:
        """The page has gone: whoever streams to it stops."""
        super().on_connection_close()
        if self._gone is not None:
            self._gone()

    async def stream(self, lines: Any) -> None:
        """Send figures as they come, until the end or until the page goes."""
        self.set_header("Content-Type", STREAM)
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")
        sending = asyncio.ensure_future(self._send(lines))
        self._gone = sending.cancel
        try:
            await sending
        except (asyncio.CancelledError, StreamClosedError):
            return

    async def _send(self, lines: Any) -> None:
        try:
            async for line in lines:
                self.write(line)
                await self.flush()
        finally:
            await lines.aclose()

    def finish(self, *arguments: Any, **named: Any) -> Any:
        """Jupyter's handler would say that everything is one JSON object."""
        kind = self._headers.get("Content-Type", "")
        if kind.startswith(STREAM):
            return super(APIHandler, self).finish(*arguments, **named)
        return super().finish(*arguments, **named)


class StateHandler(CleaningHandler):
    """``GET aiinfn/api/cleanup``: whether this is a rescue session, why, and whether there is room."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """The state, tried at this moment."""
        self.finish((await self._cleaning.state()).as_json())


class ScanHandler(CleaningHandler):
    """``GET aiinfn/api/cleanup/scan``: the figures of the home, one JSON object a line; all pages share one scan."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Figures until the scan is done; ``again`` starts a new one when the last is done."""
        run = self._cleaning.scan(again=bool(self.get_argument("again", "")))
        await self.stream(run.lines())
        if run.failure and not self._finished:
            self.write(json.dumps({"done": True, "error": f"the home could not be measured: {run.failure}"}) + "\n")


class CountHandler(CleaningHandler):
    """``POST aiinfn/api/cleanup/count``: how many files and bytes the chosen ones are, counted now."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Body ``{"paths": […], "known": […]}`` with identifiers of the scan; 400 in words for anything else."""
        chosen = read_chosen(self.request.body)
        self.finish(await self._cleaning.count(chosen))


class DeletionHandler(CleaningHandler):
    """``aiinfn/api/cleanup/deletion``: delete what was chosen, follow it, cancel it."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Begin; 409 when another one is under way."""
        self._cleaning.delete(read_chosen(self.request.body))
        self.set_status(202)
        self.finish({})

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """How far it is, one JSON object a line; 404 when there was none."""
        run = self._cleaning.deletion
        if run is None:
            raise web.HTTPError(404, "nothing was deleted from this page in this session")
        await self.stream(run.lines())
        if not self._finished:
            self.write(json.dumps({"done": True, "cancelled": run.cancelled, "error": run.failure}) + "\n")

    @web.authenticated
    @authorized
    async def delete(self) -> None:
        """Cancel it; what is deleted stays deleted."""
        if self._cleaning.deletion is not None:
            self._cleaning.deletion.cancel()
        self.set_status(204)
        self.finish()


class ContinueHandler(CleaningHandler):
    """``POST aiinfn/api/cleanup/continue``: go on to JupyterLab, as an ordinary session when there is room."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """``{"problem": …}``: empty when it is an ordinary session now, else why it stays a rescue session."""
        self.finish({"problem": await self._cleaning.go_on()})


class RightsHandler(CleaningHandler):
    """``POST aiinfn/api/cleanup/rights``: give the person the right to write their own home back."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """204; 409 in words when the system refuses it."""
        await self._cleaning.unlock()
        self.set_status(204)
        self.finish()


HANDLERS: dict[str, type[CleaningHandler]] = {
    "": StateHandler,
    "scan": ScanHandler,
    "count": CountHandler,
    "deletion": DeletionHandler,
    "continue": ContinueHandler,
    "rights": RightsHandler,
}


def routes(base_url: str, cleaning: Cleaning) -> list[tuple[str, Any, dict[str, Any]]]:
    """The addresses under the server's base address."""
    given = {"cleaning": cleaning}
    api = [
        (url_path_join(base_url, "aiinfn", "api", "cleanup", name).rstrip("/"), handler, given)
        for name, handler in HANDLERS.items()
    ]
    return [(url_path_join(base_url, *PAGE), PageHandler, given), *api]
