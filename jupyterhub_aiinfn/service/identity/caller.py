"""Who is behind a request, and what the scopes of their token say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jupyterhub_aiinfn.errors import ServiceError
from jupyterhub_aiinfn.service.settings import SERVICE

ACCESS = frozenset({"access:services", f"access:services!service={SERVICE}"})
INTERNAL = "internal"
"""Kind of whoever comes with the internal token; the hub's own kinds are "user" and "service"."""


@dataclass(frozen=True)
class HubIdentity:
    """What the hub says about the owner of a token."""

    name: str
    kind: str
    groups: tuple[str, ...]
    admin: bool
    scopes: frozenset[str]
    hub_session: str = ""
    """The browser session at the hub to which an OAuth token belongs; empty for other tokens."""

    @classmethod
    def from_model(cls, model: dict[str, Any]) -> HubIdentity:
        """From the answer to ``GET /hub/api/user``."""
        return cls(
            name=str(model["name"]),
            kind=str(model.get("kind", "user")),
            groups=tuple(sorted(str(group) for group in model.get("groups") or ())),
            admin=bool(model.get("admin", False)),
            scopes=frozenset(str(scope) for scope in model.get("scopes") or ()),
            hub_session=str(model.get("session_id") or ""),
        )

    @property
    def may_enter(self) -> bool:
        """Whether the token opens this service."""
        return not ACCESS.isdisjoint(self.scopes)


@dataclass(frozen=True)
class Caller:
    """Who is behind a request."""

    identity: HubIdentity
    csrf: str | None = None
    """The CSRF token of the browser's session; None for programs."""

    @property
    def name(self) -> str:
        """Login name."""
        return self.identity.name

    @property
    def is_platform(self) -> bool:
        """Whether this is the hub or the supervisor of this installation: no person has this kind."""
        return self.identity.kind == INTERNAL

    @property
    def server_name(self) -> str | None:
        """The session from which the request comes, "" for the default one; None for browsers and own tokens.

        Only the token's scopes say it: a server's token opens exactly one server of its owner.
        """
        servers = [scope for scope in self.identity.scopes if scope.startswith("access:servers")]
        prefix = f"access:servers!server={self.name}/"
        return servers[0].removeprefix(prefix) if len(servers) == 1 and servers[0].startswith(prefix) else None

    @property
    def sees_everybody(self) -> bool:
        """Whether this caller may see the sessions of all people.

        An administrator in the browser may; a program may when its token reads all servers, because an
        administrator's session must not carry the administrator's rights.
        """
        if self.csrf is not None:
            return self.identity.admin
        return "read:servers" in self.identity.scopes

    @property
    def administers(self) -> bool:
        """Whether this caller may end others' sessions and speak to everybody.

        An administrator in the browser may, and a program whose token stops all servers: no session's own token does.
        """
        if self.csrf is not None:
            return self.identity.admin
        return "delete:servers" in self.identity.scopes

    def require_administrator(self) -> None:
        """403 in words for everybody else."""
        if not self.administers:
            raise ServiceError(
                "only administrators may do this (a token needs the scope delete:servers)",
                status=403,
                reason="forbidden",
            )
