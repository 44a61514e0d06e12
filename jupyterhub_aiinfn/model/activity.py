"""Whether anything works in a session, from counters that are read outside it. Seconds are of one monotonic clock.

What a session says about itself is no part of this: a claim can neither be checked nor may it lengthen a stay. Where
nothing can be measured from outside, an honest report of idleness is believed, because it can only shorten the stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .limits import Policy

LONGEST_GAP = 300.0
"""Seconds between two looks after which nothing is known of the time between them: the idle clock begins again."""
LONGEST_MEAN = 300.0
"""Seconds over which a mean is taken at most (arbitrary): a cell of 15 s counts, the hiccup of a poller does not."""
MEANS = 4
"""Means that fit into a profile's idle time at least (arbitrary)."""
FRESH = 300.0
"""Seconds after which a report counts no more."""


@dataclass(frozen=True)
class Counters:
    """What a session had used at one moment."""

    at: float
    cpu_seconds: float
    network_bytes: int | None
    """Received and sent; None where that cannot be told."""


@dataclass(frozen=True)
class Interval:
    """What it used between two looks."""

    seconds: float
    cores: float
    network: float
    """Bytes per second; 0 where that cannot be told."""


@dataclass(frozen=True)
class Course:
    """What was seen of one session until its last look."""

    last: Counters
    idle_from: float
    """When something worked in it for the last time, as far as that was seen."""
    recent: tuple[Interval, ...] = ()
    """Newest last, as long together as a mean needs."""
    active: bool = False


@dataclass(frozen=True)
class Claim:
    """What a session says about itself."""

    at: float
    running_cells: int
    cores: float
    network: float


def begin(counters: Counters) -> Course:
    """The first look: nothing is known of before, so the idle clock begins now."""
    return Course(counters, counters.at)


def observe(course: Course | None, counters: Counters, policy: Policy) -> Course:
    """The course after another look. A counter that falls (a process went, with what it had used) counts as nothing."""
    if course is None or counters.at - course.last.at > LONGEST_GAP:
        return begin(counters)
    if counters.at <= course.last.at:
        return course
    seconds = counters.at - course.last.at
    newest = Interval(
        seconds, max(0.0, counters.cpu_seconds - course.last.cpu_seconds) / seconds, traffic(course.last, counters)
    )
    recent = shortened((*course.recent, newest), mean_seconds(policy))
    active = works(recent, policy)
    idle_from = last_work(recent, counters.at, policy) if active else course.idle_from
    return Course(counters, max(idle_from, course.idle_from), recent, active)


def resume(course: Course, counters: Counters, policy: Policy) -> Course:
    """Go on after a restart of whoever looks: when the counters cannot be compared, the idle clock begins again."""
    before, after = course.last.network_bytes, counters.network_bytes
    fell = counters.cpu_seconds < course.last.cpu_seconds or (before or 0) > (after or 0)
    if fell or (before is None) != (after is None) or counters.at < course.last.at:
        return begin(counters)
    return observe(course, counters, policy)


def believe(idle_from: float | None, claim: Claim | None, now: float, policy: Policy) -> float | None:
    """Since when a session is idle that cannot be measured: as long as its fresh reports say so themselves.

    None while they say otherwise, or nothing: unknown is neither work nor idleness.
    """
    if claim is None or now - claim.at > FRESH or claim.running_cells:
        return None
    if claim.cores >= policy.cpu_below or claim.network >= policy.network_below:
        return None
    return claim.at if idle_from is None else idle_from


def traffic(before: Counters, after: Counters) -> float:
    """Bytes per second between two looks."""
    if before.network_bytes is None or after.network_bytes is None:
        return 0.0
    return max(0, after.network_bytes - before.network_bytes) / (after.at - before.at)


def mean_seconds(policy: Policy) -> float:
    """Over how long a mean is taken."""
    return min(LONGEST_MEAN, (policy.idle_after or LONGEST_MEAN * MEANS) / MEANS)


def shortened(intervals: Sequence[Interval], seconds: float) -> tuple[Interval, ...]:
    """The newest intervals that together last ``seconds``, or all of them."""
    kept: list[Interval] = []
    total = 0.0
    for interval in reversed(intervals):
        if total >= seconds:
            break
        kept.insert(0, interval)
        total += interval.seconds
    return tuple(kept)


def works(intervals: Sequence[Interval], policy: Policy) -> bool:
    """Whether the mean over the intervals reaches one of the profile's thresholds."""
    total = sum(interval.seconds for interval in intervals)
    cores = sum(interval.cores * interval.seconds for interval in intervals) / total
    network = sum(interval.network * interval.seconds for interval in intervals) / total
    return cores >= policy.cpu_below or network >= policy.network_below


def last_work(intervals: Sequence[Interval], now: float, policy: Policy) -> float:
    """The end of the newest interval that itself reaches a threshold (one does when the mean does)."""
    end = now
    for interval in reversed(intervals):
        if works((interval,), policy):
            return end
        end -= interval.seconds
    return now
