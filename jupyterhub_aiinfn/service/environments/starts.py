"""The page on which a person waits for an environment. The link to it comes from the hub, signed."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from jupyterhub_aiinfn.api.environments import StartState
from jupyterhub_aiinfn.errors import ServiceError
from jupyterhub_aiinfn.model.tickets import MAX_LENGTH, StartTicket, read_ticket
from jupyterhub_aiinfn.service.context import Context, context_of
from jupyterhub_aiinfn.service.database.tables import WaiterRow
from jupyterhub_aiinfn.service.identity.browser import COOKIE
from jupyterhub_aiinfn.service.identity.gate import LoginNeeded, PageCaller, confirmed
from jupyterhub_aiinfn.service.pages import page
from jupyterhub_aiinfn.service.settings import PREFIX

from .routes import StartId, cancel
from .view import going_on_to, view

router = APIRouter(include_in_schema=False)
ContextDependency = Annotated[Context, Depends(context_of)]


@router.get(f"{PREFIX}/starts")
async def arrive(
    request: Request,
    context: ContextDependency,
    caller: PageCaller,
    ticket: Annotated[str, Query(max_length=MAX_LENGTH)],
    again: bool = False,
) -> Response:
    """Take the hub's ticket from the person who asked for the start, and show the start that it makes."""
    read = read_ticket(context.settings.ticket_key, ticket, now=time.time())
    if await context.waiters.by_ticket(read.id) is None:
        caller = await confirmed(request)  # what follows is a change, though a browser can only come with a GET
    if read.bearer != caller.name:
        await other_person(request, context, ticket, again=again)
    row = await accept(context, read)
    return RedirectResponse(going_on_to(f"{PREFIX}/starts/{row.id}", read.next), status_code=303)


async def other_person(request: Request, context: Context, ticket: str, *, again: bool) -> None:
    """Somebody else logged in at the hub meanwhile: ask the hub once more who this is, then refuse."""
    if COOKIE in request.cookies and not again:
        await context.browsers.log_out(request.cookies[COOKIE])
        raise LoginNeeded(f"{PREFIX}/starts?ticket={ticket}&again=true")
    raise ServiceError(
        "this start was asked for by another person; log out at the hub, log in as that person and start again",
        status=403,
        reason="other-person",
    )


async def accept(context: Context, ticket: StartTicket) -> WaiterRow:
    """The start of that ticket; a ticket that comes again shows the same start and makes no other."""
    known = await context.waiters.by_ticket(ticket.id)
    if known is not None:
        return known
    job = await context.catalogue.job_for(ticket.image, ticket.job)
    row = await context.waiters.accept(ticket, job)
    context.starter.wake()
    return row


@router.get(f"{PREFIX}/starts/{{start}}")
async def watch_start(
    start: StartId,
    context: ContextDependency,
    caller: PageCaller,
    next_page: Annotated[str, Query(alias="next", max_length=MAX_LENGTH)] = "",
) -> Response:
    """How far it is; once the hub starts the session, the browser goes there, and on to the page asked for."""
    found = await view(context, await context.waiters.of(caller.name, start))
    found = found.model_copy(update={"url": going_on_to(found.url, next_page)})
    if found.state == StartState.started:
        return RedirectResponse(found.url, status_code=303)
    return page(context, "start.html", caller, start=found)


@router.post(f"{PREFIX}/starts/{{start}}/cancel")
async def cancel_start(start: StartId, context: ContextDependency, caller: PageCaller) -> Response:
    """The Cancel button."""
    await cancel(context, await context.waiters.of(caller.name, start))
    return RedirectResponse(f"{PREFIX}/starts/{start}", status_code=303)
