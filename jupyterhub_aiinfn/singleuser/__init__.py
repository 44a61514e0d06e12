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
    from .environments import kernels
    from .environments.handlers import routes as environment_routes
    from .handlers import routes
    from .stopping import Stopping

    kernels.show_in(server_app.kernel_spec_manager)
    stopping = Stopping(server_app)
    stopping.install()
    server_app.web_app.add_handlers(".*$", routes(server_app.web_app.settings["base_url"], stopping))
    server_app.web_app.add_handlers(".*$", environment_routes(server_app))
    server_app.log.info("jupyterhub_aiinfn is loaded")
