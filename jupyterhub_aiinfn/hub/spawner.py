"""A spawner that starts only what the platform grants, wherever it starts it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from urllib.parse import quote

from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.spawner import Spawner
from jupyterhub.user import User
from tornado.web import HTTPError
from traitlets import default, observe

from jupyterhub_aiinfn.api.workloads import WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.errors import AiinfnError, EnvironmentMissing, Malformed, Refusal
from jupyterhub_aiinfn.model.requests import Grant, Person
from jupyterhub_aiinfn.values import Values

from . import form, new_rows, session_environment
from .platform import Platform
from .refusals import PrefillOnly, Refused, StartFailed

SESSIONS_KNOWN_WITHIN = 8.0
"""Seconds; below the 10 s after which JupyterHub answers a request without knowing how its start ends."""
LONGEST_NEXT = 500
"""Escaped characters of a page to go on to that a ticket carries; the ticket is part of an address too (arbitrary)."""


class GrantedSpawner(Spawner):
    """Form, link and REST meet in :meth:`run_pre_spawn_hook`, which decides and reserves just before the start.

    A subclass with ``platform`` set is made by ``configure``; it also says how to start, stop and poll.
    """

    platform: Platform
    grant: Grant | None = None
    granted_by: Values
    """The values by which the start under way was granted: what it needs of them is taken from these, also when others
    count meanwhile."""
    values_hash: str | None = None
    _refused = False
    _stored_before: Mapping[str, Any] | None = None
    """The options that were stored before the start under way; None when none is under way."""
    _made_by_start = False
    """Whether the start under way, or a form, is all that the row of this named server was made for."""
    _waits = False
    """Whether the start was refused only until an environment is there."""

    @property
    def standing(self) -> str:
        """Where a start that is under way stands, in words for the page of progress; empty: there is nothing to say."""
        return ""

    async def start(self) -> Any:
        """Start what was granted."""
        raise NotImplementedError

    async def stop(self, now: bool = False) -> None:
        """End it."""
        raise NotImplementedError

    async def poll(self) -> int | None:
        """None while it lives."""
        raise NotImplementedError

    def get_state(self) -> dict[str, Any]:
        """A row that waits for an environment is kept like one that waits for its form, with its display name."""
        state: dict[str, Any] = super().get_state()
        return state | new_rows.mark(self.orm_spawner) if self._made_by_start and self._waits else state

    @default("options_form")
    def _options_form(self) -> Any:
        return self.__class__.render_form

    @default("options_from_form")
    def _options_from_form(self) -> Any:
        return self.read_form

    @default("apply_user_options")
    def _apply_user_options(self) -> Any:
        # The options are read by the decision; without any hook JupyterHub would log a warning at each start.
        return lambda spawner, options: None

    # The page

    def person(self) -> Person:
        """The person for whom the session is, whoever presses the button."""
        groups = frozenset(group.name for group in self.user.groups)
        return Person(name=self.user.name, groups=groups, admin=bool(self.user.admin))

    async def render_form(self) -> str:
        """The cards of the spawn page.

        After a refusal JupyterHub asks the person's default spawner, whichever server the form was of.
        """
        self.platform.start()
        posted = form.posted.get()
        if posted is None:
            new_rows.show(self)
        server_name = self.name if posted is None else posted.server_name
        return await form.render(self.platform, self.person(), self._prefill(posted, server_name), server_name)

    def _prefill(self, posted: form.Posted | None, server_name: str) -> Mapping[str, str]:
        if posted is not None and posted.options is not None:
            return posted.options
        arguments: Mapping[str, Sequence[bytes]] = {}
        if posted is None and self.handler:
            arguments = self.handler.request.query_arguments
        link = form.read_link(arguments)
        if "profile" in link:
            return link
        return self.platform.last_choices.latest(self.user.name, server_name) | link

    def read_form(self, data: Mapping[str, Sequence[Any]]) -> dict[str, str]:
        """The options of a posted form. What they are worth is decided just before the start."""
        form.posted.set(form.Posted(self.name))
        try:
            options = form.read_form(data)
        except Malformed as refusal:
            raise Refused(refusal) from refusal
        form.posted.set(form.Posted(self.name, options))
        return options

    def options_from_query(self, query_data: Mapping[str, Sequence[str]]) -> NoReturn:
        """A link never starts anything: it prefills the form."""
        raise PrefillOnly

    async def run_auth_state_hook(self, auth_state: Any) -> None:
        """Refuse an address that cannot be read: JupyterHub decodes it next, and would answer 500."""
        if self.handler and not form.is_readable(self.handler.request.query_arguments):
            raise HTTPError(400, "the address of this page holds characters that are not UTF-8; correct the link")
        await super().run_auth_state_hook(auth_state)

    # The decision

    @observe("handler")
    def _remember_stored_options(self, change: Mapping[str, Any]) -> None:
        # JupyterHub hands the request over just before it stores that request's options: a look at a form changes
        # nothing, and after a refused start the former ones count again.
        if change["new"] is not None:
            self._stored_before = dict(self.orm_spawner.user_options or {})

    async def run_pre_spawn_hook(self) -> None:
        """Decide, reserve, and see to the environment; raises :class:`Refused` before anything was started."""
        self._refused, self._waits = True, False
        self._made_by_start = new_rows.made_by_start(self.orm_spawner, self._stored_before or {})
        await self._require_known_sessions()
        try:
            self.granted_by, self.values_hash = self.platform.values, self.platform.current.hash
            self.grant = self.platform.decide_and_reserve(self.person(), self.user_options, self.name)
            await self._ensure_environment(self.grant)
        except EnvironmentMissing as missing:
            self._waits = True
            raise self._come_back_later(missing) from missing
        except Refusal as refusal:
            raise Refused(refusal) from refusal
        except AiinfnError as error:
            raise StartFailed(str(error), reason="error") from error
        self._refused = False
        self.user_options = self.grant.choice.options()  # the administrator's hook reads them
        await self._admin_hook()
        await self.prepare(self.grant)
        self._store_options(self.grant.choice.options())
        self.orm_spawner.state = self.get_state()
        self.commit()

    async def prepare(self, grant: Grant) -> None:
        """Settle id and address of the session, so that a hub killed during the start finds it again.

        What this changes of the database is written with the choice, in one step: it may await only before that.
        """
        raise NotImplementedError

    async def _require_known_sessions(self) -> None:
        if not await self.sessions_are_known():
            sentence = "the hub cannot see which sessions run, so it starts none"
            remedy = "try again in a minute, and tell an administrator when that does not help"
            raise StartFailed(f"{sentence}; {remedy}", reason="error", status=503)

    async def sessions_are_known(self) -> bool:
        """Wait, not for long, until the backend's sessions were read: a broken watch must not hold a start for ever."""
        try:
            await asyncio.wait_for(self.platform.sessions.loaded(), SESSIONS_KNOWN_WITHIN)
        except TimeoutError:
            return False
        return True

    def came_up(self) -> None:
        """The session answers: its choice is the last good one, and its workload counts by itself."""
        assert self.grant is not None
        self._stored_before = None
        remembered = self.grant.choice.remembered()
        if remembered != self.user_options:
            self._store_options(remembered)  # files that a link brought come once, not with the next empty request
            self.commit()
        self.platform.last_choices.record(self.user.name, self.name, remembered)
        self.platform.sessions.release(self.user.name, self.name)

    async def run_post_stop_hook(self) -> None:
        """Whatever ended, refused or failed: nothing stays reserved.

        After a session its choice stays stored; after a start that came to nothing, what was stored before it is again.
        """
        self.platform.sessions.release(self.user.name, self.name)
        if self._stored_before is not None:
            self._store_options(self._stored_before)
        if self._refused and self._made_by_start:
            self._take_back_row()
        self.commit()
        hook = super().run_post_stop_hook()
        if hook is not None:
            await hook

    def _take_back_row(self) -> None:
        if self._waits:
            new_rows.forget(self.user, but=self.orm_spawner)
        else:
            new_rows.remove(self)

    async def _admin_hook(self) -> None:
        hook = super().run_pre_spawn_hook()
        if hook is not None:
            await hook

    def commit(self) -> None:
        """Write changes before anything is awaited: JupyterHub rolls back what another request finds uncommitted."""
        self.user.db.commit()

    def _store_options(self, options: Mapping[str, Any]) -> None:
        """What an empty REST body will mean; the caller commits."""
        self.user_options = dict(options)
        self.orm_spawner.user_options = dict(options)

    async def _ensure_environment(self, grant: Grant) -> None:
        """Start or join the build of a missing environment; the start under way then gives its place back."""
        if self.platform.environments.ready(grant.image):
            return
        self.platform.sessions.release(self.user.name, self.name)
        job = await self.platform.backend.start(self.platform.environments.build_spec(grant.image))
        name = self.granted_by.images[grant.image].name
        raise EnvironmentMissing(
            f'the environment "{name}" is being built on this machine; {self._where_to_look(grant.image)}'
            "the session can start when that is done",
            image=grant.image,
            job=job.id,
        )

    def _where_to_look(self, image: str) -> str:
        """Where a program follows the build; a browser is sent to its page anyway."""
        if not isinstance(self.handler, APIHandler):
            return ""
        return f"{self.platform.service_prefix}api/v1/environments/{image} says how far it is, and "

    def workload_spec(
        self,
        grant: Grant,
        workload_id: str,
        *,
        command: tuple[str, ...],
        grace_seconds: float,
        environment: Mapping[str, str],
    ) -> WorkloadSpec:
        """The session that was granted as a backend takes it."""
        choice, size = grant.choice, grant.size
        folders = self.platform.folders(self.person())
        return WorkloadSpec(
            id=workload_id,
            kind=WorkloadKind.session,
            name=f"{choice.profile} of {self.user.name}",
            command=command,
            cores=size.cores,
            memory_gib=size.memory_gib,
            guaranteed_cores=size.guaranteed_cores,
            guaranteed_memory_gib=size.guaranteed_memory_gib,
            person=self.user.name,
            server_name=self.name,
            project=choice.project,
            profile=choice.profile,
            size=choice.size,
            image=grant.image,
            folders=folders.projects,
            public=folders.public,
            writes_public=folders.writes_public,
            accelerator=choice.accelerator,
            accelerator_count=choice.count,
            max_seconds=grant.max_seconds,
            grace_seconds=grace_seconds,
            environment=environment,
            values_hash=self.values_hash,
        )

    def describe_session(self, grant: Grant, workload_id: str, service_url: str) -> dict[str, str]:
        """The variables by which a session that starts now knows about itself."""
        now = datetime.now(UTC)
        return session_environment.description(
            self.granted_by,
            grant,
            workload=workload_id,
            kernels=self.platform.environments.kernels(grant.image),
            service_url=service_url,
            started_at=now,
            ends_at=now + timedelta(seconds=grant.max_seconds),
        )

    def _asked_by(self) -> str:
        """Whose browser waits: the person's, or that of an administrator who acts for them; services have none."""
        asking = getattr(self.handler, "current_user", None)
        return asking.name if isinstance(asking, User) else self.user.name

    def _come_back_later(self, missing: EnvironmentMissing) -> Refused:
        assert self.grant is not None
        address = self.platform.ticket_address(
            self.user.name, self.name, self.grant, missing.job, holder=self._asked_by(), next_page=self._next_page()
        )
        return Refused(missing, redirect=address, link="Watch the build and go on to the session")

    def _next_page(self) -> str:
        """The page of this site that the person asked for, as JupyterHub understands ``next``; "" for others."""
        asked = self.handler.get_argument("next", "") if self.handler else ""
        page: str = self.handler._validate_next_url(asked) if asked else ""
        return page if len(quote(page)) <= LONGEST_NEXT else ""
