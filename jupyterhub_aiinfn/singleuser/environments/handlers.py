"""The addresses with which JupyterLab shows and changes own environments."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from tornado import web

from jupyterhub_aiinfn.errors import AiinfnError, OwnEnvironmentError
from jupyterhub_aiinfn.model.own_environments import (
    HOME,
    checked_name,
    checked_packages,
    parse_requirements,
    reference,
)

from .environments import OwnEnvironments
from .records import LARGEST
from .sharing import Sharing
from .works import SCHEMA, SCHEMA_ID, Work, Works, run

PLACE, NAME = r"(?P<place>~|[a-z0-9][a-z0-9-]{0,62})", r"(?P<name>[a-z0-9][a-z0-9-]{0,40})"
SHARING: dict[str, Sharing] = {"share": "read", "share-writable": "write", "unshare": "private"}


class EnvironmentsHandler(APIHandler):
    """What all these addresses share: whoever may start kernels may do this, and errors are sentences."""

    auth_resource = "kernels"

    def initialize(self, works: Works) -> None:
        """``works`` runs what takes long."""
        self._works = works

    def environments(self) -> OwnEnvironments:
        """Those of this session, looked at now."""
        return OwnEnvironments(os.environ)

    def body(self) -> dict[str, Any]:
        """The JSON object that was sent. Raises :class:`OwnEnvironmentError`."""
        if len(self.request.body) > LARGEST:
            raise OwnEnvironmentError(f"this is more than {LARGEST >> 20} MB; send less")
        try:
            said = {} if not self.request.body.strip() else self.get_json_body()
        except web.HTTPError:
            said = None
        if not isinstance(said, dict):
            raise OwnEnvironmentError("expected a JSON object")
        return said

    def write_error(self, status_code: int, **details: Any) -> None:
        """An error of ours is 400 with its sentence; the rest as Jupyter does it."""
        error = details.get("exc_info", (None, None))[1]
        if isinstance(error, AiinfnError):
            self.set_status(400)
            self.finish({"message": str(error)})
            return
        super().write_error(status_code, **details)

    def log_exception(self, *error: Any) -> None:
        """A sentence for a person is not a fault of the server."""
        if not isinstance(error[1], AiinfnError):
            super().log_exception(*error)

    async def begin(self, order: dict[str, Any], name: str) -> None:
        """Answer 202 with the work that was begun."""
        work = await self._works.start(order, name)
        self.set_status(202)
        self.finish(work.as_json([]))


class ListHandler(EnvironmentsHandler):
    """``aiinfn/api/environments``: all of them, and a new one."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Own and shared environments, where new ones can be made and on what, and the work under way."""
        self.finish(await asyncio.to_thread(self._describe) | {"works": self._works.all()})

    def _describe(self) -> dict[str, Any]:
        environments = self.environments()
        base = environments.base
        return {
            "base": base and {"image": base.image, "title": base.title, "python": base.python},
            "places": [{"id": place.id, "writable": place.writable} for place in environments.places.values()],
            "environments": environments.described(),
        }

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """``{"name": …, "place": "~" or a project, "packages": […] or "lock": "…"}`` begins to make one."""
        said = self.body()
        name, place = said.get("name"), said.get("place", HOME)
        if not isinstance(name, str) or not isinstance(place, str):
            raise OwnEnvironmentError('expected {"name": a text, "place": "~" or a project}')
        order = {"verb": "create", "name": checked_name(name), "place": place} | wanted(said)
        await self.begin(order, reference(place, name))


class OneHandler(EnvironmentsHandler):
    """``aiinfn/api/environments/PLACE/NAME``: one environment."""

    @web.authenticated
    @authorized
    async def delete(self, place: str, name: str) -> None:
        """Begin to remove it."""
        found = await asyncio.to_thread(self.environments().find, reference(place, name))
        await self.begin({"verb": "remove", "reference": found.reference}, found.reference)


class VerbHandler(EnvironmentsHandler):
    """``aiinfn/api/environments/PLACE/NAME/VERB``: what can be done with one environment."""

    @web.authenticated
    @authorized
    async def post(self, place: str, name: str, verb: str) -> None:
        """``install`` and ``repair`` begin work (202); the others are done at once (204)."""
        which = reference(place, name)
        if verb in ("install", "repair"):
            order = {"verb": verb, "reference": which}
            await self.begin(order | wanted(self.body(), some=True) if verb == "install" else order, which)
            return
        await asyncio.to_thread(self._at_once, which, verb)
        self.set_status(204)
        self.finish()

    def _at_once(self, which: str, verb: str) -> None:
        environments = self.environments()
        if verb in SHARING:
            environments.share(which, SHARING[verb])
        elif verb == "use":
            environments.use(which)
        else:
            environments.stop_using(which)


class LockHandler(EnvironmentsHandler):
    """``GET aiinfn/api/environments/PLACE/NAME/lock``: the lock file."""

    @web.authenticated
    @authorized
    async def get(self, place: str, name: str) -> None:
        """``{"lock": …}``; the package index may be asked for hashes that are not known."""
        work = Work("export", reference(place, name))
        await run(work, {"verb": "export", "reference": work.reference})
        if work.state != "done":
            raise OwnEnvironmentError(work.message or "the lock file could not be made; try again")
        self.finish({"lock": work.message})


class WorkHandler(EnvironmentsHandler):
    """``DELETE aiinfn/api/environment-works/ID``: stop a piece of work."""

    @web.authenticated
    @authorized
    async def delete(self, identifier: str) -> None:
        """204; it ends within some seconds, and an event says so."""
        self._works.cancel(identifier)
        self.set_status(204)
        self.finish()


def wanted(said: dict[str, Any], *, some: bool = False) -> dict[str, Any]:
    """The packages or the lock file of a body, checked. Raises :class:`OwnEnvironmentError`."""
    packages, lock = said.get("packages", []), said.get("lock", "")
    texts = isinstance(packages, list) and all(isinstance(package, str) for package in packages)
    if not texts or not isinstance(lock, str):
        raise OwnEnvironmentError('expected {"packages": [texts]} or {"lock": a text}')
    if lock:
        parse_requirements(lock)
    elif some and not packages:
        raise OwnEnvironmentError("nothing to install; name a package")
    return {"packages": list(checked_packages(packages)), "lock": lock}


def routes(server_app: ServerApp) -> list[tuple[str, Any, dict[str, Any]]]:
    """Our addresses under the server's base address; the schema of the events is registered."""
    events = server_app.event_logger
    assert events is not None, "extensions are loaded after it is made"
    events.register_event_schema(SCHEMA)
    works = {"works": Works(lambda data: events.emit(schema_id=SCHEMA_ID, data=data))}
    base = url_path_join(server_app.web_app.settings["base_url"], "aiinfn", "api")
    verbs = "(?P<verb>install|repair|use|stop-using|share|share-writable|unshare)"
    return [
        (f"{base}/environments", ListHandler, works),
        (f"{base}/environments/{PLACE}/{NAME}", OneHandler, works),
        (f"{base}/environments/{PLACE}/{NAME}/lock", LockHandler, works),
        (f"{base}/environments/{PLACE}/{NAME}/{verbs}", VerbHandler, works),
        (f"{base}/environment-works/(?P<identifier>[0-9a-f]{{16}})", WorkHandler, works),
    ]
