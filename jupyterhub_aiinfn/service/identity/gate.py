"""Who may come in: the one place where a request becomes a :class:`Caller`."""

from __future__ import annotations

import hmac
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from jupyterhub_aiinfn.errors import ServiceError
from jupyterhub_aiinfn.service.context import Context, context_of

from .browser import COOKIE, HUB_COOKIE
from .caller import INTERNAL, Caller, HubIdentity
from .tokens import token_of, unauthorized

TOKEN = HTTPBearer(
    auto_error=False,
    scheme_name="hub token",
    description="A token of the hub with the scope access:services!service=aiinfn; `token …` is taken as `Bearer …`.",
)
"""Says in the OpenAPI document how a program comes in; :func:`caller_of` decides. Browsers come with a cookie."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
FORM = "application/x-www-form-urlencoded"


class LoginNeeded(Exception):
    """A page was asked for by a browser that is not logged in; ``next`` is the page."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.next = address


async def caller_of(request: Request) -> Caller:
    """The person or program behind a request; 401 or 403 in words when there is none who may enter."""
    header = request.headers.get("authorization")
    if header is not None:
        return await by_token(context_of(request), token_of(header), change=request.method not in SAFE)
    caller = await by_cookie(request)
    if caller is None:
        raise unauthorized("log in on the platform's page, or send a token of the hub in the Authorization header")
    return caller


async def page_caller(request: Request) -> Caller:
    """Like :func:`caller_of`, but a browser that only wants to read is sent to the hub to log in."""
    if "authorization" in request.headers or request.method not in SAFE:
        return await caller_of(request)
    caller = await by_cookie(request)
    if caller is None:
        raise LoginNeeded(str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""))
    return caller


async def confirmed(request: Request) -> Caller:
    """Like :func:`page_caller`, but the hub has said so just now: for a GET that changes something.

    A ticket that the hub signed for this very person stands for the CSRF token. :class:`HubDown` while the hub is away.
    """
    if "authorization" in request.headers:
        return await by_token(context_of(request), token_of(request.headers["authorization"]), change=True)
    cookies = request.cookies
    caller = await context_of(request).browsers.find(cookies.get(COOKIE, ""), cookies.get(HUB_COOKIE, ""), change=True)
    if caller is None:
        raise LoginNeeded(f"{request.url.path}?{request.url.query}")
    return caller


async def reader_or_hub(request: Request) -> Caller:
    """Like :func:`caller_of`; the hub itself may come too, with the internal token."""
    return internal(request) or await caller_of(request)


def internal(request: Request) -> Caller | None:
    """The hub or the supervisor of this installation, when the request carries the internal token."""
    header = request.headers.get("authorization", "")
    expected = context_of(request).settings.internal_token
    if not hmac.compare_digest(header.partition(" ")[2].strip().encode(), expected.encode()):
        return None
    return Caller(HubIdentity("internal", INTERNAL, (), admin=False, scopes=frozenset({"read:metrics"})))


def from_within(request: Request, secret: str) -> bool:
    """Whether a request carries a secret of this installation, and came not through the proxy as people's do."""
    given = request.headers.get("authorization", "").partition(" ")[2].strip()
    forwarded = any(name.startswith("x-forwarded") for name in request.headers)
    return bool(secret) and not forwarded and hmac.compare_digest(given.encode(), secret.encode())


async def by_token(context: Context, token: str, *, change: bool) -> Caller:
    """The owner of a token that opens this service."""
    identity = await context.identities.owner(token, change=change)
    if identity is None:
        raise unauthorized(
            "the hub does not know this token; it may have expired: make another on the hub's token page"
        )
    if not identity.may_enter:
        raise ServiceError(
            'this token does not open the platform service: it needs the scope "access:services!service=aiinfn"',
            status=403,
            reason="scope-missing",
        )
    return Caller(identity)


async def by_cookie(request: Request) -> Caller | None:
    """Who is logged in with this browser; a change must also come from one of our own pages."""
    cookie = request.cookies.get(COOKIE)
    if cookie is None:
        return None
    change = request.method not in SAFE
    if change:
        await check_origin(request, context_of(request).browsers.csrf(cookie))
    return await context_of(request).browsers.find(cookie, request.cookies.get(HUB_COOKIE, ""), change=change)


async def check_origin(request: Request, expected: str) -> None:
    """403 unless the request carries the CSRF token of the session, and does not say that it comes from elsewhere."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    own = origin is None or origin == context_of(request).origin
    given = request.headers.get("x-csrf-token") or await form_field(request, "csrf")
    if site not in ("same-origin", "none") or not own or not hmac.compare_digest(given.encode(), expected.encode()):
        raise ServiceError(
            "this change did not come from a page of the platform, or the page is too old; reload it and try again",
            status=403,
            reason="csrf",
        )


async def form_field(request: Request, name: str) -> str:
    """A field of an urlencoded form, "" when there is none."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        return ""
    fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=100)
    return fields.get(name, [""])[0]


CallerDependency = Annotated[Caller, Depends(caller_of)]
PageCaller = Annotated[Caller, Depends(page_caller)]
ReaderOrHub = Annotated[Caller, Depends(reader_or_hub)]
