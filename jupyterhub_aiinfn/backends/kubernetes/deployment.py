"""Where hub and platform service of a cluster find one another, and the secrets that both know.

One secret is shared: the service's token at the hub, which the JupyterHub chart makes and keeps. All others are derived
from it, so that hub and service agree on them without a further Secret, and they are the same after any restart.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.errors import StateError
from jupyterhub_aiinfn.values import Values

from .manifests import cluster_of
from .names import PREFIX

HUB_STATE = "/srv/jupyterhub/aiinfn"
"""On the volume that the chart gives its hub."""
HUB_PORT = 8081
"""Of the chart's Service ``hub``."""
SHORTEST = 32
"""Characters of a token that can be derived from; the chart makes 64."""


@dataclass(frozen=True)
class Deployment:
    """Addresses, the folder that outlives the pod, and the secrets of one process of a cluster."""

    state: StateFolder
    token: str = field(repr=False)
    """The service's token at the hub."""
    hub_url: str
    """Where the service reaches the hub, without a final slash."""
    service_url: str
    """Where hub, proxy and sessions reach the service, without a final slash and without its path."""

    @classmethod
    def of(cls, values: Values, token: str, variables: Mapping[str, str] | None = None) -> Deployment:
        """From the values and what the environment says otherwise; :class:`StateError` for an unusable token."""
        found = os.environ if variables is None else variables
        cluster = cluster_of(values)
        token = token.strip()
        if len(token) < SHORTEST or not token.isascii() or not token.isprintable():
            raise StateError(
                f"the token of the service {PREFIX} at the hub has fewer than {SHORTEST} plain characters; "
                "let the JupyterHub chart make hub.services.aiinfn.apiToken"
            )
        service = f"http://{PREFIX}-service.{cluster.namespace}:{cluster.network.service_port}"
        return cls(
            state=StateFolder(Path(found.get("AIINFN_STATE") or HUB_STATE)),
            token=token,
            hub_url=_address(found, "AIINFN_HUB_ADDRESS", f"http://hub.{cluster.namespace}:{HUB_PORT}"),
            service_url=_address(found, "AIINFN_SERVICE_ADDRESS", service),
        )

    def secret(self, name: str) -> str:
        """The secret of that name: 64 hexadecimal digits, from which the token cannot be found."""
        return hmac.new(self.token.encode(), f"aiinfn {name}".encode(), hashlib.sha256).hexdigest()

    @property
    def hub_api_url(self) -> str:
        """Base of the hub's REST API, without a final slash."""
        return f"{self.hub_url}/hub/api"


def token_of_file(variables: Mapping[str, str] | None = None) -> str:
    """The service's token, from the file that ``AIINFN_SERVICE_TOKEN_FILE`` names: a mounted Secret."""
    found = os.environ if variables is None else variables
    named = found.get("AIINFN_SERVICE_TOKEN_FILE")
    if not named:
        raise StateError(
            "the variable AIINFN_SERVICE_TOKEN_FILE is not set; name the file that holds hub.services.aiinfn.apiToken "
            "of the JupyterHub chart's Secret"
        )
    try:
        return Path(named).read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise StateError(f"{named} cannot be read: {why}; mount the JupyterHub chart's Secret there") from error


def _address(variables: Mapping[str, str], name: str, otherwise: str) -> str:
    given = (variables.get(name) or otherwise).rstrip("/")
    if not given.startswith(("http://", "https://")):
        raise StateError(f"the variable {name} must be an address such as {otherwise}, not {given[:100]!r}")
    return given
