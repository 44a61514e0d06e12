"""The service's answers to `aiinfn values apply`, for this machine's administrator only."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from jupyterhub_aiinfn.api.values import HeldValues, Proposal
from jupyterhub_aiinfn.backends.local.agreement import Follower
from jupyterhub_aiinfn.errors import ServiceError, StateError
from jupyterhub_aiinfn.service.context import context_of
from jupyterhub_aiinfn.service.identity.gate import from_within
from jupyterhub_aiinfn.service.settings import API

router = APIRouter(tags=["values"])


def follower_of(request: Request) -> Follower:
    """What follows the agreement; 403 unless the request has the state folder's secret and came not by the proxy."""
    context = context_of(request)
    if not from_within(request, context.settings.values_token) or context.follower is None:
        raise ServiceError(
            "this is for `aiinfn values apply` on the machine of the platform only", status=403, reason="forbidden"
        )
    return context.follower


FollowerDependency = Annotated[Follower, Depends(follower_of)]


@router.get(f"{API}/values")
async def held(follower: FollowerDependency) -> HeldValues:
    """Which values the service holds; needs the state folder's ``values-token``."""
    return HeldValues(hash=follower.current.hash, prepared=follower.prepared)


@router.post(f"{API}/values/prepare")
async def prepare(follower: FollowerDependency, proposal: Proposal) -> HeldValues:
    """Read values that may count next; nothing changes. 409 in words when the service could not hold them."""
    try:
        await asyncio.to_thread(follower.prepare, proposal.hash)
    except (StateError, OSError) as error:
        raise ServiceError(str(error), status=409, reason="values") from error
    return await held(follower)


@router.post(f"{API}/values/follow")
async def follow(follower: FollowerDependency) -> HeldValues:
    """Hold the values that are agreed now, and not at the next look a second later."""
    try:
        follower.follow()
    except (StateError, OSError) as error:
        raise ServiceError(str(error), status=409, reason="values") from error
    return await held(follower)
