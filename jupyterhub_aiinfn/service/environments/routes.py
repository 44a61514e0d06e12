"""Environments over REST, and the starts that wait for one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from jupyterhub_aiinfn.api.environments import Environment, Start
from jupyterhub_aiinfn.errors import ServiceError
from jupyterhub_aiinfn.service.context import Context, context_of
from jupyterhub_aiinfn.service.database.tables import WaiterRow
from jupyterhub_aiinfn.service.identity.gate import CallerDependency
from jupyterhub_aiinfn.service.settings import API

from .view import view

router = APIRouter(tags=["environments"])
ContextDependency = Annotated[Context, Depends(context_of)]
StartId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]


@router.get(f"{API}/environments/{{image}}")
async def environment(
    image: Annotated[str, Path(max_length=63)], context: ContextDependency, caller: CallerDependency
) -> Environment:
    """Whether sessions of an image can start, and how far its build is."""
    return await context.catalogue.environment(image)


@router.get(f"{API}/starts")
async def starts(context: ContextDependency, caller: CallerDependency) -> list[Start]:
    """The starts for which the caller waits."""
    return [await view(context, row) for row in await context.waiters.waiting_of(caller.name)]


@router.get(f"{API}/starts/{{start}}")
async def start(start: StartId, context: ContextDependency, caller: CallerDependency) -> Start:
    """One start of the caller, with the progress of the build."""
    return await view(context, await context.waiters.of(caller.name, start))


@router.delete(f"{API}/starts/{{start}}")
async def give_up(start: StartId, context: ContextDependency, caller: CallerDependency) -> Start:
    """Cancel a start of the caller; the last one who waits for a build stops it."""
    row = await context.waiters.of(caller.name, start)
    await cancel(context, row)
    return await view(context, await context.waiters.of(caller.name, start))


async def cancel(context: Context, row: WaiterRow) -> None:
    """Give a start up; 409 in words when it is too late."""
    if not await context.starter.cancel(row):
        raise ServiceError(
            f"this start does not wait any more (it is {row.state}); stop the session on the hub's page instead",
            status=409,
            reason="too-late",
        )
