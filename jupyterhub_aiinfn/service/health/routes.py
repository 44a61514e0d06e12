"""Health for supervisors, metrics for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Security
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.core import GaugeMetricFamily
from starlette.responses import Response

from jupyterhub_aiinfn import __version__
from jupyterhub_aiinfn.api.people import Health
from jupyterhub_aiinfn.errors import ServiceError
from jupyterhub_aiinfn.service.context import Context, context_of
from jupyterhub_aiinfn.service.identity.gate import TOKEN, ReaderOrHub
from jupyterhub_aiinfn.service.settings import PREFIX

from .metrics import gauge, workload_gauge

router = APIRouter(tags=["health"])
ContextDependency = Annotated[Context, Depends(context_of)]


@router.get(f"{PREFIX}/health")
async def health(context: ContextDependency) -> Health:
    """Whether the service works, part by part; needs no log-in and says nothing secret."""
    database = await context.database.state()
    backend = context.watch.trouble or context.backend.trouble or "ok"
    hub = "ok" if context.hub.answers else "the hub does not answer"
    return Health(
        status="ok" if database == backend == hub == "ok" else "degraded",
        version=__version__,
        values_hash=context.values_hash,
        database=database,
        backend=backend,
        hub=hub,
    )


@router.get(
    f"{PREFIX}/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
    dependencies=[Security(TOKEN)],
)
async def metrics(context: ContextDependency, caller: ReaderOrHub) -> Response:
    """For Prometheus; needs a token with the scope ``read:metrics``, or the internal token."""
    if "read:metrics" not in caller.identity.scopes:
        raise ServiceError("this token lacks the scope read:metrics", status=403, reason="scope-missing")
    return Response(context.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def gauges(context: Context) -> Iterator[GaugeMetricFamily]:
    """What is true at this moment."""
    yield gauge("aiinfn_hub_answers", "1 when the hub answered the last request", float(context.hub.answers))
    yield gauge("aiinfn_streams", "Open streams of availability", context.streams.total)
    for figure in context.backend.figures():
        yield gauge(f"aiinfn_backend_{figure.name}", figure.says, figure.value)
    try:
        snapshot = context.watch.snapshot
    except ServiceError:
        return
    age = time.time() - snapshot.availability.taken_at.timestamp()
    yield gauge("aiinfn_snapshot_age_seconds", "Since what is free was counted", age)
    yield workload_gauge(snapshot.workloads.values())
