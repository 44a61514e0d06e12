"""What the service is told when it starts: addresses, secrets and intervals."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyterhub_aiinfn.backends.local.installation import Installation

if TYPE_CHECKING:
    from jupyterhub_aiinfn.backends.kubernetes.deployment import Deployment

PREFIX = "/services/aiinfn"
"""Path of the service behind the proxy; the hub's service is named ``aiinfn``."""
API = f"{PREFIX}/api/v1"
HUB = "/hub"
"""Path of the hub behind the proxy."""
SERVICE = "aiinfn"
"""Name of the service at the hub; its OAuth client is ``service-aiinfn``."""


@dataclass(frozen=True)
class Settings:
    """Addresses, secrets (never shown) and intervals in seconds."""

    public_url: str
    hub_api_url: str
    database: Path
    service_token: str = field(repr=False)
    """Token of the service at the hub; also its OAuth client secret."""
    internal_token: str = field(repr=False)
    """With it the hub reads availability and the supervisor metrics."""
    ticket_key: str = field(repr=False)
    session_key: str = field(repr=False)
    """From it the keys are derived under which tokens of people are kept."""
    values_token: str = field(repr=False, default="")
    """With it `aiinfn values apply` has other values prepared; empty: nobody can."""
    facts_token: str = field(repr=False, default="")
    """With it the hub delivers its record of sessions; empty: nobody can."""
    identity_fresh: float = 60.0
    """How long the hub's answer about a token is taken for reads without asking again."""
    identity_stale: float = 300.0
    """The same while the hub does not answer."""
    session_check: float = 30.0
    """How long after the hub's answer a browser's session is checked again: a logout at the hub ends it by then."""
    session_lifetime: float = 12 * 3600.0
    """After it a browser passes by the hub again."""
    heartbeat: float = 10.0
    """A new snapshot of availability at least this often."""
    look_every: float = 15.0
    """How often sessions are measured, and ended when their time is over."""
    lost_after: float = 120.0
    """How long a workload may be missing, without a word of the hub about its end, until that is inferred."""
    hub_timeout: float = 5.0
    """How long the hub may take to identify somebody."""
    start_retry: float = 5.0
    """How long to wait before a start is tried again when the hub was busy or away."""
    waiter_lifetime: float = 6 * 3600.0
    """After it a start that waits for an environment is given up."""
    streams_per_caller: int = 8
    """Open streams of one person; the hub itself may have as many."""
    max_body: int = 1024 * 1024
    """Longest accepted body of a request, bytes."""

    @property
    def secure(self) -> bool:
        """Whether cookies may travel over HTTPS only."""
        return self.public_url.startswith("https:")

    @classmethod
    def from_installation(cls, installation: Installation, **changes: Any) -> Settings:
        """The settings of an installation on one machine; secrets are read from the state folder."""
        state = installation.state
        given: dict[str, Any] = {
            "public_url": installation.public_url,
            "hub_api_url": installation.hub_api_url,
            "database": state.service / "service.sqlite",
            "service_token": state.secret("service-token"),
            "internal_token": state.secret("internal-token"),
            "ticket_key": state.secret("ticket-key"),
            "session_key": state.secret("session-key"),
            "values_token": state.secret("values-token"),
            "facts_token": state.secret("facts-token"),
        }
        return cls(**(given | changes))

    @classmethod
    def from_deployment(cls, deployment: Deployment, public_url: str, **changes: Any) -> Settings:
        """The settings of the service of a cluster; secrets follow from the one that it shares with the hub.

        Nobody applies values there by himself, so no token opens that.
        """
        given: dict[str, Any] = {
            "public_url": public_url,
            "hub_api_url": deployment.hub_api_url,
            "database": deployment.state.service / "service.sqlite",
            "service_token": deployment.token,
            "internal_token": deployment.secret("internal-token"),
            "ticket_key": deployment.secret("ticket-key"),
            "session_key": deployment.secret("session-key"),
            "facts_token": deployment.secret("facts-token"),
        }
        return cls(**(given | changes))
