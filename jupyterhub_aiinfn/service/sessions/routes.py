"""Which sessions there are, how long each may stay, and what a person may change about that."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from jupyterhub_aiinfn.api.sessions import ActivityReport, KeepUntil, SessionLimits, Sessions, StopRequest
from jupyterhub_aiinfn.api.workloads import Workload
from jupyterhub_aiinfn.errors import BackendError, ServiceError, WorkloadNotFound
from jupyterhub_aiinfn.model.limits import Policy, extension_refusal, keep_refusal
from jupyterhub_aiinfn.service.acts import Act
from jupyterhub_aiinfn.service.context import Context, context_of
from jupyterhub_aiinfn.service.database.tables import StayRow
from jupyterhub_aiinfn.service.identity.caller import Caller
from jupyterhub_aiinfn.service.identity.gate import CallerDependency
from jupyterhub_aiinfn.service.sessions.stopping import stop_with_notice
from jupyterhub_aiinfn.service.settings import API

from .view import clock_of, limits

router = APIRouter(tags=["sessions"])
ContextDependency = Annotated[Context, Depends(context_of)]
WorkloadId = Annotated[str, Path(pattern=r"^w[0-9a-f]{20}$", description="Id of the session's workload")]


@router.get(f"{API}/sessions")
async def sessions(
    context: ContextDependency,
    caller: CallerDependency,
    everybody: Annotated[bool, Query(alias="all", description="Everybody's sessions, for administrators")] = False,
) -> Sessions:
    """The caller's sessions that run or start; with ``all`` everybody's."""
    if everybody and not caller.sees_everybody:
        raise ServiceError(
            "only administrators see everybody's sessions (a token needs the scope read:servers)",
            status=403,
            reason="forbidden",
        )
    return visible(context, caller, everybody=everybody)


@router.get(f"{API}/sessions/{{workload}}")
async def session(workload: WorkloadId, context: ContextDependency, caller: CallerDependency) -> SessionLimits:
    """How long a session may stay, and what its person must be told now."""
    work = live(context, caller, workload)
    return await limits(context, work, await context.stays.of(work))


@router.post(f"{API}/sessions/{{workload}}/reports")
async def report(
    workload: WorkloadId, said: ActivityReport, context: ContextDependency, caller: CallerDependency
) -> SessionLimits:
    """A session says what works in it, with its own token; that may only shorten its stay."""
    work = live(context, caller, workload)
    if not is_of(work, caller) or caller.server_name is None:
        raise ServiceError("only the session itself reports, with its own token", status=403, reason="forbidden")
    context.keeper.reported(work, said)
    return await limits(context, work, await context.stays.of(work))


@router.post(f"{API}/sessions/{{workload}}/extensions")
async def extend(workload: WorkloadId, context: ContextDependency, caller: CallerDependency) -> SessionLimits:
    """Lengthen the longest life once, as far as the profile allows; 409 with the reason when it does not."""
    work = own(context, caller, workload)

    def refusal(row: StayRow) -> str:
        stay = context.keeper.stay(work, row)
        return extension_refusal(Policy.from_json(row.policy), stay, clock_of(context, stay.now))

    row = await context.stays.extend(work, refusal, act_of(caller, work, "extended a session"))
    try:
        longer = await context.backend.extend(work.id, Policy.from_json(row.policy).longest(row.extensions))
    except BackendError:
        await context.stays.take_back(work, act_of(caller, work, "could not extend a session"))
        raise
    return await limits(context, longer, row)


@router.put(f"{API}/sessions/{{workload}}/keep-until")
async def keep(
    workload: WorkloadId, wish: KeepUntil, context: ContextDependency, caller: CallerDependency
) -> SessionLimits:
    """Ask that a session is not ended for being idle until then, or take that back; never beyond its longest life."""
    work, until = own(context, caller, workload), wish.until
    if until is not None and until.tzinfo is None:
        raise ServiceError("body.until: the time needs a zone, such as Z or +01:00", status=422, reason="malformed")

    def refusal(row: StayRow) -> str:
        stay = context.keeper.stay(work, row)
        if until is None:
            return ""
        return keep_refusal(Policy.from_json(row.policy), stay, until, clock_of(context, stay.now))

    what = "kept a session" if until else "let a session be ended for being idle again"
    said = f"until {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if until else ""
    row = await context.stays.keep(work, until, refusal, act_of(caller, work, what, said))
    return await limits(context, work, row)


@router.post(f"{API}/sessions/{{workload}}/stop")
async def stop(
    workload: WorkloadId, asked: StopRequest, context: ContextDependency, caller: CallerDependency
) -> SessionLimits:
    """An administrator ends a session, with a message and notice; a later request replaces an earlier one."""
    caller.require_administrator()
    work = live(context, caller, workload)
    row = await stop_with_notice(context, caller, work, asked)
    return await limits(context, work, row)


def visible(context: Context, caller: Caller, *, everybody: bool = False) -> Sessions:
    """Sessions of the caller, or all."""
    snapshot = context.watch.snapshot
    own_name = caller.name if caller.identity.kind == "user" else None
    found = [work for work in snapshot.sessions() if everybody or (own_name is not None and work.person == own_name)]
    return Sessions(taken_at=snapshot.availability.taken_at, sessions=tuple(found))


def live(context: Context, caller: Caller, workload: str) -> Workload:
    """A live session that the caller may see; 404 in words for others' and unknown ones alike."""
    found = {work.id: work for work in context.watch.snapshot.sessions()}.get(workload)
    if found is None or not (is_of(found, caller) or caller.sees_everybody or caller.administers):
        raise WorkloadNotFound(f"no session {workload} of yours is running; the platform's page lists those that are")
    return found


def own(context: Context, caller: Caller, workload: str) -> Workload:
    """A live session that the caller may change: their own, or anybody's for an administrator."""
    work = live(context, caller, workload)
    if not (is_of(work, caller) or caller.administers):
        raise ServiceError("only the person of a session changes how long it stays", status=403, reason="forbidden")
    return work


def act_of(caller: Caller, work: Workload, what: str, said: str = "") -> Act | None:
    """What to record of a change of somebody else's session; None for a person's own."""
    return None if is_of(work, caller) else Act(caller.name, what, work.person or "", said, work.id)


def is_of(work: Workload, caller: Caller) -> bool:
    """Whether the session belongs to the caller; a session's own token stands for that session alone."""
    if caller.identity.kind != "user" or work.person != caller.name:
        return False
    return caller.server_name is None or caller.server_name == (work.server_name or "")
