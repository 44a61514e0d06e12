"""Tickets: what the hub asks the service to start later, signed so that it can travel through the browser.

A link must never start anything. The hub signs what a person posted; the service starts only what the hub signed,
for the person who brings it, once, and not after it expired.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from jupyterhub_aiinfn.errors import Malformed

MAX_LENGTH = 8000


@dataclass(frozen=True)
class StartTicket:
    """A session of ``person`` to start when an environment is ready. ``expires`` is in seconds since the epoch.

    ``holder`` is who asked for it and may bring the ticket, when that is not the person (an administrator).
    ``next`` is the page of this site on which they want to be in the end, or empty.
    """

    id: str
    person: str
    server_name: str
    options: Mapping[str, str]
    image: str
    job: str
    expires: int
    holder: str = ""
    next: str = ""

    @property
    def bearer(self) -> str:
        """Who may bring this ticket."""
        return self.holder or self.person


def sign_ticket(key: str, ticket: StartTicket) -> str:
    """The ticket as text that fits into an address: payload and HMAC-SHA256, base64url."""
    payload = json.dumps(asdict(ticket), sort_keys=True, separators=(",", ":")).encode()
    return f"{_encode(payload)}.{_encode(_signature(key, payload))}"


def read_ticket(key: str, text: str, *, now: float) -> StartTicket:
    """The ticket that :func:`sign_ticket` made; :class:`Malformed` when it is forged, damaged or expired."""
    try:
        if len(text) > MAX_LENGTH:
            raise ValueError("too long")
        payload, signature = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in text.split("."))
        if not hmac.compare_digest(signature, _signature(key, payload)):
            raise ValueError("signature")
        ticket = StartTicket(**json.loads(payload))
    except (ValueError, TypeError) as error:
        raise Malformed("this link was not made by the hub; start the session again from the hub's page") from error
    if ticket.expires < now:
        raise Malformed("this link is too old; start the session again from the hub's page")
    return ticket


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _signature(key: str, payload: bytes) -> bytes:
    return hmac.new(key.encode(), payload, hashlib.sha256).digest()
