"""What JupyterHub loads: authenticator, spawners, spawn page, templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyterhub_aiinfn.backends.local.installation import Installation
    from jupyterhub_aiinfn.values import Values
    from jupyterhub_aiinfn.values.current import CurrentValues


def configure(c: Any, values: Values | CurrentValues | None = None, installation: Installation | None = None) -> None:
    """Write the whole configuration of the hub into ``c``, JupyterHub's configuration object.

    Without values they are ``custom.aiinfn`` of the JupyterHub chart. Values of a cluster are for the hub of that
    chart, whose own configuration stays; those of one machine need an installation, by default that of the
    environment.

    JupyterHub is imported only here, so that this package can be imported without it.
    """
    from jupyterhub_aiinfn.values.current import CurrentValues

    if values is None:
        from .chart import cluster_values

        values = cluster_values()
    current = CurrentValues.of(values)
    if current.values.kubernetes is not None:
        from .chart import chart_deployment
        from .configuration_chart import write_chart_configuration

        return write_chart_configuration(c, current, chart_deployment(current.values))
    from .configuration import write_configuration

    if installation is None:
        from jupyterhub_aiinfn.backends.local.installation import Installation

        installation = Installation.from_environment()
    write_configuration(c, current, installation)
