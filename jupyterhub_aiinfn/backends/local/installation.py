"""One installation on one machine, as the supervisor describes it to hub, service and jobs through the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jupyterhub_aiinfn.errors import StateError

from .state import StateFolder


def default_cache() -> Path:
    """Where environments and the proxy are built when nobody says otherwise (``XDG_CACHE_HOME`` is honoured)."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "jupyterhub-aiinfn"


@dataclass(frozen=True)
class Installation:
    """Folders, addresses and ports of one installation.

    Nothing in it is secret: secrets are files of the state folder.
    """

    state: StateFolder
    values_file: Path
    cache: Path
    public_url: str
    """Where people go, without a final slash: ``http://127.0.0.1:8000``."""
    hub_port: int
    proxy_api_port: int
    service_port: int
    lab_prefix: Path
    """Prefix of the environment in which JupyterLab and our extension live."""

    def environment(self) -> dict[str, str]:
        """The variables from which :meth:`from_environment` makes the same object in another process."""
        return {
            "AIINFN_STATE": str(self.state.root),
            "AIINFN_VALUES": str(self.values_file),
            "AIINFN_CACHE": str(self.cache),
            "AIINFN_PUBLIC_URL": self.public_url,
            "AIINFN_HUB_PORT": str(self.hub_port),
            "AIINFN_PROXY_API_PORT": str(self.proxy_api_port),
            "AIINFN_SERVICE_PORT": str(self.service_port),
            "AIINFN_LAB_PREFIX": str(self.lab_prefix),
        }

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] | None = None) -> Installation:
        """The installation that the supervisor described; :class:`StateError` names what is missing."""
        found = os.environ if variables is None else variables
        try:
            return cls(
                state=StateFolder(Path(found["AIINFN_STATE"])),
                values_file=Path(found["AIINFN_VALUES"]),
                cache=Path(found["AIINFN_CACHE"]),
                public_url=found["AIINFN_PUBLIC_URL"].rstrip("/"),
                hub_port=int(found["AIINFN_HUB_PORT"]),
                proxy_api_port=int(found["AIINFN_PROXY_API_PORT"]),
                service_port=int(found["AIINFN_SERVICE_PORT"]),
                lab_prefix=Path(found.get("AIINFN_LAB_PREFIX") or sys.prefix),
            )
        except KeyError as error:
            raise StateError(f"the variable {error.args[0]} is not set; start this process with `aiinfn up`") from error

    @property
    def hub_api_url(self) -> str:
        """Base of the hub's REST API on loopback, without a final slash."""
        return f"http://127.0.0.1:{self.hub_port}/hub/api"

    @property
    def service_url(self) -> str:
        """Base of the platform service on loopback, without a final slash; its prefix is ``/services/aiinfn``."""
        return f"http://127.0.0.1:{self.service_port}"


def data_folder() -> Path:
    """Where ``images/`` and ``config/`` of this program are: the checkout, else ``share/`` of the environment."""
    checkout = Path(__file__).resolve().parents[3]
    if (checkout / "pyproject.toml").is_file() and (checkout / "images").is_dir():
        return checkout
    return Path(sys.prefix) / "share" / "jupyterhub-aiinfn"
