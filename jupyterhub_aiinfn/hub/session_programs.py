"""Which programs a session finds by name, and where it gets Python packages from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
ADDRESSES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_PROXY")
"""Settings of pip that are addresses, several of them separated by blanks."""
OTHERS = ("PIP_TRUSTED_HOST", "PIP_CERT", "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES")
"""Settings of pip that hold nothing secret. ``PIP_CLIENT_CERT`` is not among them: it holds a key."""
PROXIES = ("HTTPS_PROXY", "https_proxy")


def search_path(kernels: Path, lab_prefix: Path) -> str:
    """``PATH`` of a session: the image's programs, then JupyterLab's (``aiinfn`` is there), then the system's.

    ``python`` and ``pip`` of a terminal are so those of the image's kernel, never those of JupyterLab.
    """
    return f"{kernels.parent.parent / 'bin'}:{lab_prefix / 'bin'}:{SYSTEM_PATH}"


def package_settings(variables: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """What a session is told about package indexes, and the names of the settings that it must not see.

    An address with a user name, a password or a query (a token) never reaches people; neither does a folder of the
    platform's machine, which a sandbox does not show.
    """
    proxy = next((variables[name] for name in PROXIES if variables.get(name)), "")
    found = {name: variables[name] for name in (*ADDRESSES, *OTHERS) if variables.get(name, "").strip()}
    if proxy:
        # pip alone: a general proxy variable would also catch the session's requests to hub and service
        found.setdefault("PIP_PROXY", proxy)
    refused = [name for name in ADDRESSES if name in found and not all(map(is_harmless, found[name].split()))]
    return {name: value for name, value in found.items() if name not in refused}, refused


def is_harmless(address: str) -> bool:
    """Whether everybody may read an address: of the web, without a user name, a password, a query or a fragment."""
    try:
        parts = urlsplit(address)
        named = parts.hostname is not None and parts.username is None and parts.password is None
    except ValueError:
        return False
    return named and parts.scheme in ("http", "https") and not parts.query and not parts.fragment
