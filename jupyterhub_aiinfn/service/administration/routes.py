"""The administrators' page: plain HTML that works without JavaScript; every form is confirmed by its own page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Query, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from jupyterhub_aiinfn.api.sessions import NewAnnouncement, StopRequest
from jupyterhub_aiinfn.errors import Malformed
from jupyterhub_aiinfn.model.pricing import money
from jupyterhub_aiinfn.service.acts import Act, latest
from jupyterhub_aiinfn.service.announcements.routes import Number, say
from jupyterhub_aiinfn.service.context import Context, context_of
from jupyterhub_aiinfn.service.identity.caller import Caller
from jupyterhub_aiinfn.service.identity.gate import PageCaller
from jupyterhub_aiinfn.service.pages import page
from jupyterhub_aiinfn.service.sessions.routes import WorkloadId, live
from jupyterhub_aiinfn.service.sessions.stopping import stop_with_notice
from jupyterhub_aiinfn.service.settings import PREFIX

from .table import COLUMNS, row, rows

router = APIRouter(include_in_schema=False)
ContextDependency = Annotated[Context, Depends(context_of)]
HOME = f"{PREFIX}/administration"
NOTICES = {0: "now", 60: "in a minute", 300: "in 5 minutes", 900: "in 15 minutes", 3600: "in an hour"}
LASTING = {0: "until it is taken back", 3600: "for an hour", 86400: "for a day", 604800: "for a week"}
Sort = Literal["person", "profile", "project", "holds", "cost", "since", "idle", "cores", "memory", "ends"]


async def administrator(request: Request, caller: PageCaller) -> Caller:
    """An administrator; 403 in words for everybody else."""
    caller.require_administrator()
    return caller


Administrator = Annotated[Caller, Depends(administrator)]


@router.get(HOME)
async def administration(
    context: ContextDependency,
    caller: Administrator,
    sort: Sort = "since",
    order: Annotated[Literal["up", "down"], Query()] = "up",
) -> Response:
    """Who runs what, on what, at what cost, since when, idle how long; what is announced; what administrators did."""
    return page(
        context,
        "administration.html",
        caller,
        columns={key: title for key, (title, _) in COLUMNS.items()},
        sort=sort,
        order=order,
        rows=await rows(context, sort, descending=order == "down"),
        money=money,
        now=datetime.now(UTC),
        announcements=await context.board.now(),
        lasting=LASTING,
        acts=await latest(context.database),
        moment=lambda seconds: datetime.fromtimestamp(seconds, UTC),
    )


@router.get(f"{HOME}/sessions/{{workload}}/stop")
async def ask_before_stop(workload: WorkloadId, context: ContextDependency, caller: Administrator) -> Response:
    """Ask what the person shall read, and when."""
    work = live(context, caller, workload)
    found = row(context, work, await context.stays.of(work))
    return page(context, "administration_stop.html", caller, row=found, notices=NOTICES)


@router.post(f"{HOME}/sessions/{{workload}}/stop")
async def stop(workload: WorkloadId, request: Request, context: ContextDependency, caller: Administrator) -> Response:
    """The Stop button."""
    work, fields = live(context, caller, workload), await fields_of(request)
    await stop_with_notice(context, caller, work, read_stop(fields))
    return RedirectResponse(HOME, status_code=303)


@router.post(f"{HOME}/announcements")
async def announce(request: Request, context: ContextDependency, caller: Administrator) -> Response:
    """The Announce button."""
    await say(context, caller, read_announcement(await fields_of(request)))
    return RedirectResponse(f"{HOME}#announcements", status_code=303)


@router.post(f"{HOME}/announcements/{{number}}/take-back")
async def take_back(number: Number, context: ContextDependency, caller: Administrator) -> Response:
    """The Take back button."""
    await context.board.withdraw(number, Act(caller.name, "took back an announcement"))
    return RedirectResponse(f"{HOME}#announcements", status_code=303)


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a posted form; of one that comes twice, the first."""
    fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=100)
    return {name: values[0] for name, values in fields.items()}


def read_stop(fields: dict[str, str]) -> StopRequest:
    """What the page for stopping sends; :class:`Malformed` for anything else."""
    try:
        return StopRequest(message=fields.get("message", ""), notice_seconds=int(fields.get("notice", "300")))
    except (ValidationError, ValueError) as error:
        raise Malformed("write a message of at most 500 characters and choose a notice from the list") from error


def read_announcement(fields: dict[str, str]) -> NewAnnouncement:
    """What the page for announcements sends; :class:`Malformed` for anything else."""
    try:
        seconds = int(fields.get("lasting", "0"))
        until = datetime.now(UTC) + timedelta(seconds=seconds) if seconds in LASTING and seconds else None
        return NewAnnouncement(message=fields.get("message", ""), profile=fields.get("profile") or None, until=until)
    except (ValidationError, ValueError) as error:
        raise Malformed("write a message of at most 500 characters") from error
