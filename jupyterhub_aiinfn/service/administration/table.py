"""The rows of the administrators' table: one a session, sorted as the address says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from jupyterhub_aiinfn.api.workloads import Workload
from jupyterhub_aiinfn.model.pricing import Holding, cost_per_hour, is_in_catalogue, site_day
from jupyterhub_aiinfn.service.context import Context
from jupyterhub_aiinfn.service.database.tables import StayRow
from jupyterhub_aiinfn.service.sessions.stays import moment


@dataclass(frozen=True)
class Row:
    """One session as administrators see it."""

    id: str
    person: str
    server_name: str
    profile: str
    project: str
    holds: str
    emulated: bool
    cost: int
    """Of an hour, in millionths of the site's currency; 0 when nothing that it holds is priced."""
    is_whole_cost: bool
    """Whether the values still have all that it holds."""
    since: datetime
    activity: str
    """``active``, ``idle`` or ``unknown``."""
    idle_for: timedelta | None
    running_cells: int | None
    """As the session says itself."""
    cores: float | None
    """Mean of the last seconds; None when it is not measured."""
    memory_gib: float | None
    ends_at: datetime | None
    stop_at: datetime | None
    keep_until: datetime | None
    extensions: int


COLUMNS: dict[str, tuple[str, Callable[[Row], object]]] = {
    "person": ("Person", lambda row: (row.person, row.server_name)),
    "profile": ("Profile", lambda row: row.profile),
    "project": ("Project", lambda row: row.project),
    "holds": ("Holds", lambda row: row.holds),
    "cost": ("Cost per hour", lambda row: row.cost),
    "since": ("Since", lambda row: row.since),
    "idle": ("Idle for", lambda row: (row.idle_for is not None, row.idle_for or timedelta(0))),
    "cores": ("Cores used", lambda row: row.cores or 0.0),
    "memory": ("Memory used", lambda row: row.memory_gib or 0.0),
    "ends": ("Ends", lambda row: (row.ends_at is None, row.ends_at or row.since)),
}
"""Titles and what each column is sorted by."""


async def rows(context: Context, sort: str, *, descending: bool) -> list[Row]:
    """All live sessions."""
    works = context.watch.snapshot.sessions()
    stays = await context.stays.of_all(works)
    found = [row(context, work, stays[work.id]) for work in works]
    return sorted(found, key=COLUMNS[sort][1], reverse=descending)  # type: ignore[arg-type]


def row(context: Context, work: Workload, stay: StayRow) -> Row:
    """One session."""
    profile, project = context.values.profiles.get(work.profile or ""), context.values.projects.get(work.project or "")
    seen = context.keeper.seen.get(work.id)
    usage = seen.usage if seen else None
    since = work.started_at or work.created_at
    held = Holding(work.cores, work.memory_gib, work.accelerator, work.accelerator_count)
    return Row(
        id=work.id,
        person=work.person or "",
        server_name=work.server_name or "",
        profile=profile.name if profile else work.profile or work.name,
        project=(project.name if project else "") or work.project or "",
        holds=holds(context, work),
        emulated=work.emulated,
        # A session keeps the price of the day on which it started.
        cost=cost_per_hour(context.values, held, site_day(context.values, since)),
        is_whole_cost=is_in_catalogue(context.values, held),
        since=since,
        activity=context.keeper.activity(work),
        idle_for=context.keeper.idle_for(work),
        running_cells=context.keeper.running_cells(work),
        cores=seen.cores if seen else None,
        memory_gib=usage.memory_bytes / 2**30 if usage else None,
        ends_at=work.ends_at,
        stop_at=moment(stay.stop_at),
        keep_until=moment(stay.keep_until),
        extensions=stay.extensions,
    )


def holds(context: Context, work: Workload) -> str:
    """``2 cores, 4 GiB, 1 x A100 slice``."""
    said = f"{work.cores:g} {'core' if work.cores == 1 else 'cores'}, {work.memory_gib:g} GiB"
    if work.accelerator is None:
        return said
    accelerator = context.values.accelerators.get(work.accelerator)
    return f"{said}, {work.accelerator_count} x {accelerator.name if accelerator else work.accelerator}"
