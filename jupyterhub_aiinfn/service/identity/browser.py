"""Browsers that are logged in: an own cookie each, remembered in the database by its hash.

The hub's OAuth token of a browser is kept encrypted with a key made of the cookie and the installation's session key:
a copy of the database, or even of the whole state folder, holds no token that could be used.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from jupyterhub_aiinfn.service.database import Database
from jupyterhub_aiinfn.service.database.tables import BrowserSessionRow

from .caller import Caller, HubIdentity
from .tokens import Identities

COOKIE = "aiinfn-session"
HUB_COOKIE = "jupyterhub-session-id"
"""The hub's own cookie: names the browser's session there, and goes at logout."""
VALUE = re.compile(r"[A-Za-z0-9_-]{43}")
PER_PERSON = 20
"""Browsers in which one person may be logged in; the oldest goes first (arbitrary)."""


@dataclass(frozen=True)
class Browsers:
    """Sessions of browsers. ``check`` and ``lifetime`` are seconds."""

    database: Database
    identities: Identities
    key: str
    check: float
    lifetime: float

    async def log_in(self, identity: HubIdentity, token: str) -> str:
        """Remember a browser and return its cookie."""
        cookie = secrets.token_urlsafe(32)
        now = int(time.time())
        row = BrowserSessionRow(
            key=hashed(cookie),
            person=identity.name,
            token=self._cipher(cookie).encrypt(token.encode()).decode(),
            hub_session=identity.hub_session,
            created_at=now,
            expires_at=now + int(self.lifetime),
        )
        await self.database.run(lambda session: insert(session, row, now))
        return cookie

    async def find(self, cookie: str, hub_cookie: str, *, change: bool) -> Caller | None:
        """Who is logged in with ``cookie``; None when nobody is (any more).

        A session ends with the hub's: at once in the same browser (its cookie of the hub is gone or another), and
        within ``check`` seconds for anybody else who holds the cookie.
        """
        row = await self._row(cookie)
        if row is None:
            return None
        token = self._token(row, cookie)
        if token is None or (row.hub_session and row.hub_session != hub_cookie):
            await self.log_out(cookie)
            return None
        identity = await self.identities.owner(token, change=change, fresh=self.check)
        if identity is None or identity.name != row.person or not identity.may_enter:
            await self.log_out(cookie)
            return None
        return Caller(identity, csrf=self.csrf(cookie))

    async def log_out(self, cookie: str) -> None:
        """Forget a browser."""
        statement = delete(BrowserSessionRow).where(BrowserSessionRow.key == hashed(cookie))
        await self.database.run(lambda session: session.execute(statement))

    def csrf(self, cookie: str) -> str:
        """The CSRF token of that session: known to its pages only."""
        return hmac.new(self.key.encode(), b"csrf:" + cookie.encode(), hashlib.sha256).hexdigest()

    async def _row(self, cookie: str) -> BrowserSessionRow | None:
        if not VALUE.fullmatch(cookie):
            return None
        statement = select(BrowserSessionRow).where(
            BrowserSessionRow.key == hashed(cookie), BrowserSessionRow.expires_at > int(time.time())
        )
        return await self.database.run(lambda session: session.scalar(statement))

    def _cipher(self, cookie: str) -> Fernet:
        digest = hmac.new(self.key.encode(), b"token:" + cookie.encode(), hashlib.sha256).digest()
        return Fernet(base64.urlsafe_b64encode(digest))

    def _token(self, row: BrowserSessionRow, cookie: str) -> str | None:
        try:
            return self._cipher(cookie).decrypt(row.token.encode()).decode()
        except InvalidToken:
            return None


def insert(session: Session, row: BrowserSessionRow, now: int) -> None:
    """Add a session; drop what has expired, and the person's oldest beyond the cap."""
    session.execute(delete(BrowserSessionRow).where(BrowserSessionRow.expires_at <= now))
    own = select(BrowserSessionRow.key).where(BrowserSessionRow.person == row.person)
    oldest = session.scalars(own.order_by(BrowserSessionRow.created_at.desc()).offset(PER_PERSON - 1)).all()
    session.execute(delete(BrowserSessionRow).where(BrowserSessionRow.key.in_(oldest)))
    session.add(row)


def hashed(cookie: str) -> str:
    """What the database knows of a cookie."""
    return hashlib.sha256(cookie.encode()).hexdigest()
