"""``python -m jupyterhub_aiinfn.service``: the platform service of the installation that the environment describes."""

from __future__ import annotations

import logging
import os
import sys

from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.environments import Environments, fetch_settings
from jupyterhub_aiinfn.backends.local.installation import Installation
from jupyterhub_aiinfn.errors import AiinfnError
from jupyterhub_aiinfn.values import load_values

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
    values = load_values(installation.values_file)
    environments = Environments(values, installation.values_file, installation.cache)
    backend = LocalBackend(values, installation.state, images=environments.readiness)
    settings = Settings.from_installation(installation, **changes)
    app = make_app(settings, values, backend, environments, fetch_settings, backend.storage)
    serve(app, installation.service_port)


if __name__ == "__main__":
    sys.exit(main())
