"""No literal secret in anything that is read by more than its pod: who may read a pod also reads its environment."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jupyterhub_aiinfn.errors import BackendError

SHORTEST = 4
"""Characters below which a value is no secret: it would be found everywhere (arbitrary)."""


def require_no_secret(manifest: Mapping[str, Any], secrets: Iterable[str]) -> None:
    """Raise :class:`BackendError`, which does not repeat the secret, when one of them is anywhere in the manifest."""
    found = literal_secrets(manifest, secrets)
    if found:
        raise BackendError(
            f"a secret stands in {found[0]} of the {manifest.get('kind', 'object')} that was to be made, so it was not "
            "made; report this as an error of the platform"
        )


def literal_secrets(manifest: Mapping[str, Any], secrets: Iterable[str]) -> list[str]:
    """The paths of a whole manifest that hold one of the secrets, as it is or in base64; in a Secret it belongs."""
    if manifest.get("kind") == "Secret":
        return []
    wanted = [form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)]
    return ["…" if _holds(path, wanted) else path for path, text in _texts(manifest, "") if _holds(text, wanted)]


def _holds(text: str, wanted: Iterable[str]) -> bool:
    return any(form in text for form in wanted)


def _forms(secret: str) -> tuple[str, ...]:
    return secret, base64.b64encode(secret.encode("utf-8", "surrogatepass")).decode()


def _texts(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Every text of a manifest with its path, keys included."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            below = f"{path}.{key}".lstrip(".")
            yield below, str(key)
            yield from _texts(inner, below)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{path}[{index}]")
    elif value is not None:
        yield path, str(value)
