"""What a decision is made from, and what it gives: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from jupyterhub_aiinfn.values.profiles import Size

from .launch_links import Launch


@dataclass(frozen=True)
class Person:
    """The person for whom a session is started (not the one who presses the button)."""

    name: str
    groups: frozenset[str] = frozenset()
    admin: bool = False


@dataclass(frozen=True)
class Held:
    """A session that runs, starts, or is reserved for a start."""

    person: str
    server_name: str
    project: str
    accelerator: str | None = None
    count: int = 0


@dataclass(frozen=True)
class DeviceCount:
    """Devices of one accelerator as the decision sees them."""

    total: int
    used: int
    emulated: bool = False
    reason: str = ""
    next_free_at: datetime | None = None


@dataclass(frozen=True)
class Situation:
    """The world at the moment of the decision.

    ``devices`` is None when no snapshot is known or the last one is too old: then availability is unknown,
    nothing is refused for it, and the backend has the last word.
    """

    now: datetime
    """Aware."""
    held: tuple[Held, ...] = ()
    """Everybody's sessions, those being started included."""
    devices: Mapping[str, DeviceCount] | None = None
    starting: int = 0
    """Sessions that are starting, the one in question not counted."""

    @property
    def today(self) -> date:
        """The day of the decision."""
        return self.now.date()


@dataclass(frozen=True)
class Choice:
    """What was asked for, after reading the options; every key is known to the values."""

    profile: str
    size: str
    project: str
    accelerator: str | None = None
    count: int = 0
    launch: Launch | None = None
    """Files to bring when the session opens."""

    def options(self) -> dict[str, str]:
        """The options that lead to this choice again: what the form posts and REST takes."""
        return self.remembered() | (self.launch.options() if self.launch else {})

    def remembered(self) -> dict[str, str]:
        """The options of the next start: files that a link brought belong to one start only."""
        out = {"profile": self.profile, "size": self.size, "project": self.project}
        if self.accelerator:
            out |= {"accelerator": self.accelerator, "count": str(self.count)}
        return out


@dataclass(frozen=True)
class Grant:
    """A decision in favour: everything that the spawner needs."""

    choice: Choice
    image: str
    size: Size
    max_seconds: int
    labels: Mapping[str, str] = field(default_factory=dict)
