"""What this session is, as the hub described it to the server through the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class SessionDescription:
    """What a person may read about their session; nothing in it is secret."""

    under_platform: bool
    """False where Jupyter was started by hand: then all the rest is None or False."""
    profile: str | None = None
    profile_name: str | None = None
    project: str | None = None
    project_name: str | None = None
    image: str | None = None
    size: str | None = None
    accelerator: str | None = None
    accelerator_count: int | None = None
    emulated: bool = False
    """True when no real device stands behind ``accelerator``."""
    started_at: str | None = None
    """ISO 8601 with the offset, as the hub wrote it."""
    ends_at: str | None = None
    """The latest end by the profile's longest life; ISO 8601."""

    def as_json(self) -> dict[str, object]:
        """The body of ``GET <base>/aiinfn/api/session``."""
        return asdict(self)


def describe(variables: Mapping[str, str]) -> SessionDescription:
    """The session that ``AIINFN_*`` describe; only the known variables are read, so no token can leak."""
    profile = text(variables, "PROFILE")
    if profile is None:
        return SessionDescription(under_platform=False)
    project, accelerator = text(variables, "PROJECT"), text(variables, "ACCELERATOR")
    return SessionDescription(
        under_platform=True,
        profile=profile,
        profile_name=text(variables, "PROFILE_NAME") or profile,
        project=project,
        project_name=text(variables, "PROJECT_NAME") or project,
        image=text(variables, "IMAGE"),
        size=text(variables, "SIZE"),
        accelerator=accelerator,
        accelerator_count=count(variables) if accelerator else None,
        emulated=(text(variables, "EMULATED") or "").lower() in {"1", "true", "yes"},
        started_at=text(variables, "STARTED_AT"),
        ends_at=text(variables, "ENDS_AT"),
    )


def text(variables: Mapping[str, str], name: str) -> str | None:
    """The variable ``AIINFN_<name>`` without blanks around it; empty counts as absent."""
    return variables.get(f"AIINFN_{name}", "").strip() or None


def count(variables: Mapping[str, str]) -> int:
    """How many accelerators the session holds: one where the hub said nothing or nonsense."""
    said = text(variables, "ACCELERATOR_COUNT") or ""
    return int(said) if said.isascii() and said.isdigit() else 1
