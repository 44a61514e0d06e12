"""The starts that wait for an environment, in the database: each is one ticket of the hub, and starts once."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import CursorResult, delete, func, select, update
from sqlalchemy.orm import Session

from jupyterhub_aiinfn.api.environments import StartState
from jupyterhub_aiinfn.errors import ServiceError
from jupyterhub_aiinfn.model.tickets import StartTicket
from jupyterhub_aiinfn.service.database import Database
from jupyterhub_aiinfn.service.database.tables import WaiterRow

PER_PERSON = 10
"""Starts that one person may be waiting for (arbitrary)."""
KEPT = 7 * 86400
"""Seconds for which a finished start is remembered, so that its ticket cannot be used again; tickets live shorter."""
WAITING, STARTING = StartState.waiting.value, StartState.starting.value


class Waiters:
    """Every change of state is one UPDATE with the state it expects, so that two cannot both make it."""

    def __init__(self, database: Database, lifetime: float) -> None:
        """``lifetime`` is how long a start waits, in seconds."""
        self._database, self._lifetime = database, int(lifetime)

    async def accept(self, ticket: StartTicket, job: str) -> WaiterRow:
        """The start of that ticket: made now, or the one that the ticket made before."""
        now = int(time.time())
        row = WaiterRow(
            id=secrets.token_hex(16),
            ticket=ticket.id,
            person=ticket.person,
            holder=ticket.bearer,
            server_name=ticket.server_name,
            options=dict(ticket.options),
            image=ticket.image,
            job=job,
            state=WAITING,
            message="",
            created_at=now,
            expires_at=now + self._lifetime,
        )
        return await self._database.run(lambda session: accept(session, row, now))

    async def by_ticket(self, ticket: str) -> WaiterRow | None:
        """The start that a ticket made."""
        return await self._database.run(
            lambda session: session.scalar(select(WaiterRow).where(WaiterRow.ticket == ticket))
        )

    async def of(self, person: str, waiter: str) -> WaiterRow:
        """One of the starts that the person asked for; 404 in words for others' and unknown ones alike."""
        row = await self._database.run(lambda session: session.get(WaiterRow, waiter))
        if row is None or row.holder != person:
            raise ServiceError(
                "you have no such start; start the session from the hub's page", status=404, reason="not-found"
            )
        return row

    async def waiting_of(self, person: str) -> Sequence[WaiterRow]:
        """What the person waits for, oldest first."""
        query = select(WaiterRow).where(WaiterRow.holder == person, WaiterRow.state.in_((WAITING, STARTING)))
        return await self._database.run(lambda session: session.scalars(query.order_by(WaiterRow.created_at)).all())

    async def open(self) -> Sequence[WaiterRow]:
        """Everything that waits or is being started, oldest first."""
        query = select(WaiterRow).where(WaiterRow.state.in_((WAITING, STARTING))).order_by(WaiterRow.created_at)
        return await self._database.run(lambda session: session.scalars(query).all())

    async def others(self, row: WaiterRow) -> int:
        """How many other starts wait for the same job."""
        return await self._database.run(lambda session: waiting_for(session, row.job, row.id))

    async def claim(self, waiter: str) -> bool:
        """Take a waiting start in order to start it: True for one caller only."""
        return await self._change(waiter, WAITING, state=STARTING, claimed_at=int(time.time()), message="")

    async def release(self, waiter: str, message: str) -> bool:
        """Give a claimed start back: it was not started, and may be later."""
        return await self._change(waiter, STARTING, state=WAITING, claimed_at=None, message=message)

    async def wait_for_job(self, waiter: str, job: str) -> bool:
        """Have a waiting start wait for another job."""
        return await self._change(waiter, WAITING, job=job)

    async def finish(self, waiter: str, before: StartState, state: StartState, message: str = "") -> bool:
        """End a start that is in ``before``."""
        return await self._change(
            waiter, before.value, state=state.value, message=message, finished_at=int(time.time())
        )

    async def cancel(self, row: WaiterRow) -> int | None:
        """Give up: how many others still wait for the job; None when it did not wait any more."""
        return await self._database.run(lambda session: cancel(session, row, int(time.time())))

    async def forget_old(self) -> None:
        """Drop what finished long ago."""
        old = delete(WaiterRow).where(WaiterRow.finished_at < int(time.time()) - KEPT)
        await self._database.run(lambda session: session.execute(old))

    async def _change(self, waiter: str, before: str, **values: Any) -> bool:
        return await self._database.run(lambda session: change(session, waiter, before, **values))


def accept(session: Session, row: WaiterRow, now: int) -> WaiterRow:
    """Insert ``row`` unless its ticket is known; 409 when the person waits for too much."""
    known = session.scalar(select(WaiterRow).where(WaiterRow.ticket == row.ticket))
    if known is not None:
        return known
    own = select(func.count()).where(WaiterRow.holder == row.holder, WaiterRow.state == WAITING)
    if (session.scalar(own) or 0) >= PER_PERSON:
        raise ServiceError(
            f"you wait for {PER_PERSON} sessions already; cancel one of them first",
            status=409,
            reason="too-many-starts",
        )
    session.add(row)
    return row


def change(session: Session, waiter: str, before: str, **values: Any) -> bool:
    """Change a row that is in state ``before``; whether it was."""
    statement = update(WaiterRow).where(WaiterRow.id == waiter, WaiterRow.state == before).values(**values)
    result = session.execute(statement)
    return isinstance(result, CursorResult) and result.rowcount == 1


def cancel(session: Session, row: WaiterRow, now: int) -> int | None:
    """Cancel and count the others in one transaction: the last one of two who leave together sees zero."""
    message = "you cancelled this start"
    if not change(session, row.id, WAITING, state=StartState.cancelled.value, message=message, finished_at=now):
        return None
    return waiting_for(session, row.job, row.id)


def waiting_for(session: Session, job: str, without: str) -> int:
    """Starts that wait for a job, one not counted."""
    query = select(func.count()).where(WaiterRow.job == job, WaiterRow.state == WAITING, WaiterRow.id != without)
    return session.scalar(query) or 0
