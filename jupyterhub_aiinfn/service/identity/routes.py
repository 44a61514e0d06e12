"""Log in, log out, and who am I."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from jupyterhub_aiinfn.api.people import Me
from jupyterhub_aiinfn.errors import ServiceError
from jupyterhub_aiinfn.model.entitlement import projects_of
from jupyterhub_aiinfn.model.requests import Person
from jupyterhub_aiinfn.service.context import Context, context_of
from jupyterhub_aiinfn.service.pages import page
from jupyterhub_aiinfn.service.settings import API, PREFIX

from .browser import COOKIE
from .caller import Caller
from .gate import CallerDependency, PageCaller
from .login import COOKIE_PREFIX, SECONDS, STATE, Login, begin, seal, unseal

log = logging.getLogger("aiinfn.identity")
router = APIRouter()
ContextDependency = Annotated[Context, Depends(context_of)]
PATH = f"{PREFIX}/"


@router.get(f"{API}/me", tags=["identity"])
async def me(context: ContextDependency, caller: CallerDependency) -> Me:
    """Who is asking: name, groups, projects, and the session from which the request comes."""
    identity = caller.identity
    return Me(
        name=identity.name,
        kind=identity.kind,
        groups=identity.groups,
        admin=identity.admin,
        projects=projects_of_caller(context, caller),
        server_name=caller.server_name,
    )


def projects_of_caller(context: Context, caller: Caller) -> tuple[str, ...]:
    """Keys of the projects of which the person is a member today; none for services."""
    identity = caller.identity
    if identity.kind != "user":
        return ()
    person = Person(identity.name, frozenset(identity.groups), identity.admin)
    today = datetime.now(ZoneInfo(context.values.site.timezone)).date()
    return tuple(projects_of(context.values, person, today))


@router.get(f"{PREFIX}/oauth_callback", include_in_schema=False)
async def oauth_callback(
    request: Request,
    context: ContextDependency,
    state: Annotated[str, Query(max_length=64)] = "",
    code: Annotated[str, Query(max_length=512)] = "",
) -> Response:
    """The hub sends the browser back: exchange the code, remember the browser, go on."""
    login = pending_login(request, context, state)
    token = await context.hub.exchange(code, login.verifier) if code else None
    identity = await context.identities.owner(token, change=True) if token else None
    if token is None or identity is None:
        raise login_failed("the hub did not confirm this log-in")
    if not identity.may_enter:
        raise ServiceError(
            "you may not use the platform service; ask the administrators", status=403, reason="forbidden"
        )
    response = RedirectResponse(login.next, status_code=303)
    set_cookie(
        context, response, COOKIE, await context.browsers.log_in(identity, token), context.settings.session_lifetime
    )
    response.delete_cookie(login.cookie_name, path=PATH)
    return response


def pending_login(request: Request, context: Context, state: str) -> Login:
    """The log-in that this very browser began with ``state``; 400 in words when there is none."""
    value = request.cookies.get(COOKIE_PREFIX + state[:8], "") if STATE.fullmatch(state) else ""
    login = unseal(context.settings.session_key, value, state)
    if login is None:
        raise login_failed("this log-in was begun in another browser, was used already, or took too long")
    return login


def login_failed(why: str) -> ServiceError:
    """400 with the remedy."""
    return ServiceError(f"{why}; open {PATH} to log in again", status=400, reason="login")


def to_login(context: Context, after: str) -> Response:
    """Send the browser to the hub; it comes back to ``after``."""
    login = begin(after)
    response = RedirectResponse(login.address(), status_code=302)
    set_cookie(context, response, login.cookie_name, seal(context.settings.session_key, login), SECONDS)
    response.headers["Cache-Control"] = "no-store"
    return response


def set_cookie(context: Context, response: Response, name: str, value: str, seconds: float) -> None:
    """A cookie that scripts cannot read and other sites cannot send along with their posts."""
    response.set_cookie(
        name, value, max_age=int(seconds), path=PATH, secure=context.settings.secure, httponly=True, samesite="lax"
    )


@router.get(f"{PREFIX}/logout", include_in_schema=False)
async def logout_page(context: ContextDependency, caller: PageCaller) -> Response:
    """Ask before logging out: a link from elsewhere must not do it."""
    return page(context, "logout.html", caller)


@router.post(f"{PREFIX}/logout", include_in_schema=False)
async def logout(request: Request, context: ContextDependency, caller: PageCaller) -> Response:
    """End the session of this browser at this service; the hub's own stays."""
    await context.browsers.log_out(request.cookies.get(COOKIE, ""))
    response = page(context, "logged_out.html", None)
    response.delete_cookie(COOKIE, path=PATH)
    return response
