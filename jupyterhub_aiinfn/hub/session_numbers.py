"""With which uid and gids a person's session runs on a cluster, from what the hub knows of the person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyterhub import orm

from jupyterhub_aiinfn.model.numbers import Numbers, numbers_of
from jupyterhub_aiinfn.values import Values

from .spawner import GrantedSpawner

PROVIDER = "oauth_user"
"""Where JupyterHub's OAuthenticator keeps what the identity provider says, in the encrypted state of a login."""


async def numbers_for(spawner: GrantedSpawner, values: Values) -> Numbers:
    """The numbers of the spawner's person; :class:`~jupyterhub_aiinfn.errors.BackendError` when there are none.

    People whom the hub has known for longer keep a number that two would have.
    """
    user, folders, uid = spawner.user, spawner.platform.folders(spawner.person()), values.identity.uid
    state = await user.get_auth_state() if uid is not None and uid.method == "claim" else None
    known = spawner.db.query(orm.User.name).filter(orm.User.id < user.orm_user.id)
    return numbers_of(
        values,
        user.name,
        folders.projects,
        claimed=claim_of(state, uid.claim) if uid is not None else None,
        before=[name for (name,) in known],
        writes_public=folders.writes_public,
    )


def claim_of(state: Mapping[str, Any] | None, claim: str) -> object:
    """What the identity provider says under that name; other authenticators keep it at the top. None: nothing."""
    said = (state or {}).get(PROVIDER)
    return said[claim] if isinstance(said, Mapping) and claim in said else (state or {}).get(claim)
