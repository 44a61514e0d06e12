"""Sessions that run or start, how long each may stay, and what it says about itself."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from jupyterhub_aiinfn.model.limits import StopCause

from .base import Message, Moment
from .workloads import Workload


class Sessions(Message):
    """The sessions that whoever asks may see, oldest first."""

    taken_at: datetime
    """When this was true."""
    sessions: tuple[Workload, ...] = ()


class EndWarning(Message):
    """What a person must be told now: the session ends soon, and why."""

    cause: StopCause
    ends_at: datetime
    message: str
    """A sentence; it says that variables in memory are lost and what can be done."""


class ActivityReport(Message):
    """What a session says about itself. It may only shorten its stay or bring a warning, never lengthen anything."""

    running_cells: int = Field(ge=0, le=10_000)
    """Kernels that execute something now."""
    cpu_cores: float = Field(ge=0, le=100_000, allow_inf_nan=False)
    """Mean cores used by the session's processes since the last report."""
    network_bytes_per_second: float = Field(ge=0, le=1e15, allow_inf_nan=False)
    """Mean bytes received and sent by the session's processes since the last report; 0 when not known."""
    open_tabs: int = Field(default=0, ge=0, le=10_000)
    """Browser tabs that follow the session's events; an open tab is no work."""


class SessionLimits(Message):
    """How long one session may stay, as the platform decides it."""

    workload: Workload
    ends_at: datetime | None = None
    """When its longest life is over, extensions included."""
    idle_after_seconds: int | None = None
    """The profile's idle limit; None when it has none."""
    idle_since: datetime | None = None
    """Since when nothing works in it; None when something does, or nothing is known."""
    activity: str = "unknown"
    """``active``, ``idle`` or ``unknown`` (nothing measured from outside for five minutes, and no report)."""
    warning: EndWarning | None = None
    """What the person is to be told now; None when there is nothing."""
    warn_seconds: int = 0
    """How long before an end the warning comes."""
    extend_seconds: int = 0
    """By how much one extension lengthens the longest life; 0 when the profile allows none."""
    extensions_left: int = 0
    extend_refusal: str = ""
    """A sentence: why it cannot be extended now; empty when it can."""
    keep_until: datetime | None = None
    """Until when the person asked not to be ended for being idle."""
    keep_until_latest: datetime | None = None
    """The latest moment that may be asked for; None when the profile allows none."""
    announcements: tuple[Announcement, ...] = ()
    """What administrators say to whoever uses this profile, newest first."""
    next_report_seconds: int = 30
    """In how many seconds the session should report again."""


class KeepUntil(Message):
    """A person asks that the session is not ended for being idle until then (at most to its longest life)."""

    until: Moment | None
    """None takes the wish back."""


class StopRequest(Message):
    """An administrator ends a session: what the person reads, and how long before."""

    message: str = Field(min_length=1, max_length=500)
    notice_seconds: int = Field(default=300, ge=0, le=86_400)


class Announcement(Message):
    """What administrators say to everybody or to the users of one profile."""

    id: int
    message: str
    profile: str | None = None
    """Key of ``profiles``; None: to everybody."""
    author: str
    created_at: datetime
    until: datetime | None = None
    """When it disappears by itself; None: when it is taken back."""


class NewAnnouncement(Message):
    """What an administrator wants to say."""

    message: str = Field(min_length=1, max_length=500)
    profile: str | None = None
    until: Moment | None = None


class Announcements(Message):
    """Announcements in force, newest first."""

    announcements: tuple[Announcement, ...] = ()


SessionLimits.model_rebuild()
