"""How long a session may stay: what is due next, and what a person may change about it. Pure; moments are aware."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from jupyterhub_aiinfn.values.profiles import Profile

Clock = Callable[[datetime], str]
"""A moment as people read it."""


class StopCause(StrEnum):
    """Why the platform would end a session."""

    max_age = "max-age"
    """It reaches its longest life."""
    idle = "idle"
    """Nothing worked in it for as long as its profile allows."""
    administrator = "administrator"
    """An administrator ends it, with notice."""


class Step(StrEnum):
    """What is due for a session."""

    nothing = "nothing"
    warn = "warn"
    stop = "stop"


@dataclass(frozen=True)
class Policy:
    """The limits of one session, as its profile had them when it started. Seconds."""

    max_seconds: int
    warn_seconds: int = 900
    idle_after: int | None = None
    cpu_below: float = 0.05
    """Mean cores below which nothing works."""
    network_below: float = 20480
    """Mean bytes per second below which nothing works."""
    extend_by: int = 0
    extend_times: int = 0
    keep: int = 0
    """How far ahead *keep until* may reach; 0: not at all."""

    @classmethod
    def of(cls, profile: Profile) -> Policy:
        """The policy of a profile."""
        idle, extend = profile.idle, profile.extend
        given: dict[str, Any] = {"max_seconds": seconds(profile.max), "warn_seconds": seconds(profile.warn)}
        if idle is not None:
            given |= {"idle_after": seconds(idle.after), "cpu_below": idle.cpu_below}
            given |= {"network_below": idle.network_below}
        if extend is not None:
            given |= {"extend_by": seconds(extend.by), "extend_times": extend.times}
        return cls(**given, keep=seconds(profile.keep) if profile.keep else 0)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Policy:
        """What :meth:`as_json` made, also of another version: what is unknown is left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in data.items() if name in known})

    def as_json(self) -> dict[str, Any]:
        """For the database."""
        return asdict(self)

    def warning_time(self, cause: StopCause) -> timedelta:
        """How long before an end of that cause the warning comes: at most half of the limit."""
        limit = self.idle_after if cause is StopCause.idle else self.max_seconds
        return timedelta(seconds=min(self.warn_seconds, (limit or 0) // 2))

    def longest(self, extensions: int) -> int:
        """The longest life with so many extensions, in seconds."""
        return self.max_seconds + extensions * self.extend_by


@dataclass(frozen=True)
class Stay:
    """Where one session stands at one moment."""

    now: datetime
    ends_at: datetime | None = None
    """When its longest life is over."""
    idle_for: timedelta | None = None
    """None while something works in it, or nothing is known."""
    warned_at: datetime | None = None
    """When the warning for being idle was given; None: it was not."""
    keep_until: datetime | None = None
    stop_at: datetime | None = None
    """When an administrator ends it."""
    extensions: int = 0


@dataclass(frozen=True)
class End:
    """An end that is coming."""

    cause: StopCause
    at: datetime


def ends(policy: Policy, stay: Stay) -> list[End]:
    """All ends that are coming as things stand, the first one first."""
    found = [End(StopCause.max_age, stay.ends_at)] if stay.ends_at is not None else []
    if stay.stop_at is not None:
        found.append(End(StopCause.administrator, stay.stop_at))
    if (idle := idle_end(policy, stay)) is not None:
        found.append(End(StopCause.idle, idle))
    return sorted(found, key=lambda end: end.at)


def idle_end(policy: Policy, stay: Stay) -> datetime | None:
    """When the session ends for being idle: never before its warning has lasted, and never before *keep until*."""
    if policy.idle_after is None or stay.idle_for is None:
        return None
    due = stay.now - stay.idle_for + timedelta(seconds=policy.idle_after)
    warned = (stay.warned_at or stay.now) + policy.warning_time(StopCause.idle)
    return max(due, warned, stay.keep_until or due)


def next_step(policy: Policy, stay: Stay, patience: timedelta = timedelta(0)) -> tuple[Step, End | None]:
    """What is due now and for which end. At its longest life the backend itself ends a session and has ``patience``."""
    coming = ends(policy, stay)
    for end in coming:
        if stay.now >= end.at + (patience if end.cause is StopCause.max_age else timedelta(0)):
            return Step.stop, end
    for end in coming:
        if end.cause is StopCause.administrator or stay.now >= end.at - policy.warning_time(end.cause):
            return Step.warn, end
    return Step.nothing, coming[0] if coming else None


def extension_refusal(policy: Policy, stay: Stay, clock: Clock) -> str:
    """Why the session cannot be extended now, in a sentence; empty when it can."""
    if not policy.extend_times:
        return "sessions of this profile cannot be extended; save your work and start another one"
    if stay.extensions >= policy.extend_times:
        times = f"{policy.extend_times} time{'' if policy.extend_times == 1 else 's'}"
        return f"this session was extended {times} already, which is all that its profile allows; save your work"
    if stay.stop_at is not None:
        return f"an administrator ends this session at {clock(stay.stop_at)}; save your work"
    if stay.ends_at is None or stay.ends_at <= stay.now:
        return "this session is ending already; start another one"
    return ""


def keep_latest(policy: Policy, stay: Stay) -> datetime | None:
    """The latest moment until which a person may ask to be kept; None when not at all."""
    if not policy.keep or policy.idle_after is None:
        return None
    latest = stay.now + timedelta(seconds=policy.keep)
    return min(latest, stay.ends_at) if stay.ends_at is not None else latest


def keep_refusal(policy: Policy, stay: Stay, until: datetime, clock: Clock) -> str:
    """Why a session is not kept until then, in a sentence; empty when it is."""
    if policy.idle_after is None:
        return "sessions of this profile are not stopped for being idle, so there is nothing to keep"
    latest = keep_latest(policy, stay)
    if latest is None:
        return "this profile does not let people keep an idle session; a session in which something works stays"
    if until <= stay.now:
        return f"{clock(until)} is over; choose a time until {clock(latest)}"
    # A minute of grace: the page says HH:MM, and time passes while a person types.
    if until > latest + timedelta(minutes=1):
        return f"this session can be kept until {clock(latest)} at the latest, not until {clock(until)}"
    return ""


def warning_sentence(policy: Policy, stay: Stay, end: End, message: str, clock: Clock) -> str:
    """What a person reads before that end; ``message`` is the administrator's own."""
    lost = "variables in memory will be lost, saved files stay"
    if end.cause is StopCause.administrator:
        return f"An administrator ends this session at {clock(end.at)}: {message} ({lost})"
    if end.cause is StopCause.max_age:
        remedy = "save your work" if extension_refusal(policy, stay, clock) else "save your work, or extend it"
        return f"This session reaches its longest life at {clock(end.at)}: {lost}; {remedy}."
    remedy = "run something, or keep it until later" if policy.keep else "run something to keep it"
    idle = f"Nothing has worked in this session for {lasting(stay.idle_for or timedelta(0))}"
    return f"{idle}, so it ends at {clock(end.at)}: {lost}; {remedy}. A cell that only waits does not count as work."


def end_sentence(policy: Policy, end: End, message: str) -> str:
    """Why it ended, as the home page says it after *Your last session ended on …*."""
    if end.cause is StopCause.administrator:
        return f"an administrator ended it: {message}; your files are in your home"
    if end.cause is StopCause.max_age:
        return "it reached its longest life; your files are in your home"
    return f"nothing ran in it for {lasting(timedelta(seconds=policy.idle_after or 0))}; your files are in your home"


def lasting(time: timedelta) -> str:
    """``2 hours``, ``90 minutes``, ``45 seconds``: the largest unit that divides it, minutes where none does."""
    total = seconds(time)
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if total >= size and total % size == 0:
            return counted(total // size, unit)
    return counted(total // 60, "minute") if total >= 120 else counted(total, "second")


def counted(count: int, unit: str) -> str:
    """``1 hour``, ``2 hours``."""
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def seconds(time: timedelta) -> int:
    """Whole seconds."""
    return int(time.total_seconds())
