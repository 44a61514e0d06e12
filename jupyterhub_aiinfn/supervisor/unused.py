"""An installation whose processes do not run."""

from __future__ import annotations

from pathlib import Path

from jupyterhub_aiinfn.backends.local.installation import Installation, default_cache
from jupyterhub_aiinfn.backends.local.state import StateFolder


def unused_installation(folder: StateFolder, values_file: Path) -> Installation:
    """Folders only, no ports."""
    return Installation(
        state=folder,
        values_file=values_file,
        cache=default_cache(),
        public_url="",
        hub_port=0,
        proxy_api_port=0,
        service_port=0,
        lab_prefix=Path(),
    )
