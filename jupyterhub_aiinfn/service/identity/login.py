"""The way to the hub and back: state, PKCE and where to go afterwards travel in a short-lived cookie of the browser.

Nothing is stored for somebody who is not logged in yet, so that nobody can fill the database.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass
from urllib.parse import unquote, urlencode

from cryptography.fernet import Fernet, InvalidToken

from jupyterhub_aiinfn.service.settings import HUB, PREFIX

from .hub import CALLBACK, CLIENT_ID

SECONDS = 600
"""How long a log-in may take."""
COOKIE_PREFIX = "aiinfn-login-"
STATE = re.compile(r"[A-Za-z0-9_-]{32}")
INDEX = f"{PREFIX}/"
LONGEST_NEXT = 2000
"""Longer addresses would not fit into the cookie (4096 bytes)."""


@dataclass(frozen=True)
class Login:
    """A log-in under way."""

    state: str
    verifier: str
    next: str

    @property
    def cookie_name(self) -> str:
        """One cookie each, so that two tabs can log in at the same time."""
        return COOKIE_PREFIX + self.state[:8]

    def address(self) -> str:
        """Where the browser goes: the hub's authorization page (a path of this site)."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": CLIENT_ID,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "state": self.state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{HUB}/api/oauth2/authorize?{urlencode(query)}"


def begin(after: str) -> Login:
    """A new log-in that ends at ``after``, or at the index where that is no page of this service."""
    return Login(secrets.token_urlsafe(24), secrets.token_urlsafe(48), safe_next(after))


def seal(key: str, login: Login) -> str:
    """The value of the cookie: nobody reads or changes it."""
    payload = json.dumps([login.state, login.verifier, login.next]).encode()
    return cipher(key).encrypt(payload).decode()


def unseal(key: str, value: str, state: str) -> Login | None:
    """The log-in of the cookie when it belongs to ``state`` and is not too old, else None."""
    try:
        login = Login(*json.loads(cipher(key).decrypt(value.encode(), ttl=SECONDS)))
    except (InvalidToken, ValueError, TypeError):
        return None
    return login if hmac.compare_digest(login.state.encode(), state.encode()) else None


def cipher(key: str) -> Fernet:
    """Encryption of the cookie, with a key of its own purpose."""
    return Fernet(base64.urlsafe_b64encode(hmac.new(key.encode(), b"login", hashlib.sha256).digest()))


def safe_next(address: str) -> str:
    """``address`` when it is a page of this service, else its index.

    Refused: other hosts, other paths of this site, control characters, backslashes, and dots (plain or encoded any
    number of times) that would lead out of the service's path.
    """
    path = address.partition("?")[0].partition("#")[0]
    for _ in range(3):
        path = unquote(path)
    plain = address.isascii() and address.isprintable() and "\\" not in address and len(address) <= LONGEST_NEXT
    inside = address.startswith(INDEX) and not re.search(r"//|\\|%|(^|/)\.{1,2}(/|$)|[\x00-\x1f]", path)
    return address if plain and inside else INDEX
