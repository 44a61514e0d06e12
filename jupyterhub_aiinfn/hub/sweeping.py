"""What is left on a cluster by a start or an end that could not be completed, and how it goes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection
from typing import Any

from jupyterhub import orm
from jupyterhub.app import JupyterHub

from jupyterhub_aiinfn.api.workloads import EndReason, WorkloadKind
from jupyterhub_aiinfn.backends.kubernetes import creating, names
from jupyterhub_aiinfn.backends.kubernetes.calls import Calls
from jupyterhub_aiinfn.backends.kubernetes.description import end_patch
from jupyterhub_aiinfn.backends.kubernetes.orphans import unclaimed
from jupyterhub_aiinfn.errors import AiinfnError, ClusterRefused
from jupyterhub_aiinfn.values import Values

from .session_pod import SOON, SessionPod

TRY_AGAIN = 5.0
"""Seconds between two tries while the cluster does not answer (arbitrary)."""
SWEEPING = "look for what a killed hub left"
UNCLAIMED = "the hub was stopped before it was over with this session, and knew it no more"

log = logging.getLogger("JupyterHub.aiinfn")


async def until_removed(session: SessionPod, reason: EndReason, why: str, grace: int = SOON) -> None:
    """Go on until the cluster has removed it."""
    while True:
        await asyncio.sleep(TRY_AGAIN)
        try:
            return await session.remove(reason, why, grace)
        except AiinfnError:
            continue


async def sweep(values: Values, client: Any, under_way: Collection[str]) -> None:
    """End sessions that no server of the hub knows, remove Secrets without a pod, and give the others to their pod.

    Call it once at the hub's start; it waits for the cluster for as long as it takes. Starts ``under_way``, by the
    names of their pods, are left alone.
    """
    calls, hub = Calls(client), JupyterHub.instance()
    while hub.db is None:  # the hub opens its database after it has read its configuration
        await asyncio.sleep(0.2)
    namespace = names.namespace_of(values, WorkloadKind.session)
    while True:
        try:
            await creating.sweep(calls, values, WorkloadKind.session, under_way)
            await _end_unclaimed(calls, namespace, hub.db, under_way)
            return
        except AiinfnError as error:
            log.warning("%s; that is tried again", error)
            await asyncio.sleep(TRY_AGAIN)


def _claimed(database: Any) -> set[str]:
    """The workloads that servers of the hub know."""
    return {str((state or {}).get("workload")) for (state,) in database.query(orm.Spawner.state)}


async def _end_unclaimed(calls: Calls, namespace: str, database: Any, under_way: Collection[str]) -> None:
    pods = await calls.list(SWEEPING, "Pod", namespace, {names.KIND: WorkloadKind.session.value})
    for name in unclaimed(pods, _claimed(database), under_way):
        log.warning("the session %s/%s belongs to no server of the hub any more, so it is ended", namespace, name)
        with contextlib.suppress(ClusterRefused):
            await calls.patch(SWEEPING, "Pod", namespace, name, end_patch(EndReason.platform_stopped, UNCLAIMED))
        await calls.delete(SWEEPING, "Pod", namespace, name)
