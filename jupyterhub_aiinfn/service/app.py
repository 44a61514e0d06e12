"""Puts the service together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Security
from starlette.staticfiles import StaticFiles

from jupyterhub_aiinfn import __version__
from jupyterhub_aiinfn.api.base import ErrorBody
from jupyterhub_aiinfn.backends.base import Backend, Storage
from jupyterhub_aiinfn.backends.local.agreement import Follower
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.current import CurrentValues

from . import index, problems
from .administration import routes as administration
from .announcements import routes as announcements
from .announcements.board import Board
from .availability import routes as availability
from .availability.streams import Streams
from .availability.watch import Watch
from .context import Context
from .database import Database
from .environments import routes as environments
from .environments import starts
from .environments.catalogue import Catalogue, EnvironmentCache
from .environments.starter import Starter
from .environments.waiters import Waiters
from .facts import routes as facts
from .facts.book import Book
from .facts.recorder import Recorder
from .health import routes as health
from .health.metrics import Metrics
from .identity import routes as identity
from .identity.browser import Browsers
from .identity.gate import TOKEN
from .identity.hub import HubApi
from .identity.tokens import Identities
from .profiles import routes as profiles
from .protection import Protection
from .sessions import routes as sessions
from .sessions.keeper import Keeper
from .sessions.stays import Stays
from .settings import API, PREFIX, Settings
from .storage import routes as storage_routes
from .storage.keeping import keep_rights
from .values import routes as values_feature

log = logging.getLogger("aiinfn.service")
ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorBody} for code in (400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 502, 503)
}
FEATURES = (
    index,
    identity,
    sessions,
    profiles,
    announcements,
    administration,
    availability,
    environments,
    starts,
    storage_routes,
    values_feature,
    facts,
)
OVERDUE = timedelta(seconds=5)
"""Beyond its grace: then a session whose own end at its longest life failed is ended from here (arbitrary)."""
PROBE = 10.0
"""Seconds between two looks at whether the hub answers."""


def make_app(
    settings: Settings,
    values: Values | CurrentValues,
    backend: Backend,
    cache: EnvironmentCache,
    build_settings: Callable[[], Mapping[str, str]] = dict,
    follower: Follower | None = None,
    storage: Storage | None = None,
) -> FastAPI:
    """The service as an ASGI application; :class:`~jupyterhub_aiinfn.errors.StateError` for an unusable database."""
    context = make_context(settings, CurrentValues.of(values), backend, cache, build_settings, follower, storage)
    app = FastAPI(
        title="AI_INFN platform service",
        version=__version__,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lambda app: running(context),
        redirect_slashes=False,
        responses=ERRORS,
    )
    app.state.context = context
    for feature in FEATURES:
        app.include_router(feature.router, dependencies=[Security(TOKEN)])
    app.include_router(health.router)
    app.mount(f"{PREFIX}/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    problems.install(app)
    app.add_middleware(Protection, max_body=settings.max_body, metrics=context.metrics)
    return app


def make_context(
    settings: Settings,
    current: CurrentValues,
    backend: Backend,
    cache: EnvironmentCache,
    build_settings: Callable[[], Mapping[str, str]],
    follower: Follower | None,
    storage: Storage | None,
) -> Context:
    """Make the parts and connect them."""
    database = Database(settings.database)
    hub = HubApi(settings.hub_api_url, settings.service_token, settings.hub_timeout)
    identities = Identities(hub, settings.identity_fresh, settings.identity_stale)
    watch = Watch(backend, settings.heartbeat)
    catalogue = Catalogue(current, cache, backend, watch, build_settings)
    waiters = Waiters(database, settings.waiter_lifetime)
    starter = Starter(backend, hub, waiters, catalogue, settings.start_retry)
    watch.on_change(starter.wake)
    current.on_switch(watch.count_again)
    stays, board = Stays(database, current, follower.earlier if follower else no_values), Board(database)
    board.on_change(watch.publish_again)
    keeper = Keeper(backend, watch, stays, settings.look_every, current.values.stop_grace + OVERDUE)
    book = Book(database)
    recorder = Recorder(backend, watch, book, settings.look_every, settings.lost_after)
    watch.on_workload(recorder.see)
    context = Context(
        settings=settings,
        current=current,
        backend=backend,
        database=database,
        hub=hub,
        identities=identities,
        browsers=Browsers(
            database, identities, settings.session_key, settings.session_check, settings.session_lifetime
        ),
        watch=watch,
        streams=Streams(settings.streams_per_caller),
        catalogue=catalogue,
        waiters=waiters,
        starter=starter,
        metrics=Metrics(),
        follower=follower,
        stays=stays,
        keeper=keeper,
        board=board,
        book=book,
        recorder=recorder,
        storage=storage,
    )
    context.metrics.read_when_asked(lambda: health.gauges(context))
    return context


def no_values(digest: str) -> None:
    """Where nobody changes the values, none but the current ones are kept."""


@asynccontextmanager
async def running(context: Context) -> AsyncIterator[None]:
    """What runs beside the requests, from start to stop."""
    beside = {
        "watch": context.watch.run,
        "starts": context.starter.run,
        "limits": context.keeper.run,
        "facts": context.recorder.run,
        "rights": lambda: keep_rights(context.storage),
        "hub": lambda: probe(context.hub),
    }
    if context.follower is not None:
        beside["values"] = context.follower.run
    tasks = [asyncio.create_task(forever(name, run), name=name) for name, run in beside.items()]
    try:
        yield
    finally:
        context.watch.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await context.hub.close()
        context.database.close()


async def forever(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Begin again what fails, and say so in the log."""
    while True:
        try:
            await run()
        except Exception:
            log.exception("%s failed; it is begun again", name)
        await asyncio.sleep(1)


async def probe(hub: HubApi) -> None:
    """Look whether the hub answers, so that ``/health`` need not ask."""
    while True:
        await hub.probe()
        await asyncio.sleep(PROBE)
