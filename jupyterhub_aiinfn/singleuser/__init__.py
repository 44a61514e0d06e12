"""What the user's Jupyter server loads: it tells the browser which session this is, and has it save before the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """Where Jupyter Server finds the extension."""
    return [{"module": "jupyterhub_aiinfn.singleuser"}]


def _load_jupyter_server_extension(server_app: ServerApp) -> None:
    """Add our handlers to the server that loads us."""
    from .handlers import routes
    from .outputs import install
    from .stopping import Stopping

    keeper = install(server_app)
    stopping = Stopping(server_app, keeper)
    stopping.install()
    server_app.web_app.add_handlers(".*$", routes(server_app.web_app.settings["base_url"], stopping, keeper))
    server_app.log.info("jupyterhub_aiinfn is loaded")
