"""What the user's Jupyter server loads: what the session panel shows, the heartbeat, and saving before the end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """Where Jupyter Server finds the extension."""
    return [{"module": "jupyterhub_aiinfn.singleuser"}]


def _load_jupyter_server_extension(server_app: ServerApp) -> None:
    """Add our handlers to the server that loads us."""
    from nbgitpuller._compat import get_base_handler

    get_base_handler(server_app)  # it chooses the base of its handlers when they are imported
    from .beside_home import delete_for_good_beside
    from .cleanup import extension as cleanup
    from .environments import kernels
    from .environments.handlers import routes as environment_routes
    from .folder_links import link_folders
    from .handlers import routes
    from .listing import list_again_when_files_go
    from .outputs import install
    from .pulling import launch_routes
    from .reporting import Reporting
    from .stopping import Stopping

    kernels.show_in(server_app.kernel_spec_manager)
    if "AIINFN_WORKLOAD" in os.environ:
        link_folders(os.environ, Path.home())
    delete_for_good_beside(server_app.contents_manager, Path.home(), os.environ)
    list_again_when_files_go(server_app.contents_manager)
    keeper = install(server_app)
    stopping = Stopping(server_app, keeper)
    stopping.install()
    reporting = Reporting(server_app, os.environ)
    server_app.io_loop.add_callback(reporting.start)
    own = routes(server_app.web_app.settings["base_url"], stopping, reporting, keeper)
    server_app.web_app.add_handlers(".*$", [*own, *launch_routes(server_app), *environment_routes(server_app)])
    cleanup.load(server_app)
    server_app.log.info("jupyterhub_aiinfn is loaded")
