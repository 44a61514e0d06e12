"""The addresses behind the session panel: what is known, and what the person asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, TypeVar

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from pydantic import ValidationError
from tornado import web

from jupyterhub_aiinfn.api.base import ErrorBody, ErrorDetail, Message
from jupyterhub_aiinfn.api.lab import Watching
from jupyterhub_aiinfn.api.profiles import ProfileOffers
from jupyterhub_aiinfn.api.sessions import KeepUntil
from jupyterhub_aiinfn.errors import ServiceError

from .platform import API
from .reporting import Reporting

AUTH_RESOURCE = "contents"
"""Jupyter's resource for "may use this server": whoever may read files may know which session this is."""
NO_ANSWER = 0.5
"""Seconds within which a hub that refuses says so; after them the session is ending, and this server with it."""
M = TypeVar("M", bound=Message)


class PanelHandler(APIHandler):
    """What all of them share: one state, and errors in the platform's one shape."""

    auth_resource = AUTH_RESOURCE

    def initialize(self, reporting: Reporting) -> None:
        """``reporting`` knows the session."""
        self.reporting = reporting

    def answer(self, message: Message) -> None:
        """Send a message as JSON."""
        self.set_header("Cache-Control", "no-store")
        self.finish(message.model_dump_json())

    def problem(self, status: int, reason: str, sentence: str) -> None:
        """Send a sentence."""
        self.set_status(status)
        self.answer(ErrorBody(error=ErrorDetail(reason=reason, message=sentence)))

    def body(self, kind: type[M]) -> M:
        """The body as a message; 400 in words."""
        try:
            return kind.model_validate_json(self.request.body)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "body"
            raise ServiceError(f"{where}: {first['msg']}", status=400, reason="malformed") from error


Method = Callable[[Any], Coroutine[Any, Any, None]]


def in_words(method: Method) -> Method:
    """Answer our own errors with their sentence and status."""

    @wraps(method)
    async def handled(self: PanelHandler) -> None:
        try:
            await method(self)
        except ServiceError as error:
            # 401 and 403 would mean that the browser may not use this server
            status = 502 if error.status in (401, 403) else error.status
            self.problem(status, error.reason, str(error))

    return handled


class SessionHandler(PanelHandler):
    """``GET aiinfn/api/session``: everything about this session, never a token."""

    @web.authenticated
    @authorized
    @in_words
    async def get(self) -> None:
        """What is known: no network, always fast."""
        self.answer(self.reporting.session())


class WatchingHandler(PanelHandler):
    """``POST aiinfn/api/watching``: a tab shows live figures, or no longer; it says so again each minute."""

    @web.authenticated
    @authorized
    @in_words
    async def post(self) -> None:
        """Answer with the first figures; the next ones come as events."""
        said = self.body(Watching)
        self.answer(await self.reporting.watch(said.tab, watching=said.watching))


class ExtendHandler(PanelHandler):
    """``POST aiinfn/api/session/extend``: lengthen the longest life, as often as the profile allows."""

    @web.authenticated
    @authorized
    @in_words
    async def post(self) -> None:
        """The new limits, or the service's reason."""
        self.answer(await self.reporting.change("POST", "extensions"))


class KeepHandler(PanelHandler):
    """``PUT aiinfn/api/session/keep-until``: do not end the session for being idle before that."""

    @web.authenticated
    @authorized
    @in_words
    async def put(self) -> None:
        """The new limits, or the service's reason."""
        self.answer(await self.reporting.change("PUT", "keep-until", self.body(KeepUntil)))


class ProfilesHandler(PanelHandler):
    """``GET aiinfn/api/profiles``: what the person could have in place of this session."""

    @web.authenticated
    @authorized
    @in_words
    async def get(self) -> None:
        """The service's answer."""
        platform = self.reporting.require_platform()
        self.answer(await platform.ask("GET", f"{API}/profiles", ProfileOffers))


class StopHandler(PanelHandler):
    """``POST aiinfn/api/session/stop``: the person ends this session; the tab has saved its documents before."""

    @web.authenticated
    @authorized
    @in_words
    async def post(self) -> None:
        """202 when the hub has begun; a sentence when it does not answer or refuses."""
        stopping = asyncio.ensure_future(self.reporting.require_platform().stop())
        stopping.add_done_callback(self._note)
        await first_words(stopping, NO_ANSWER)
        self.set_status(202)
        self.answer(self.reporting.session())

    def _note(self, stopping: asyncio.Future[None]) -> None:
        if not stopping.cancelled() and (error := stopping.exception()) is not None:
            self.log.warning("the session was not stopped: %s", error)


async def first_words(work: Awaitable[None], seconds: float) -> None:
    """Raise what ``work`` raises within that time; it goes on after it."""
    done, _ = await asyncio.wait([asyncio.ensure_future(work)], timeout=seconds)
    for one in done:
        one.result()


ADDRESSES: dict[str, type[PanelHandler]] = {
    "session": SessionHandler,
    "watching": WatchingHandler,
    "session/extend": ExtendHandler,
    "session/keep-until": KeepHandler,
    "session/stop": StopHandler,
    "profiles": ProfilesHandler,
}
"""Below ``aiinfn/api/``."""
