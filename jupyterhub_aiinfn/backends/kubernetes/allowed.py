"""The last look at the images of a pod, after everything that could have changed them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.values import Values

from .manifests import cluster_of
from .translation import part, parts


def require_listed_images(values: Values, pod: Mapping[str, Any]) -> None:
    """Raise :class:`BackendError` when a container of the pod has an image that the values do not list."""
    listed = {image.reference for image in values.images.values() if image.reference is not None}
    listed |= {sidecar.image for sidecar in cluster_of(values).sessions.sidecars.values()}
    spec = part(pod, "spec")
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in parts(spec, kind):
            image = container.get("image")
            if not isinstance(image, str) or image not in listed:
                raise BackendError(
                    f'the image "{str(image)[:200]}" is none of those that the values list, so the '
                    "session is not started; an administrator adds it to images.*.reference"
                )
    if not parts(spec, "containers"):
        raise BackendError("a pod without a container cannot be a session; report this as an error of the platform")
