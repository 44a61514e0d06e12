"""Outputs of running cells are kept here, whether or not a tab listens, and brought back to it or into the notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

    from .keeper import Keeper


def install(server_app: ServerApp) -> Keeper | None:
    """Listen to the kernels of this server; None where it runs them in a way that we do not know."""
    from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

    from .connection import recording
    from .keeper import Keeper

    settings = server_app.web_app.settings
    usual = settings.get("kernel_websocket_connection_class")
    if not (isinstance(usual, type) and issubclass(usual, ZMQChannelsWebsocketConnection)):
        server_app.log.warning("outputs are not kept: kernels are reached through %s", usual)
        return None
    keeper = Keeper(server_app)
    settings["kernel_websocket_connection_class"] = recording(usual, keeper)
    keeper.start()
    return keeper
