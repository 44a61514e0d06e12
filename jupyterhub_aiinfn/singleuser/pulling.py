"""The pages of nbgitpuller with our check in front; import it after nbgitpuller was shown the server."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jupyter_server.utils import url_path_join
from nbgitpuller.handlers import SyncHandler, UIHandler
from tornado import web
from tornado.httputil import HTTPServerRequest

from jupyterhub_aiinfn.model.launch_links import Launch

from .launching import Launches, LaunchHandler, in_the_way

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


class PullPage(UIHandler):
    """``git-pull``: asks first, unless the person has agreed, then shows nbgitpuller's progress."""

    def initialize(self, launches: Launches) -> None:
        """``launches`` knows what the person has agreed to."""
        self._launches = launches

    @web.authenticated
    async def get(self) -> None:
        """Ask, or go on."""
        launch = self._launches.read(self.request.query_arguments)
        if problem := await in_the_way(home(self.settings), launch):
            self.set_status(409)
            self._ask(launch, problem)
        elif self._launches.is_agreed(launch):
            say_only(self.request, launch)
            await super().get()  # type: ignore[misc]  # a coroutine in nbgitpuller
        else:
            self._ask(launch)

    @web.authenticated
    async def post(self) -> None:
        """The button: Jupyter has checked that it was on our page."""
        launch = self._launches.read(self.request.query_arguments)
        self._launches.agree(launch)
        self.redirect(url_path_join(self.base_url, launch.address))

    def _ask(self, launch: Launch, problem: str = "") -> None:
        lab, xsrf = url_path_join(self.base_url, "lab"), self.xsrf_token.decode()
        self.finish(template().render(launch=launch, problem=problem, lab=lab, xsrf=xsrf))


class PullApi(SyncHandler):
    """``git-pull/api``: fetches what the person has agreed to and nothing else."""

    def initialize(self, launches: Launches) -> None:
        """``launches`` knows what the person has agreed to."""
        self._launches = launches

    @web.authenticated
    async def get(self) -> None:
        """The stream of git's output."""
        launch = self._launches.read(self.request.query_arguments)
        if not self._launches.is_agreed(launch):
            raise web.HTTPError(403, "nobody has agreed to bring these files; open the link in a browser")
        say_only(self.request, launch)
        await super().get()  # type: ignore[misc]  # a coroutine in nbgitpuller


def launch_routes(server_app: ServerApp) -> list[tuple[str, Any, dict[str, Any]]]:
    """Our first page, and the two in front of nbgitpuller's: Jupyter loads extensions in the order of their names."""
    base, given = server_app.web_app.settings["base_url"], {"launches": Launches(os.environ)}
    return [
        (url_path_join(base, "aiinfn", "launch"), LaunchHandler, given),
        (url_path_join(base, "git-pull"), PullPage, given),
        (url_path_join(base, "git-pull", "api"), PullApi, given),
    ]


def say_only(request: HTTPServerRequest, launch: Launch) -> None:
    """Nbgitpuller reads what was checked and nothing else; by itself it would choose another folder than we said."""
    backup = {"backup": "true"} if "backup" in request.query_arguments else {}
    request.arguments = {name: [value.encode()] for name, value in (launch.arguments | backup).items()}


def home(settings: dict[str, Any]) -> Path:
    """The folder that JupyterLab shows, into which nbgitpuller fetches."""
    return Path(settings["server_root_dir"]).expanduser()


@cache
def template() -> Any:
    """The page that asks."""
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template("launch.html")
