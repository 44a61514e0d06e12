"""The addresses that the browser calls on the user's own server."""

from __future__ import annotations

import os
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from .session import describe
from .stopping import Stopping

AUTH_RESOURCE = "contents"
"""Jupyter's resource for "may use this server": whoever may read files may know which session this is."""


class SessionHandler(APIHandler):
    """``GET aiinfn/api/session``: profile, project and limits of this session, never a token."""

    auth_resource = AUTH_RESOURCE

    @web.authenticated
    @authorized
    def get(self) -> None:
        """Answer from the environment alone: no network, always fast."""
        self.finish(describe(os.environ).as_json())


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


def routes(base_url: str, stopping: Stopping) -> list[tuple[str, Any, dict[str, Any]]]:
    """Our addresses under the server's base address."""
    return [
        (url_path_join(base_url, "aiinfn", "api", "session"), SessionHandler, {}),
        (url_path_join(base_url, "aiinfn", "api", "saving"), SavingHandler, {"stopping": stopping}),
    ]
