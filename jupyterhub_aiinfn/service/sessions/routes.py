"""Which sessions there are."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from jupyterhub_aiinfn.api.sessions import Sessions
from jupyterhub_aiinfn.errors import ServiceError
from jupyterhub_aiinfn.service.context import Context, context_of
from jupyterhub_aiinfn.service.identity.caller import Caller
from jupyterhub_aiinfn.service.identity.gate import CallerDependency
from jupyterhub_aiinfn.service.settings import API

router = APIRouter(tags=["sessions"])


@router.get(f"{API}/sessions")
async def sessions(
    context: Annotated[Context, Depends(context_of)],
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


def visible(context: Context, caller: Caller, *, everybody: bool = False) -> Sessions:
    """Sessions of the caller, or all."""
    snapshot = context.watch.snapshot
    own = caller.name if caller.identity.kind == "user" else None
    found = [work for work in snapshot.sessions() if everybody or (own is not None and work.person == own)]
    return Sessions(taken_at=snapshot.availability.taken_at, sessions=tuple(found))
