"""Announcements over REST."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path

from jupyterhub_aiinfn.api.sessions import Announcement, Announcements, NewAnnouncement
from jupyterhub_aiinfn.errors import ServiceError
from jupyterhub_aiinfn.model.messages import read_message
from jupyterhub_aiinfn.service.acts import Act
from jupyterhub_aiinfn.service.context import Context, context_of
from jupyterhub_aiinfn.service.database.tables import AnnouncementRow
from jupyterhub_aiinfn.service.identity.caller import Caller
from jupyterhub_aiinfn.service.identity.gate import CallerDependency
from jupyterhub_aiinfn.service.settings import API

router = APIRouter(tags=["announcements"])
ContextDependency = Annotated[Context, Depends(context_of)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get(f"{API}/announcements")
async def announcements(context: ContextDependency, caller: CallerDependency) -> Announcements:
    """What administrators say now, newest first."""
    return Announcements(announcements=tuple(await context.board.now()))


@router.post(f"{API}/announcements", status_code=201)
async def announce(new: NewAnnouncement, context: ContextDependency, caller: CallerDependency) -> Announcement:
    """Say something to everybody, or to the users of one profile; for administrators."""
    caller.require_administrator()
    return await say(context, caller, new)


@router.delete(f"{API}/announcements/{{number}}")
async def take_back(number: Number, context: ContextDependency, caller: CallerDependency) -> Announcements:
    """Take an announcement back; for administrators. What is left in force."""
    caller.require_administrator()
    await context.board.withdraw(number, Act(caller.name, "took back an announcement"))
    return Announcements(announcements=tuple(await context.board.now()))


async def say(context: Context, caller: Caller, new: NewAnnouncement) -> Announcement:
    """Announce something, as plain text; 422 for a profile or a time that cannot be."""
    message = read_message(new.message)
    if new.profile is not None and new.profile not in context.values.profiles:
        raise malformed("profile", f"there is no such profile; known are {', '.join(context.values.profiles)}")
    if new.until is not None and (new.until.tzinfo is None or new.until <= datetime.now(UTC)):
        raise malformed("until", "must be a time to come, with its zone")
    row = AnnouncementRow(
        message=message,
        profile=new.profile,
        author=caller.name,
        created_at=int(time.time()),
        until=None if new.until is None else int(new.until.timestamp()),
    )
    return await context.board.add(row, Act(caller.name, "announced", new.profile or "everybody", message))


def malformed(field: str, rule: str) -> ServiceError:
    """422."""
    return ServiceError(f"{field}: {rule}", status=422, reason="malformed")
