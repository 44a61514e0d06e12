"""The addresses that the browser calls on the user's own server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from .panel import ADDRESSES, AUTH_RESOURCE
from .reporting import Reporting
from .stopping import Stopping

if TYPE_CHECKING:
    from .outputs.keeper import Keeper

LONGEST_TEXT = 4096
MOST_KNOWN = 2000


class SavingHandler(APIHandler):
    """``POST aiinfn/api/saving``: a tab of this server says ``{"tab": …, "saved": …}`` when the server is to end."""

    auth_resource = AUTH_RESOURCE

    def initialize(self, stopping: Stopping) -> None:
        """``stopping`` waits for the tabs."""
        self._stopping = stopping

    @web.authenticated
    @authorized
    def post(self) -> None:
        """204; 400 in words for anything but a short name of the tab and true or false."""
        said = self.get_json_body()
        tab, saved = (said.get("tab"), said.get("saved")) if isinstance(said, dict) else (None, None)
        if not isinstance(tab, str) or not 0 < len(tab) <= 64 or not isinstance(saved, bool):
            raise web.HTTPError(400, 'expected {"tab": a text of 1 to 64 characters, "saved": true or false}')
        self._stopping.says(tab, saved)
        self.set_status(204)
        self.finish()


class SaveHandler(APIHandler):
    """``POST aiinfn/api/save``: who is about to end this server has its tabs save while they can reach it."""

    auth_resource = AUTH_RESOURCE

    def initialize(self, stopping: Stopping) -> None:
        """``stopping`` asks the tabs."""
        self._stopping = stopping

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """How many tabs answered and how many of them have saved; within three seconds."""
        await self._stopping.save()
        self.finish(self._stopping.count())


class OutputsHandler(APIHandler):
    """``POST aiinfn/api/outputs``: a tab that opened a notebook, or comes back to it, asks what its cells have put out.

    Body: ``{"path": …, "tab": …, "hash": …, "known": {…}}``, see :meth:`.outputs.keeper.Keeper.fetch`.
    """

    auth_resource = AUTH_RESOURCE

    def initialize(self, keeper: Keeper | None) -> None:
        """``keeper`` has the outputs; None where none are kept."""
        self._keeper = keeper

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """The runs, oldest first; 400 in words for what is no such body."""
        asked = self.get_json_body()
        said = asked if isinstance(asked, dict) else {}
        path, tab, file_hash, known = (said.get(name) for name in ("path", "tab", "hash", "known"))
        texts = all(isinstance(one, str) and len(one) <= LONGEST_TEXT for one in (path, tab, file_hash))
        if not texts or not path or not is_numbers(known):
            raise web.HTTPError(400, 'expected {"path": text, "tab": text, "hash": text, "known": {text: number}}')
        if self._keeper is None:
            self.finish({"runs": [], "hash": ""})
        else:
            self.finish(await self._keeper.fetch(str(path).strip("/"), str(tab), str(file_hash), known))


def is_numbers(value: object) -> TypeGuard[dict[str, int]]:
    """Whether it is an object of whole numbers, and not a large one."""
    return isinstance(value, dict) and len(value) <= MOST_KNOWN and all(type(one) is int for one in value.values())


def routes(
    base_url: str, stopping: Stopping, reporting: Reporting, keeper: Keeper | None
) -> list[tuple[str, Any, dict[str, Any]]]:
    """Our addresses under the server's base address."""
    return [
        *(
            (url_path_join(base_url, "aiinfn", "api", path), handler, {"reporting": reporting})
            for path, handler in ADDRESSES.items()
        ),
        (url_path_join(base_url, "aiinfn", "api", "saving"), SavingHandler, {"stopping": stopping}),
        (url_path_join(base_url, "aiinfn", "api", "save"), SaveHandler, {"stopping": stopping}),
        (url_path_join(base_url, "aiinfn", "api", "outputs"), OutputsHandler, {"keeper": keeper}),
    ]
