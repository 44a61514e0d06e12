"""The part of the JupyterHub chart's values (zero-to-jupyterhub) that follows from ours: a pure function."""

from __future__ import annotations

from typing import Any

from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.kubernetes import Kubernetes

from .access import NAMESPACE
from .manifests import cluster_of
from .names import slug

Manifest = dict[str, Any]
CONFIGURE = "from jupyterhub_aiinfn.hub import configure\nconfigure(c)\n"
"""What the chart executes last, so that nothing of the chart's comes after it."""


def chart_values(values: Values, hub_image: str | None = None) -> Manifest:
    """Values for ``helm install --values``; nothing in them is secret.

    ``hub_image`` holds JupyterHub with this program; the chart's own image does not. Raises
    :class:`~jupyterhub_aiinfn.errors.BackendError` for values of one machine.
    """
    cluster = cluster_of(values)
    hub = _hub(cluster)
    if hub_image is not None:
        hub["image"] = image_parts(hub_image)
    return {
        "custom": {"aiinfn": values.model_dump(mode="json", by_alias=True, exclude_defaults=True)},
        "hub": hub,
        "singleuser": {
            "cloudMetadata": {"blockWithIptables": False},
            "networkPolicy": {"enabled": False},
            "storage": {"type": "none"},
        },
        "prePuller": {"pullProfileListImages": False, "extraImages": _images(values)},
        "imagePullSecrets": [{"name": name} for name in cluster.sessions.pull_secrets],
        "scheduling": {
            "userScheduler": {"enabled": False},
            "userPlaceholder": {"enabled": False},
            "podPriority": {"enabled": False},
        },
        "cull": {"enabled": False},
    }


def image_parts(reference: str) -> dict[str, str]:
    """Name and tag of an image as the chart joins them again, by a colon; so a digest is a tag of ``…@sha256``."""
    folder, slash, last = reference.rpartition("/")
    name, _, tag = last.partition(":") if "@" not in last else last.rpartition(":")
    return {"name": f"{folder}{slash}{name}", "tag": tag or "latest"}


def _hub(cluster: Kubernetes) -> Manifest:
    """The hub is reached by sessions, which are in another namespace than the chart expects them in."""
    sessions = {"namespaceSelector": {"matchLabels": {NAMESPACE: cluster.sessions_namespace}}}
    jobs = {"namespaceSelector": {"matchLabels": {NAMESPACE: cluster.jobs_namespace}}}
    ports = [{"protocol": "TCP", "port": cluster.network.hub_port}]
    return {
        "config": {"JupyterHub": {"admin_access": False}},
        "extraConfig": {"zz-aiinfn": CONFIGURE},
        # A hub that ends itself after some failed starts would take everybody's page with it.
        "consecutiveFailureLimit": 0,
        "serviceAccount": {"create": True, "name": cluster.hub_account},
        # The chart makes its token, and keeps it in its Secret.
        "services": {"aiinfn": {"display": False}},
        "networkPolicy": {"ingress": [{"from": [sessions, jobs], "ports": ports}]},
    }


def _images(values: Values) -> dict[str, dict[str, str]]:
    """The images of profiles, by names that containers may have."""
    used = dict.fromkeys(profile.image for profile in values.profiles.values())
    references = {key: values.images[key].reference for key in used}
    return {slug(key): image_parts(found) for key, found in references.items() if found is not None}
