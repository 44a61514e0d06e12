"""The whole values file."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from .accelerators import Accelerator
from .base import Identifier, Section
from .identity import Identity
from .images import Image
from .kubernetes import Kubernetes
from .limits import Limits
from .nodes import NodeClass
from .prices import Accounting
from .profiles import Profile
from .projects import Project
from .site import Site
from .storage import Storage


def _whole(value: Any) -> Any:
    """Python's ``True == 1 == 1.0`` must not pass for a version."""
    if type(value) is not int:
        raise ValueError("must be 1, a number without quotes")
    return value


class Values(Section):
    """Everything the administrator decides, for one machine and for Kubernetes alike."""

    version: Annotated[Literal[1], BeforeValidator(_whole)]
    """Version of this format."""
    site: Site
    """The site."""
    identity: Identity = Identity()
    """People and groups."""
    nodes: dict[Identifier, NodeClass] = Field(default_factory=dict)
    """Classes of machines of a cluster; one machine alone ignores them."""
    accelerators: dict[Identifier, Accelerator] = Field(default_factory=dict)
    """The catalogue of devices."""
    images: Annotated[dict[Identifier, Image], Field(min_length=1)]
    """Environments with a kernel."""
    projects: dict[Identifier, Project] = Field(default_factory=dict)
    """Who pays and who is entitled."""
    profiles: Annotated[dict[Identifier, Profile], Field(min_length=1)]
    """What people pick."""
    storage: Storage = Storage()
    """Homes."""
    accounting: Accounting = Accounting()
    """What cores and memory cost."""
    limits: Limits = Limits()
    """Caps and time limits."""
    kubernetes: Kubernetes | None = None
    """The cluster; absent: one machine."""

    @property
    def stop_grace(self) -> timedelta:
        """Time between the polite and the hard end of a session, as it is where sessions run."""
        return self.limits.stop_grace if self.kubernetes is None else self.kubernetes.sessions.stop_grace
