"""``python -m jupyterhub_aiinfn.service``: the platform service of the installation that the environment describes."""

from __future__ import annotations

import logging
import os
import sys

from jupyterhub_aiinfn.backends.local.agreement import Follower, current_values
from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.environments import Environments, fetch_settings
from jupyterhub_aiinfn.backends.local.installation import Installation
from jupyterhub_aiinfn.errors import AiinfnError

from .app import make_app
from .server import serve
from .settings import Settings


def main() -> int:
    """Serve until a signal; 1 and a sentence when that cannot be."""
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        run(Installation.from_environment())
    except AiinfnError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def run(installation: Installation, **changes: float) -> None:
    """Serve an installation; ``changes`` are settings other than the default ones."""
    current = current_values(installation.state, installation.values_file)
    environments = Environments(current, installation.values_file, installation.cache)
    backend = LocalBackend(current, installation.state, images=environments.readiness)
    settings, follower = Settings.from_installation(installation, **changes), Follower(installation.state, current)
    app = make_app(settings, current, backend, environments, fetch_settings, follower, backend.storage)
    serve(app, installation.service_port)


if __name__ == "__main__":
    sys.exit(main())
