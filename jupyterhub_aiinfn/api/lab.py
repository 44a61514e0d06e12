"""What the user's own server says to JupyterLab; TypeScript types are generated from these and from the service's."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from .base import Message
from .profiles import ProfileOffers
from .sessions import KeepUntil, SessionLimits
from .storage import StorageUse


class SessionDescription(Message):
    """What a person may read about their session, as the hub described it; nothing in it is secret."""

    under_platform: bool
    """False where Jupyter was started by hand: then all the rest is None or False."""
    workload: str | None = None
    """The session's identifier at the platform service."""
    profile: str | None = None
    profile_name: str | None = None
    project: str | None = None
    project_name: str | None = None
    image: str | None = None
    image_name: str | None = None
    size: str | None = None
    cores: float | None = None
    """Cores that the session may use."""
    memory_gib: float | None = None
    """Memory that the session may use, in GiB."""
    accelerator: str | None = None
    accelerator_count: int | None = None
    emulated: bool = False
    """True when no real device stands behind ``accelerator``."""
    started_at: str | None = None
    """ISO 8601 with the offset, as the hub wrote it."""
    ends_at: str | None = None
    """The latest end by the profile's longest life, without extensions; ISO 8601."""
    support: str | None = None
    """Where people ask for help: an e-mail address or a link."""


class MemoryMethod(StrEnum):
    """How the memory in use was found out."""

    cgroup = "cgroup"
    """The kernel's own count for the session, without files that it can drop."""
    private = "private"
    """The sum of what each process holds alone: shared libraries and files count for nobody."""


class GpuUse(Message):
    """One graphics card of the session."""

    name: str
    busy_percent: int | None = None
    """Share of the last moments in which it computed."""
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None


class LiveFigures(Message):
    """What the session's processes use now; None for what this machine does not tell."""

    measured_at: datetime
    cores_used: float | None = None
    """Mean cores since the measurement before."""
    memory_bytes: int | None = None
    memory_method: MemoryMethod = MemoryMethod.private
    processes: int = 0
    running_kernels: int = 0
    """Kernels that execute something now."""
    gpus: tuple[GpuUse, ...] = ()
    """Empty when the session holds no real graphics card, or its driver does not answer."""


class LabSession(Message):
    """Everything that the session panel shows; also the body of the event that says that it changed."""

    description: SessionDescription
    now: datetime
    """The server's clock, for countdowns in browsers whose clock is wrong."""
    limits: SessionLimits | None = None
    """As the service said last; None until it has answered once."""
    home: StorageUse | None = None
    live: LiveFigures | None = None
    """None while nobody looks at the panel."""
    service_problem: str = ""
    """A sentence when the platform service could not be asked; the rest is then what was known before."""


class Watching(Message):
    """A tab begins, goes on or ends to look at live figures."""

    tab: str = Field(min_length=1, max_length=64)
    watching: bool


EXPORTED: tuple[type[Message], ...] = (LabSession, Watching, ProfileOffers, KeepUntil)
"""What travels between the user's own server and JupyterLab, for the generated TypeScript."""
