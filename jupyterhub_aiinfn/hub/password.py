"""Who may log in with name and password: the people of the values file and those added by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jupyterhub.auth import Authenticator
from sqlalchemy.orm import object_session
from tornado.web import HTTPError
from traitlets import default

from .people import People
from .throttle import Throttle, Throttled

MAX_NAME, MAX_PASSWORD = 63, 1024
MAX_WAITING = 300
"""Attempts that may wait at a time: each holds a connection and a little memory."""


class PasswordAuthenticator(Authenticator):
    """Names and passwords of :class:`~jupyterhub_aiinfn.hub.people.People`; groups and rights of an administrator too.

    A subclass with ``people`` and ``login_key`` set is made by ``configure``. The id that JupyterHub keeps in a
    person's cookies is made from the hash of their password: another password ends every login that knows the old one.
    """

    people: People
    login_key: bytes
    more_handlers: Sequence[tuple[Any, ...]] = ()
    """Addresses that the hub answers besides its own: there is no other place that JupyterHub still likes for them."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._throttle = Throttle(time.monotonic)
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="password")
        self._waiting = 0

    def get_handlers(self, app: Any) -> list[Any]:
        """The login, and :attr:`more_handlers`."""
        return [*super().get_handlers(app), *self.more_handlers]

    @default("manage_groups")
    def _manage_groups(self) -> bool:
        return True

    @default("any_allow_config")
    def _any_allow_config(self) -> bool:
        return True

    @default("username_pattern")
    def _username_pattern(self) -> str:
        return r"[a-z0-9][a-z0-9_.-]{0,62}"

    async def authenticate(self, handler: Any, data: Mapping[str, str]) -> dict[str, Any] | None:
        """The person behind a login form, or None; a form that no browser of ours sent gets a sentence."""
        name, password = self._read(data)
        if not await self._is_password(name, password, _address(handler)):
            return None
        if not self.people.is_allowed(name):
            raise HTTPError(
                403, "You are known here, but in none of the groups that may log in; ask the administrators."
            )
        if known := handler.find_user(name):
            self._end_old_logins(known.orm_user)
        return self._model(name)

    async def add_user(self, user: Any) -> None:
        """A person whom JupyterHub meets, or knows when it starts."""
        super().add_user(user)
        self._end_old_logins(getattr(user, "orm_user", user))

    def check_allowed(self, username: str, authentication: Any = None) -> bool:
        """Whether the person exists and is in one of the groups that may log in."""
        return self.people.is_allowed(username)

    async def refresh_user(self, user: Any, handler: Any = None, **arguments: Any) -> dict[str, Any] | bool:
        """Groups and rights as they are now; False for who may no longer log in, or has another password since."""
        ended = self._end_old_logins(user.orm_user)
        if not self.people.is_allowed(user.name) or (ended and _is_login_of(handler, user)):
            return False
        return self._model(user.name)

    def _login_id(self, name: str) -> str:
        return self.people.password_mark(name, self.login_key)

    def _end_old_logins(self, orm_user: Any) -> bool:
        """Whether the password was changed since: cookies and what was opened with them are worth nothing now.

        Tokens that the person made by hand and sessions that run stay.
        """
        current = self._login_id(orm_user.name)
        if orm_user.cookie_id == current:
            return False
        db = object_session(orm_user)
        assert db is not None, "JupyterHub gives people of its database"
        for token in [token for token in orm_user.api_tokens if token.session_id]:
            db.delete(token)
        orm_user.cookie_id = current
        db.commit()
        return True

    def _model(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "groups": list(self.people.groups(name)),
            "admin": self.people.is_admin(name),
            "auth_state": None,
        }

    def _read(self, data: Mapping[str, str]) -> tuple[str, str]:
        name, password = data.get("username"), data.get("password")
        if not name or not password:
            raise HTTPError(400, "Type your name and your password.")
        if len(name) > MAX_NAME or len(password) > MAX_PASSWORD:
            raise HTTPError(400, f"A name has at most {MAX_NAME} characters and a password at most {MAX_PASSWORD}.")
        if "\0" in name or "\0" in password:
            raise HTTPError(400, "Names and passwords have no control characters.")
        return self.normalize_username(name), password

    async def _is_password(self, name: str, password: str, address: str) -> bool:
        if self._waiting >= MAX_WAITING:
            raise HTTPError(429, "Too many people are logging in at this moment; try again in a minute.")
        try:
            wait = self._throttle.begin(name, address)
        except Throttled:
            raise HTTPError(429, "Too many logins with this name have failed; try again in a minute.") from None
        self._waiting += 1
        try:
            await asyncio.sleep(wait)
            loop = asyncio.get_running_loop()
            right = await loop.run_in_executor(self._threads, self.people.verify, name, password)
        finally:
            self._waiting -= 1
        if right:
            self._throttle.succeeded(name, address)
        return right


def _is_login_of(handler: Any, user: Any) -> bool:
    """Whether the request comes with a login of the person, and not with a token made by hand or from another."""
    token = handler.get_token()
    return getattr(handler, "_jupyterhub_user", None) is user and (token is None or bool(token.session_id))


def _address(handler: Any) -> str:
    """Where the request comes from, as our proxy says it: it appends to what a client may have claimed itself."""
    request = getattr(handler, "request", None)
    if request is None:
        return "unknown"
    forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return str(forwarded or request.remote_ip or "unknown")
