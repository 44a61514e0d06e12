"""Environments of a cluster: container images, which nobody builds while the platform runs."""

from __future__ import annotations

from pathlib import Path

from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.errors import BackendError

KERNELS = Path("/opt/aiinfn/environment/share/jupyter")
"""Where the kernel of the image is: an environment of its own, as on one machine."""


class ContainerImages:
    """Images of a cluster are built and pushed beforehand: each is there as soon as the values name it."""

    def ready(self, image: str) -> bool:
        """Always: a node fetches what it has not."""
        return True

    def kernels(self, image: str) -> Path:
        """Where the kernel is in the container."""
        return KERNELS

    def build_spec(self, image: str) -> WorkloadSpec:
        """Never asked for."""
        raise BackendError(
            f'the image "{image}" is not built by the platform; an administrator writes images.*.reference'
        )
