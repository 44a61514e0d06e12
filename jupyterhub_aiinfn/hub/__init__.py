"""What JupyterHub loads: authenticator, spawners, spawn page, templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyterhub_aiinfn.backends.local.installation import Installation
    from jupyterhub_aiinfn.values import Values
    from jupyterhub_aiinfn.values.current import CurrentValues


def configure(c: Any, values: Values | CurrentValues, installation: Installation) -> None:
    """Write the whole configuration of the hub into ``c``, JupyterHub's configuration object.

    JupyterHub is imported only here, so that this package can be imported without it.
    """
    from .configuration import write_configuration

    write_configuration(c, values, installation)
