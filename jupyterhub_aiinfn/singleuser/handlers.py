"""The addresses that the browser calls on the user's own server."""

from __future__ import annotations

import os
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from .session import describe

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


def routes(base_url: str) -> list[tuple[str, Any]]:
    """Our addresses under the server's base address."""
    return [(url_path_join(base_url, "aiinfn", "api", "session"), SessionHandler)]
