"""The file that ``jupyterhub -f`` loads on one machine: everything is in the agreed values and in the environment."""

from __future__ import annotations

import os
from typing import Any

from jupyterhub_aiinfn.backends.local.agreement import current_values
from jupyterhub_aiinfn.backends.local.installation import Installation
from jupyterhub_aiinfn.hub import configure

os.umask(0o077)
c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821  # JupyterHub puts it into the namespace
_installation = Installation.from_environment()
configure(c, current_values(_installation.state, _installation.values_file), _installation)
