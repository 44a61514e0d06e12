"""How full the folders are."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query

from jupyterhub_aiinfn.api.storage import FolderKind, StorageReport
from jupyterhub_aiinfn.backends.storage_report import report_of, report_of_all
from jupyterhub_aiinfn.errors import ServiceError
from jupyterhub_aiinfn.model.folders import folders_of
from jupyterhub_aiinfn.model.requests import Person
from jupyterhub_aiinfn.service.context import Context, context_of
from jupyterhub_aiinfn.service.identity.gate import CallerDependency
from jupyterhub_aiinfn.service.settings import API

router = APIRouter(tags=["storage"])


@router.get(f"{API}/storage")
async def storage(
    context: Annotated[Context, Depends(context_of)],
    caller: CallerDependency,
    everybody: Annotated[bool, Query(alias="all", description="Everybody's folders, for administrators")] = False,
    fresh: Annotated[bool, Query(description="Count the home anew, when a session asks that has just deleted")] = False,
) -> StorageReport:
    """Use and limit of the caller's home and of the shared folders they have; with ``all`` of everybody's.

    Figures of a limit that the file system enforces are of this moment; others are counted now and then and say when;
    ``fresh`` counts the home of a session's person anew, but never sooner than 15 s after the last count.
    """
    if context.storage is None:
        raise ServiceError("this platform does not know how full its folders are", status=404, reason="no-storage")
    if everybody:
        if not caller.sees_everybody:
            raise ServiceError(
                "only administrators see everybody's folders (a token needs the scope read:servers)",
                status=403,
                reason="forbidden",
            )
        return await asyncio.to_thread(report_of_all, context.values, context.storage)
    if caller.identity.kind != "user":
        return StorageReport(folders=())
    person = Person(caller.name, frozenset(caller.identity.groups), caller.identity.admin)
    today = datetime.now(UTC).astimezone(ZoneInfo(context.values.site.timezone)).date()
    if fresh and caller.server_name is not None:
        await asyncio.to_thread(context.storage.forget, FolderKind.home, person.name)
    folders = folders_of(context.values, person, today)
    return await asyncio.to_thread(report_of, context.values, context.storage, person.name, folders)
