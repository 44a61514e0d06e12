"""What the database remembers of each session: its limits, what it was granted, and what was last seen of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from jupyterhub_aiinfn.api.workloads import Workload
from jupyterhub_aiinfn.errors import ServiceError
from jupyterhub_aiinfn.model.limits import Policy
from jupyterhub_aiinfn.service.acts import Act, add_act
from jupyterhub_aiinfn.service.database import Database
from jupyterhub_aiinfn.service.database.tables import StayRow
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.current import CurrentValues

KEPT = 86400
"""Seconds for which the row of a session that is gone stays (arbitrary): a backend that was blind may show it again."""


class Stays:
    """Rows by workload. Every change is one transaction."""

    def __init__(self, database: Database, current: CurrentValues, earlier: Callable[[str], Values | None]) -> None:
        """``earlier`` gives the values of a hash that sessions may have started with, None when they are gone."""
        self._database, self._current, self._earlier = database, current, earlier

    async def of(self, work: Workload) -> StayRow:
        """The row of a live session, made now when this is its first."""
        return (await self.of_all([work]))[work.id]

    async def of_all(self, works: Sequence[Workload]) -> dict[str, StayRow]:
        """The rows of live sessions."""
        return await self._database.run(lambda session: rows_of(session, works, self._policy))

    async def look(
        self, works: Sequence[Workload], courses: Mapping[str, Mapping[str, Any]], warned: Mapping[str, int | None]
    ) -> None:
        """Remember a look at all live sessions, and forget those that have been gone for long."""
        await self._database.run(lambda session: remember(session, [work.id for work in works], courses, warned))

    async def extend(self, work: Workload, refusal: Callable[[StayRow], str], act: Act | None) -> StayRow:
        """Count one extension, unless ``refusal`` gives a sentence (409); two at once are decided in turn.

        ``act`` is what to record of it when an administrator does it.
        """

        def change(session: Session) -> StayRow:
            row = rows_of(session, [work], self._policy)[work.id]
            refuse(refusal(row), "not-extended")
            row.extensions += 1
            record(session, act)
            return row

        return await self._database.run(change)

    async def take_back(self, work: Workload, act: Act | None) -> None:
        """An extension that the backend did not make is not counted; ``act`` is recorded of it."""
        mine = update(StayRow).where(StayRow.workload == work.id, StayRow.extensions > 0)

        def change(session: Session) -> None:
            session.execute(mine.values(extensions=StayRow.extensions - 1))
            record(session, act)

        await self._database.run(change)

    async def keep(
        self, work: Workload, until: datetime | None, refusal: Callable[[StayRow], str], act: Act | None
    ) -> StayRow:
        """Keep an idle session until then, unless ``refusal`` gives a sentence (409); ``act`` is recorded of it."""

        def change(session: Session) -> StayRow:
            row = rows_of(session, [work], self._policy)[work.id]
            refuse(refusal(row), "not-kept")
            row.keep_until = None if until is None else int(until.timestamp())
            record(session, act)
            return row

        return await self._database.run(change)

    async def stop_at(self, work: Workload, moment: int, message: str, act: Act) -> StayRow:
        """An administrator ends the session then, and that is recorded; a later word of theirs replaces it."""

        def change(session: Session) -> StayRow:
            row = rows_of(session, [work], self._policy)[work.id]
            row.stop_at, row.stop_message = moment, message
            add_act(session, act)
            return row

        return await self._database.run(change)

    def _policy(self, work: Workload) -> Policy:
        """The limits with which a session started: those of its profile, and its longest life as it was started."""
        profile = self._values(work).profiles.get(work.profile or "")
        policy = Policy.of(profile) if profile else Policy(0)
        if work.ends_at is None or work.started_at is None:
            return policy
        longest = round((work.ends_at - work.started_at).total_seconds())
        return Policy.from_json(policy.as_json() | {"max_seconds": longest})

    def _values(self, work: Workload) -> Values:
        """The values that a session started with, which may have been replaced since; else those that count now."""
        current = self._current.values
        if work.values_hash in (None, self._current.hash):
            return current
        return self._earlier(work.values_hash or "") or current


def record(session: Session, act: Act | None) -> None:
    """Record an act, if there is one, in the transaction of what was done."""
    if act is not None:
        add_act(session, act)


def rows_of(session: Session, works: Sequence[Workload], policy: Callable[[Workload], Policy]) -> dict[str, StayRow]:
    """The rows of live sessions; those that are missing are made."""
    found = session.scalars(select(StayRow).where(StayRow.workload.in_([work.id for work in works])))
    rows = {row.workload: row for row in found}
    for work in works:
        if work.id not in rows:
            rows[work.id] = new_row(work, policy(work))
            session.add(rows[work.id])
    return rows


def new_row(work: Workload, policy: Policy) -> StayRow:
    """A session that was never seen before."""
    return StayRow(
        workload=work.id,
        person=work.person or "",
        policy=policy.as_json(),
        extensions=0,
        stop_message="",
        course={},
        seen_at=int(time.time()),
    )


def remember(
    session: Session, ids: Sequence[str], courses: Mapping[str, Mapping[str, Any]], warned: Mapping[str, int | None]
) -> None:
    """Write what was seen."""
    now = int(time.time())
    for row in session.scalars(select(StayRow).where(StayRow.workload.in_(ids))):
        row.seen_at = now
        row.course = dict(courses.get(row.workload, {}))
        row.warned_at = warned.get(row.workload)
    session.execute(delete(StayRow).where(StayRow.seen_at < now - KEPT))


def refuse(sentence: str, reason: str) -> None:
    """409 with the sentence, when there is one."""
    if sentence:
        raise ServiceError(sentence, status=409, reason=reason)


def moment(seconds: int | None) -> datetime | None:
    """A time of the database."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
