"""What JupyterHub loads: authenticator, spawners, spawn page, templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyterhub_aiinfn.backends.local.installation import Installation
    from jupyterhub_aiinfn.values import Values
    from jupyterhub_aiinfn.values.current import CurrentValues


def configure(c: Any, values: Values | CurrentValues | None = None, installation: Installation | None = None) -> None:
    """Write the whole configuration of the hub into ``c``, JupyterHub's configuration object.

    Without values they are ``custom.aiinfn`` of the JupyterHub chart; without an installation it is what the
    environment describes.

    JupyterHub is imported only here, so that this package can be imported without it.
    """
    from .configuration import write_configuration

    if values is None:
        from .chart import chart_values

        values = chart_values()
    if installation is None:
        from jupyterhub_aiinfn.backends.local.installation import Installation

        installation = Installation.from_environment()
    write_configuration(c, values, installation)
