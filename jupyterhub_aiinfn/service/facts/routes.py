"""Where the hub delivers its record of sessions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from jupyterhub_aiinfn.api.facts import Facts, FactsTaken
from jupyterhub_aiinfn.errors import ServiceError
from jupyterhub_aiinfn.service.context import Context, context_of
from jupyterhub_aiinfn.service.identity.gate import from_within
from jupyterhub_aiinfn.service.settings import API

router = APIRouter(tags=["facts"])


def of_the_hub(request: Request) -> Context:
    """The context; 403 unless the hub itself asks, and not by the proxy."""
    context = context_of(request)
    if not from_within(request, context.settings.facts_token):
        raise ServiceError("only the hub delivers facts about sessions", status=403, reason="forbidden")
    return context


@router.post(f"{API}/facts")
async def facts(context: Annotated[Context, Depends(of_the_hub)], delivery: Facts) -> FactsTaken:
    """Write down what the hub saw: each fact once, all of a delivery or none; needs the secret of hub and service."""
    return FactsTaken(number=await context.book.take(delivery.facts))
