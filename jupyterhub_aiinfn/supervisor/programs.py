"""What the three supervised processes are started with."""

from __future__ import annotations

import sys
from pathlib import Path

from jupyterhub_aiinfn.backends.local.installation import Installation

from . import proxy
from .children import Program
from .environment import minimal_environment
from .places import PACKAGE


def proxy_program(
    installation: Installation, node: proxy.Node, folder: Path, host: str, port: int, *, by_host: bool
) -> Program:
    """The proxy of npm."""
    return Program(
        name="proxy",
        command=proxy.command(node, folder, installation, host, port, by_host=by_host),
        environment=proxy.environment(installation.state.secret("proxy-token")),
        folder=installation.state.logs,
    )


def hub_program(installation: Installation) -> Program:
    """The hub, configured by the values file."""
    file = PACKAGE / "hub" / "local_config.py"
    return _python("hub", installation, installation.state.hub, "jupyterhub", "-f", str(file))


def service_program(installation: Installation) -> Program:
    """The platform service."""
    return _python("service", installation, installation.state.service, "jupyterhub_aiinfn.service")


def _python(name: str, installation: Installation, folder: Path, *module: str) -> Program:
    # -P: the working folder is no place to import from.
    command = [sys.executable, "-P", "-m", *module]
    # No bytecode: with umask 077 it would be unreadable for sessions, which would compile everything at each start.
    python = {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment = minimal_environment() | installation.environment() | python
    return Program(name=name, command=command, environment=environment, folder=folder)
