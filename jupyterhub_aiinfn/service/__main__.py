"""``python -m jupyterhub_aiinfn.service``: the platform service of the installation that the environment describes.

It runs on the backend of the values: on one machine as `aiinfn up` starts it, or in a pod of the cluster that they
name.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from pathlib import Path

from jupyterhub_aiinfn.backends.local.agreement import Follower, current_values
from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.environments import Environments, fetch_settings
from jupyterhub_aiinfn.backends.local.installation import Installation
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.errors import AiinfnError, StateError
from jupyterhub_aiinfn.values.current import CurrentValues

from .app import make_app
from .server import serve, serve_in_pod
from .settings import Settings


def main() -> int:
    """Serve until a signal; 1 and a sentence when that cannot be."""
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        if (current := values_of_cluster()) is None:
            run(Installation.from_environment())
        else:
            with contextlib.suppress(KeyboardInterrupt):
                asyncio.run(run_on_cluster(current))
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


def values_of_cluster() -> CurrentValues | None:
    """The values that count, when they are for a cluster; None for one machine and when nobody names any."""
    named, state = os.environ.get("AIINFN_VALUES"), os.environ.get("AIINFN_STATE")
    if not named or not state:
        return None
    current = current_values(StateFolder(Path(state)), Path(named))
    return None if current.values.kubernetes is None else current


async def run_on_cluster(current: CurrentValues, **changes: float) -> None:
    """Serve a cluster, with the account of this pod or that of ``KUBECONFIG``; ``changes`` as for :func:`run`."""
    from jupyterhub_aiinfn.backends.kubernetes.backend import KubernetesBackend
    from jupyterhub_aiinfn.backends.kubernetes.connection import Connection
    from jupyterhub_aiinfn.backends.kubernetes.deployment import Deployment, token_of_file
    from jupyterhub_aiinfn.backends.kubernetes.images import ContainerImages
    from jupyterhub_aiinfn.backends.kubernetes.manifests import cluster_of

    deployment = Deployment.of(current.values, token_of_file())
    public_url = current.values.site.url or os.environ.get("AIINFN_PUBLIC_URL", "").rstrip("/")
    if not public_url:
        raise StateError("nobody says where people reach the platform; set site.url, or the variable AIINFN_PUBLIC_URL")
    deployment.state.prepare()
    backend = KubernetesBackend(current, await Connection.of_process())
    try:
        backend.begin()
        settings = Settings.from_deployment(deployment, public_url, **changes)
        port = int(os.environ.get("AIINFN_SERVICE_PORT") or cluster_of(current.values).network.service_port)
        app = make_app(settings, current, backend, ContainerImages())
        backend.watched.on_nodes = app.state.context.watch.count_again
        await serve_in_pod(app, port)
    finally:
        await backend.close()


if __name__ == "__main__":
    sys.exit(main())
