"""What is free, once and as a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from jupyterhub_aiinfn.api.availability import Availability
from jupyterhub_aiinfn.api.sessions import Announcements
from jupyterhub_aiinfn.errors import AiinfnError
from jupyterhub_aiinfn.service.context import Context, context_of
from jupyterhub_aiinfn.service.identity.caller import Caller
from jupyterhub_aiinfn.service.identity.gate import ReaderOrHub, reader_or_hub
from jupyterhub_aiinfn.service.settings import API

from .streams import EventStream

router = APIRouter(tags=["availability"])
ContextDependency = Annotated[Context, Depends(context_of)]


@router.get(f"{API}/availability")
async def availability(context: ContextDependency, caller: ReaderOrHub) -> Availability:
    """What is free for the caller; ``taken_at`` says when that was counted."""
    return seen(context.watch.snapshot.availability, caller)


@router.get(
    f"{API}/availability/stream",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Events availability and announcements"}},
)
async def stream(request: Request, context: ContextDependency, caller: ReaderOrHub) -> Response:
    """The same as server-sent events: at once, at each change, and at least every ten seconds.

    Events named ``announcements`` say what administrators announce: at once, and whenever that changes.
    """
    leave = context.streams.enter(caller.name)
    return EventStream(events(request, context, caller), leave)


def seen(found: Availability, caller: Caller) -> Availability:
    """With what is kept for the caller's groups and nothing of what is kept for others; the hub has all of it."""
    return found if caller.is_platform else found.seen_by(caller.identity.groups)


async def events(request: Request, context: Context, caller: Caller) -> AsyncIterator[bytes]:
    """One event a snapshot, as long as the caller may still read them; announcements when they have changed."""
    told: Announcements | None = None
    async for snapshot in context.watch.snapshots():
        if not await still_welcome(request):
            return
        now = Announcements(announcements=tuple(await context.board.now()))
        if now != told:
            told = now
            yield f"event: announcements\ndata: {now.model_dump_json()}\n\n".encode()
        availability = seen(snapshot.availability, caller)
        yield f"event: availability\ndata: {availability.model_dump_json()}\n\n".encode()


async def still_welcome(request: Request) -> bool:
    """Whether the identity behind the request is still good (a logged-out browser's stream ends)."""
    try:
        await reader_or_hub(request)
    except AiinfnError:
        return False
    return True
