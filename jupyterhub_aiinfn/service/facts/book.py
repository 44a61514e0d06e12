"""Facts in the database: only added, each once, by what they are about, their kind and who says so.

Hub and service each write what they saw, so that a workload may have two openings and two ends. What counts is derived:
of its ends the first that somebody saw, and when nobody saw any the earliest that was inferred.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session, aliased

from jupyterhub_aiinfn.api.facts import Fact, FactKind
from jupyterhub_aiinfn.api.workloads import EndReason, Phase, Workload
from jupyterhub_aiinfn.service.database import Database
from jupyterhub_aiinfn.service.database.tables import FactRow, StayRow

HUB, SERVICE = "hub", "service"
"""Who says so."""
AT_ONCE = 500
"""Rows that one statement looks for; databases bound the number of parameters."""
LOST = "it vanished while neither the hub nor the service watched"


@dataclass(frozen=True)
class Entry:
    """A fact as it is written."""

    subject: str
    kind: FactKind
    at: datetime
    work: Workload | None = None
    dropped: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """What it is unique by, with its source."""
        return self.subject, self.kind.value


class Book:
    """The facts of one installation."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open: set[str] | None = None

    async def take(self, facts: Sequence[Fact]) -> int:
        """Write the hub's facts down, all or none; the greatest of their numbers."""
        await self._add([Entry(one.subject, one.kind, one.at, one.workload, one.dropped) for one in facts], HUB)
        return max(one.number for one in facts)

    async def note(self, works: Iterable[Workload]) -> None:
        """Write down what the service's watch saw: that a workload is there, and that it has ended."""
        await self._add([entry for work in works for entry in entries_of(work)], SERVICE)

    async def open(self) -> frozenset[str]:
        """The workloads of which no end is known."""
        if self._open is None:
            found = await self._database.run(open_subjects)
            self._open = found if self._open is None else self._open
        return frozenset(self._open)

    async def close_lost(self, subjects: Iterable[str]) -> None:
        """Workloads that are gone and whose end nobody told: inferred, at the last moment at which they were seen."""
        for subject in subjects:
            lost = await self._database.run(partial(lost_entry, subject=subject))
            if lost is not None:
                await self._add([lost], SERVICE)

    async def _add(self, entries: Sequence[Entry], source: str) -> None:
        if not entries:
            return
        await self.open()
        await self._database.run(lambda session: add(session, entries, source))
        assert self._open is not None
        ended = await self._database.run(lambda session: closed(session, {one.subject for one in entries}))
        self._open |= {one.subject for one in entries if one.kind is FactKind.opened}
        self._open -= ended


def entries_of(work: Workload) -> list[Entry]:
    """The facts of a workload as it is seen now."""
    opened = Entry(work.id, FactKind.opened, work.created_at, work)
    if work.phase is not Phase.ended or work.ended_at is None:
        return [opened]
    return [opened, Entry(work.id, FactKind.closed, work.ended_at, work)]


def add(session: Session, entries: Sequence[Entry], source: str) -> None:
    """Add those that are not there; of two with the same key the first counts."""
    known = keys(session, {one.subject for one in entries}, source)
    for one in entries:
        if one.key not in known:
            known.add(one.key)
            session.add(row_of(one, source))


def row_of(entry: Entry, source: str) -> FactRow:
    """The row of a fact."""
    data: dict[str, Any] = entry.work.model_dump(mode="json", exclude_defaults=True) if entry.work else {}
    return FactRow(
        subject=entry.subject,
        kind=entry.kind.value,
        source=source,
        at=int(entry.at.timestamp()),
        inferred=entry.work is not None and entry.work.inferred,
        dropped=entry.dropped,
        workload=data,
        taken_at=int(time.time()),
    )


def keys(session: Session, subjects: set[str], source: str) -> set[tuple[str, str]]:
    """What this source has said of these."""
    found: set[tuple[str, str]] = set()
    for some in portions(subjects):
        statement = select(FactRow.subject, FactRow.kind).where(FactRow.subject.in_(some), FactRow.source == source)
        found |= {(subject, kind) for subject, kind in session.execute(statement)}
    return found


def closed(session: Session, subjects: set[str]) -> set[str]:
    """Those of which somebody has told the end."""
    found: set[str] = set()
    for some in portions(subjects):
        ends = FactRow.subject.in_(some), FactRow.kind == FactKind.closed.value
        found |= set(session.scalars(select(FactRow.subject).where(*ends)))
    return found


def portions(subjects: set[str]) -> Iterable[list[str]]:
    """As many at a time as a statement takes."""
    ordered = sorted(subjects)
    return (ordered[begin : begin + AT_ONCE] for begin in range(0, len(ordered), AT_ONCE))


def open_subjects(session: Session) -> set[str]:
    """Workloads that were opened and of which nobody has told the end."""
    end = aliased(FactRow)
    has_end = exists().where(end.subject == FactRow.subject, end.kind == FactKind.closed.value)
    statement = select(FactRow.subject).where(FactRow.kind == FactKind.opened.value, ~has_end)
    return set(session.scalars(statement))


def lost_entry(session: Session, subject: str) -> Entry | None:
    """The inferred end of a workload: when it lived for the last time, as far as anybody wrote down."""
    opening = select(FactRow).where(FactRow.subject == subject, FactRow.kind == FactKind.opened.value)
    row = session.scalars(opening.order_by(FactRow.id)).first()
    if row is None:
        return None
    work = Workload.model_validate(row.workload)
    seen = session.scalar(select(StayRow.seen_at).where(StayRow.workload == subject))
    at = datetime.fromtimestamp(max(row.at, seen or row.at), work.created_at.tzinfo)
    end = {"phase": Phase.ended, "ended_at": at, "reason": EndReason.lost, "message": LOST, "inferred": True}
    return Entry(subject, FactKind.closed, at, work.model_copy(update=end))
