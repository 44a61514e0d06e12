"""The index page: who you are, your sessions, what is free."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import RedirectResponse, Response

from .context import Context, context_of
from .environments.view import view
from .identity.gate import PageCaller
from .identity.routes import projects_of_caller
from .pages import page
from .sessions.routes import visible
from .settings import PREFIX

router = APIRouter(include_in_schema=False)


@router.get(f"{PREFIX}/")
async def index(context: Annotated[Context, Depends(context_of)], caller: PageCaller) -> Response:
    """Who you are, your sessions, what is free."""
    return page(
        context,
        "index.html",
        caller,
        projects=projects_of_caller(context, caller),
        titles={key: project.name or key for key, project in context.values.projects.items()},
        sessions=visible(context, caller).sessions,
        starts=[await view(context, row) for row in await context.waiters.waiting_of(caller.name)],
        availability=context.watch.snapshot.availability.seen_by(frozenset(caller.identity.groups)),
    )


@router.get(PREFIX)
async def to_index() -> Response:
    """The same with the slash."""
    return RedirectResponse(f"{PREFIX}/", status_code=307)
