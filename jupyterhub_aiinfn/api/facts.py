"""What the hub saw happen to sessions, as it keeps it and tells the platform service: a fact is never taken back."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

from pydantic import Field, field_validator

from .base import Message, Moment
from .workloads import Phase, Workload, WorkloadKind

MOST = 1000
"""Facts of one delivery."""
WORKLOAD = re.compile(r"w[0-9a-f]{20}")


class FactKind(StrEnum):
    """What happened."""

    opened = "opened"
    """A session's pod was made."""
    closed = "closed"
    """It has ended."""
    gap = "gap"
    """Older facts were dropped, because nobody took them for too long."""


class Fact(Message):
    """One line of the outbox. Whoever takes it in twice must count it once: workload and kind say whether it was."""

    number: int = Field(ge=1, lt=2**62)
    """Grows by one from fact to fact, over restarts too."""
    kind: FactKind
    at: Moment
    workload: Workload | None = None
    """As the hub knew it then; None for a gap."""
    dropped: int = Field(default=0, ge=0, lt=2**62)
    """How many facts a gap stands for."""

    @property
    def subject(self) -> str:
        """What it is about: a workload's id, or for a gap a name that it alone has."""
        return self.workload.id if self.workload is not None else f"gap-{self.number}-{self.at.timestamp():.6f}"


class Facts(Message):
    """A delivery: facts of the hub, in any order; those that were delivered before change nothing."""

    facts: tuple[Fact, ...] = Field(min_length=1, max_length=MOST)

    @field_validator("facts")
    @classmethod
    def _hold_together(cls, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        for fact in facts:
            for wrong in contradictions(fact):
                raise ValueError(f"fact {fact.number} {wrong}")
        return facts


class FactsTaken(Message):
    """All of a delivery is written down."""

    number: int
    """The greatest number of the delivery."""


def contradictions(fact: Fact) -> Iterator[str]:
    """What of a fact cannot be, in words."""
    work = fact.workload
    if fact.at.tzinfo is None:
        yield "has a time without a zone"
    if (work is None) != (fact.kind is FactKind.gap):
        yield f"is of kind {fact.kind.value}, which has {'no' if work else 'a'} workload"
    if work is None:
        if not fact.dropped:
            yield "stands for no dropped facts"
    else:
        yield from _of_workload(fact.kind, work)


def _of_workload(kind: FactKind, work: Workload) -> Iterator[str]:
    if not WORKLOAD.fullmatch(work.id):
        yield "is about something whose id is not one of a workload"
    if work.kind is not WorkloadKind.session:
        yield "is about a job; the hub speaks of sessions only"
    if kind is FactKind.closed and (work.phase is not Phase.ended or work.ended_at is None):
        yield "is an end without the moment of it"
    if not all(map(math.isfinite, (work.cores, work.memory_gib))):
        yield "has cores or memory without end"
    if not _is_text(work):
        yield "has characters that are none"
    if any(moment.tzinfo is None or not 2000 < moment.year < 2999 for moment in _moments(work)):
        yield "has a time that is without a zone or not of this millennium"


def _moments(work: Workload) -> list[datetime]:
    found = (work.created_at, work.started_at, work.ends_at, work.ended_at)
    return [moment for moment in found if moment is not None]


def _is_text(work: Workload) -> bool:
    """Whether everybody can write it down: halves of characters, which JSON may name, cannot be."""
    try:
        work.model_dump_json()
    except ValueError:
        return False
    return True
