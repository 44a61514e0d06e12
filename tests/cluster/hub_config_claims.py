"""The tests' hub on a cluster, with an authenticator that keeps what an identity provider says of people.

It keeps it as JupyterHub's OAuthenticator does, which charts are given.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821
load_subconfig(str(Path(__file__).with_name("hub_config.py")))  # type: ignore[name-defined]  # noqa: F821
SAID: dict[str, Any] = json.loads(os.environ["AIINFN_TEST_CLAIMS"])


class Provider(c.JupyterHub.authenticator_class):  # type: ignore[misc]
    """Each person's claims are in the encrypted state of the login."""

    enable_auth_state = True

    def _model(self, name: str) -> dict[str, Any]:
        state = {"access_token": "never-shown", "scope": ["openid"], "oauth_user": {"sub": name, **SAID.get(name, {})}}
        return {**super()._model(name), "auth_state": state}


c.JupyterHub.authenticator_class = Provider
