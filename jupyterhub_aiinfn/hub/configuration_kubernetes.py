"""What the hub is told for sessions on a cluster: the spawner and its settings, from the values."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.backends.kubernetes.images import ContainerImages
from jupyterhub_aiinfn.backends.kubernetes.manifests import cluster_of

from . import session_environment
from .delivery import Delivery
from .outbox import Outbox
from .platform import Platform

__all__ = ["ContainerImages", "Place", "configure_sessions"]
LAB = Path("/opt/aiinfn/lab")
"""Where JupyterLab with our extension is in the images of sessions."""


@dataclass(frozen=True)
class Place:
    """What the hub on a cluster knows that is not in the values."""

    service_url: str
    """Where sessions reach the platform service, with its prefix."""
    folder: Path
    """Where the hub keeps its record of starts and ends; it must outlive the hub's pod."""
    command: tuple[str, ...] = session_environment.command(LAB)
    """What runs in a session."""
    facts_token: str = field(repr=False, default="")
    """With it the hub delivers that record to the service; empty: it is only kept."""


def configure_sessions(c: Any, platform: Platform, place: Place) -> None:
    """Have the hub start sessions on the cluster of ``platform.values``; called within the hub's event loop."""
    from .spawner_kubernetes import GrantedKubeSpawner, sweep_cluster

    cluster = cluster_of(platform.values)
    outbox = Outbox(place.folder / "outbox.jsonl")
    attributes: Mapping[str, Any] = {
        "__module__": __name__,
        "platform": platform,
        "service_url": place.service_url,
        "session_command": place.command,
        "outbox": outbox,
    }
    c.JupyterHub.spawner_class = type("KubernetesSpawner", (GrantedKubeSpawner,), dict(attributes))
    c.KubeSpawner.namespace = cluster.sessions_namespace
    c.KubeSpawner.delete_grace_period = int(cluster.sessions.stop_grace.total_seconds())
    c.KubeSpawner.delete_pvc = False
    c.KubeSpawner.storage_pvc_ensure = False
    c.KubeSpawner.events_enabled = False
    c.KubeSpawner.enable_user_namespaces = False
    # A restart of the hub ends no session.
    c.JupyterHub.cleanup_servers = False
    with contextlib.suppress(RuntimeError):
        loop = asyncio.get_running_loop()
        platform.sweeping = loop.create_task(sweep_cluster(platform.values))
        if place.facts_token:
            platform.delivering = loop.create_task(Delivery(outbox, place.service_url, place.facts_token).run())
