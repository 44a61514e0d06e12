"""A spawner that starts only what the platform grants, wherever it starts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.spawner import Spawner
from jupyterhub.user import User
from traitlets import default

from jupyterhub_aiinfn.errors import AiinfnError, EnvironmentMissing, Malformed, Refusal
from jupyterhub_aiinfn.model.requests import Grant, Person

from . import form, new_rows
from .platform import Platform
from .refusals import PrefillOnly, Refused, StartFailed


class GrantedSpawner(Spawner):
    """Form, link and REST meet in :meth:`run_pre_spawn_hook`, which decides and reserves just before the start.

    A subclass with ``platform`` set is made by ``configure``; it also says how to start, stop and poll.
    """

    platform: Platform
    grant: Grant | None = None
    _refused = False

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        if self.orm_spawner is not None:
            new_rows.note(self.orm_spawner)

    async def start(self) -> Any:
        """Start what was granted."""
        raise NotImplementedError

    async def stop(self, now: bool = False) -> None:
        """End it."""
        raise NotImplementedError

    async def poll(self) -> int | None:
        """None while it lives."""
        raise NotImplementedError

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
        """The cards of the spawn page."""
        self.platform.start()
        new_rows.made_by(self.orm_spawner, self.handler)
        return await form.render(self.platform, self.person(), self._prefill(), self.name)

    def _prefill(self) -> Mapping[str, str]:
        posted = form.posted.get()
        if posted is not None:
            return posted
        arguments: Mapping[str, Sequence[bytes]] = self.handler.request.query_arguments if self.handler else {}
        return form.read_link(arguments) or self.platform.last_choices.latest(self.user.name, self.name)

    def read_form(self, data: Mapping[str, Sequence[Any]]) -> dict[str, str]:
        """The options of a posted form. What they are worth is decided just before the start."""
        try:
            options = form.read_form(data)
        except Malformed as refusal:
            raise Refused(refusal) from refusal
        form.posted.set(options)
        return options

    def options_from_query(self, query_data: Mapping[str, Sequence[str]]) -> NoReturn:
        """A link never starts anything: it prefills the form."""
        raise PrefillOnly

    # The decision

    async def run_pre_spawn_hook(self) -> None:
        """Decide, reserve, and see to the environment; raises :class:`Refused` before anything was started."""
        await self.platform.sessions.loaded()
        self._refused = True
        new_rows.made_by(self.orm_spawner, self.handler)
        try:
            self.grant = self.platform.decide_and_reserve(self.person(), self.user_options, self.name)
            await self._ensure_environment(self.grant)
        except EnvironmentMissing as missing:
            raise self._come_back_later(missing) from missing
        except Refusal as refusal:
            raise Refused(refusal) from refusal
        except AiinfnError as error:
            raise StartFailed(str(error), reason="error") from error
        self._refused = False
        self._store_options(self.grant.choice.options())
        self.commit()
        await self._admin_hook()

    async def run_post_stop_hook(self) -> None:
        """Whatever ended, refused or failed: nothing stays reserved, and what is stored is the last good choice."""
        self.platform.sessions.release(self.user.name, self.name)
        last = self.platform.last_choices.of_server(self.user.name, self.name)
        self._store_options(last)
        if self._refused and not last:
            new_rows.remove(self)
        self.commit()
        hook = super().run_post_stop_hook()
        if hook is not None:
            await hook

    async def _admin_hook(self) -> None:
        hook = super().run_pre_spawn_hook()
        if hook is not None:
            await hook

    def commit(self) -> None:
        """Write changes before anything is awaited: JupyterHub rolls back what another request finds uncommitted."""
        self.user.db.commit()

    def _store_options(self, options: Mapping[str, str]) -> None:
        """What an empty REST body will mean; the caller commits."""
        self.user_options = dict(options)
        self.orm_spawner.user_options = dict(options)

    async def _ensure_environment(self, grant: Grant) -> None:
        """Start or join the build of a missing environment; the start under way then gives its place back."""
        if self.platform.environments.ready(grant.image):
            return
        self.platform.sessions.release(self.user.name, self.name)
        job = await self.platform.backend.start(self.platform.environments.build_spec(grant.image))
        name = self.platform.values.images[grant.image].name
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

    def _asked_by(self) -> str:
        """Whose browser waits: the person's, or that of an administrator who acts for them; services have none."""
        asking = getattr(self.handler, "current_user", None)
        return asking.name if isinstance(asking, User) else self.user.name

    def _come_back_later(self, missing: EnvironmentMissing) -> Refused:
        assert self.grant is not None
        address = self.platform.ticket_address(self.user.name, self.name, self.grant, missing.job, self._asked_by())
        return Refused(missing, redirect=address, link="Watch the build and go on to the session")
