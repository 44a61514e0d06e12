"""How the clean-up page becomes part of the person's server."""

from __future__ import annotations

import atexit
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher, Rule

from .cleaning import Cleaning
from .handlers import AUTH_RESOURCE, PAGE, routes
from .rescue import Rescue
from .saving import say_what_cannot_be_saved

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

WORKING_PAGES = ("lab", "doc", "tree", "notebooks", "consoles", "edit", "terminals", "git-pull")
"""First words of the addresses of JupyterLab and Notebook, whose files and programs' addresses are others, and of the
page that brings what a launch link names."""
OTHERS = ("/api/", "/static/", "/extensions/")


def load(server_app: ServerApp) -> None:
    """Add the page and its addresses; a rescue session opens it first."""
    rescue = Rescue(os.environ, Path(os.environ.get("HOME") or server_app.root_dir))
    rescue.seed()
    cleaning = Cleaning(rescue, server_app.contents_manager.notary)
    atexit.register(cleaning.end)
    say_what_cannot_be_saved(server_app, rescue.problem)
    application = server_app.web_app
    base_url = application.settings["base_url"]
    application.add_handlers(".*$", routes(base_url, cleaning))
    # Before all others, also those of extensions that are loaded later.
    detour = Rule(InsteadOfLab(base_url, cleaning), DetourHandler)
    application.default_router.rules.insert(0, detour)


class InsteadOfLab(Matcher):
    """Matches the pages on which people work, as long as the clean-up page comes first."""

    def __init__(self, base_url: str, cleaning: Cleaning) -> None:
        self._base_url = base_url
        self._rescue = cleaning.rescue

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """An empty dictionary for a match, as tornado wants it."""
        if self._rescue.lab_wanted or request.method != "GET" or not request.path.startswith(self._base_url):
            return None
        return {} if is_working_page(request.path.removeprefix(self._base_url)) else None


def is_working_page(path: str) -> bool:
    """Whether that path, from the base address of the server, is a page of JupyterLab or Notebook."""
    first, _, rest = path.partition("/")
    return (not path or first in WORKING_PAGES) and not f"/{rest}".startswith(OTHERS)


class DetourHandler(JupyterHandler):
    """Leads to the clean-up page, which knows where to go on to."""

    auth_resource = AUTH_RESOURCE

    @web.authenticated
    def get(self) -> None:
        """The clean-up page, with the page that was asked for."""
        page = url_path_join(self.base_url, *PAGE)
        self.redirect(f"{page}?next={quote(self.request.uri or '', safe='')}")
