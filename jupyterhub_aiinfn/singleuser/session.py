"""What this session is, as the hub described it to the server through the environment."""

from __future__ import annotations

import math
from collections.abc import Mapping

from jupyterhub_aiinfn.api.lab import SessionDescription


def describe(variables: Mapping[str, str]) -> SessionDescription:
    """The session that ``AIINFN_*`` describe; only the known variables are read, so no token can leak."""
    profile = text(variables, "PROFILE")
    if profile is None:
        return SessionDescription(under_platform=False)
    project, image, accelerator = (text(variables, name) for name in ("PROJECT", "IMAGE", "ACCELERATOR"))
    return SessionDescription(
        under_platform=True,
        workload=text(variables, "WORKLOAD"),
        profile=profile,
        profile_name=text(variables, "PROFILE_NAME") or profile,
        project=project,
        project_name=text(variables, "PROJECT_NAME") or project,
        image=image,
        image_name=text(variables, "IMAGE_NAME") or image,
        size=text(variables, "SIZE"),
        cores=number(variables, "CORES"),
        memory_gib=number(variables, "MEMORY_GIB"),
        accelerator=accelerator,
        accelerator_count=count(variables) if accelerator else None,
        emulated=(text(variables, "EMULATED") or "").lower() in {"1", "true", "yes"},
        started_at=text(variables, "STARTED_AT"),
        ends_at=text(variables, "ENDS_AT"),
        support=text(variables, "SUPPORT"),
    )


def text(variables: Mapping[str, str], name: str) -> str | None:
    """The variable ``AIINFN_<name>`` without blanks around it; empty counts as absent."""
    return variables.get(f"AIINFN_{name}", "").strip() or None


def number(variables: Mapping[str, str], name: str) -> float | None:
    """A positive number, None for anything else."""
    try:
        found = float(text(variables, name) or "nan")
    except ValueError:
        return None
    return found if math.isfinite(found) and found > 0 else None


def count(variables: Mapping[str, str]) -> int:
    """How many accelerators the session holds: one where the hub said nothing or nonsense."""
    said = text(variables, "ACCELERATOR_COUNT") or ""
    return int(said) if said.isascii() and said.isdigit() else 1
