"""A start that waits, as its person sees it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from jupyterhub_aiinfn.api.environments import Start, StartState
from jupyterhub_aiinfn.api.workloads import Progress
from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.service.context import Context
from jupyterhub_aiinfn.service.database.tables import WaiterRow
from jupyterhub_aiinfn.service.settings import HUB

LOG_LINES = 20


async def view(context: Context, row: WaiterRow) -> Start:
    """The start with the progress of its job, and the job's last lines when it failed."""
    state = StartState(row.state)
    end = row.finished_at if row.finished_at is not None else time.time()
    failed = state == StartState.failed and not context.catalogue.ready(row.image)
    return Start(
        id=row.id,
        image=row.image,
        image_name=context.catalogue.title(row.image),
        server_name=row.server_name,
        state=state,
        message=row.message,
        progress=await progress(context, row) if state == StartState.waiting else None,
        others=await context.waiters.others(row) if state == StartState.waiting else 0,
        created_at=datetime.fromtimestamp(row.created_at, UTC),
        elapsed_seconds=max(0, int(end - row.created_at)),
        log=await last_lines(context, row) if failed else "",
        url=session_page(row),
    )


async def progress(context: Context, row: WaiterRow) -> Progress | None:
    """How far the job is; None when it has not said or is gone."""
    try:
        return await context.backend.progress(row.job)
    except BackendError:
        return None


async def last_lines(context: Context, row: WaiterRow) -> str:
    """The last lines of the job; "" when they are gone."""
    try:
        return await context.backend.log(row.job, LOG_LINES)
    except BackendError:
        return ""


def session_page(row: WaiterRow) -> str:
    """The hub's page on which a starting session is followed."""
    path = f"{HUB}/spawn-pending/{quote(row.person, safe='')}"
    return f"{path}/{quote(row.server_name, safe='')}" if row.server_name else path


def going_on_to(address: str, page: str) -> str:
    """``address`` with ``next``, where the hub goes on to ``page`` from there unless that is on another site."""
    return f"{address}?{urlencode({'next': page})}" if page else address
