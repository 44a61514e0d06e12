"""Who is asking, as the service sees it."""

from __future__ import annotations

from .base import Message


class Me(Message):
    """The person or program behind a request."""

    name: str
    """Login name, or the name of a service of the hub."""
    kind: str = "user"
    """``user`` or ``service``."""
    groups: tuple[str, ...] = ()
    admin: bool = False
    projects: tuple[str, ...] = ()
    """Keys of ``projects`` of which the person is a member."""
    server_name: str | None = None
    """The session from which the request came, read from the token's scope; None for a browser or an own token."""


class Health(Message):
    """Whether the service works, part by part."""

    status: str
    """``ok`` or ``degraded``."""
    version: str
    values_hash: str
    database: str
    """``ok`` or what is wrong."""
    backend: str
    """``ok`` or what is wrong."""
    hub: str
    """``ok`` or what is wrong."""
