"""The addresses that the browser calls on the user's own server."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from .panel import ADDRESSES, AUTH_RESOURCE
from .reporting import Reporting
from .stopping import Stopping


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


def routes(base_url: str, stopping: Stopping, reporting: Reporting) -> list[tuple[str, Any, dict[str, Any]]]:
    """Our addresses under the server's base address."""
    return [
        *(
            (url_path_join(base_url, "aiinfn", "api", path), handler, {"reporting": reporting})
            for path, handler in ADDRESSES.items()
        ),
        (url_path_join(base_url, "aiinfn", "api", "saving"), SavingHandler, {"stopping": stopping}),
    ]
