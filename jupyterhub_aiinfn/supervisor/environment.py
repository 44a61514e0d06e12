"""The environment that supervised processes get: what a program needs to run here, and none of the caller's secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping

KEPT = frozenset(
    (
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LD_LIBRARY_PATH"),
        *("XDG_CACHE_HOME", "XDG_RUNTIME_DIR"),
        *("http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"),
    )
)
KEPT_PREFIXES = ("LC_", "PIP_", "UV_", "npm_config_", "NPM_CONFIG_")
"""Builds of environments are started by hub and service: they need to know where this machine's packages come from."""


def minimal_environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Those of ``variables`` (the caller's own by default) that are passed on."""
    found = os.environ if variables is None else variables
    return {key: value for key, value in found.items() if key in KEPT or key.startswith(KEPT_PREFIXES)}
