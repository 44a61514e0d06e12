"""The announcements in force, in the database; whoever streams them is woken at each change."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session

from jupyterhub_aiinfn.api.sessions import Announcement
from jupyterhub_aiinfn.errors import ServiceError
from jupyterhub_aiinfn.service.acts import Act, add_act
from jupyterhub_aiinfn.service.database import Database
from jupyterhub_aiinfn.service.database.tables import AnnouncementRow
from jupyterhub_aiinfn.service.sessions.stays import moment

MOST = 20
"""Announcements in force at a time (arbitrary): nobody reads more."""


class Board:
    """What administrators say now. The last reading is kept in memory: every report and page asks for it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows: list[AnnouncementRow] | None = None
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` when an announcement comes or goes by hand."""
        self._listeners.append(listener)

    async def now(self) -> list[Announcement]:
        """Those in force, newest first."""
        if self._rows is None:
            self._rows = await self._database.run(in_force)
        now = int(time.time())
        return [announcement(row) for row in self._rows if row.until is None or row.until > now]

    async def for_profile(self, profile: str | None) -> list[Announcement]:
        """Those for everybody and for the users of one profile."""
        return [one for one in await self.now() if one.profile in (None, profile)]

    async def add(self, row: AnnouncementRow, act: Act) -> Announcement:
        """Announce something, and record who did."""
        await self._database.run(lambda session: add(session, row, act))
        self._changed()
        return announcement(row)

    async def withdraw(self, number: int, act: Act) -> None:
        """Take one back, and record who did; 404 when it is not in force."""
        await self._database.run(lambda session: withdraw(session, number, act))
        self._changed()

    def _changed(self) -> None:
        self._rows = None
        for listener in self._listeners:
            listener()


def in_force(session: Session) -> list[AnnouncementRow]:
    """Newest first; what has run out by itself goes too."""
    statement = select(AnnouncementRow).where(AnnouncementRow.withdrawn_at.is_(None))
    rows = session.scalars(statement.order_by(AnnouncementRow.id.desc()))
    return [row for row in rows if row.until is None or row.until > time.time()]


def add(session: Session, row: AnnouncementRow, act: Act) -> None:
    """Both in one transaction; 409 when there are too many."""
    if len(in_force(session)) >= MOST:
        raise ServiceError(
            f"{MOST} announcements are in force, which is all that people read; take one back first",
            status=409,
            reason="too-many",
        )
    session.add(row)
    add_act(session, act)


def withdraw(session: Session, number: int, act: Act) -> None:
    """Both in one transaction."""
    row = session.get(AnnouncementRow, number)
    if row is None or row.withdrawn_at is not None:
        raise ServiceError(f"no announcement {number} is in force", status=404, reason="not-found")
    row.withdrawn_at = int(time.time())
    add_act(session, Act(act.who, act.what, row.profile or "everybody", row.message))


def announcement(row: AnnouncementRow) -> Announcement:
    """As it travels."""
    created_at = moment(row.created_at)
    assert created_at is not None
    return Announcement(
        id=row.id,
        message=row.message,
        profile=row.profile,
        author=row.author,
        created_at=created_at,
        until=moment(row.until),
    )
