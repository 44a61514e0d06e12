"""With which uid and gids a person's session runs on a cluster, from what the hub knows of the person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyterhub import orm
from sqlalchemy import event
from sqlalchemy.orm import Session

from jupyterhub_aiinfn.model.numbers import Numbers, numbers_of
from jupyterhub_aiinfn.values import Values

from .spawner import GrantedSpawner

PROVIDER = "oauth_user"
"""Where JupyterHub's OAuthenticator keeps what the identity provider says, in the encrypted state of a login."""


class PeopleMemory:
    """The login names of a hub's database, oldest first; only who is new is read from it.

    A name that is changed or deleted in this process has all of them read anew.
    """

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        for what, when in ((orm.User.name, "set"), (orm.User, "after_delete")):
            event.listen(what, when, self._forget)

    def before(self, db: Session, user_id: int) -> list[str]:
        """Everybody who was there before that user."""
        last = max(self._names, default=0)
        if last < user_id:
            user: Any = orm.User  # its columns have no types
            new = db.query(user.id, user.name).filter(user.id > last, user.id <= user_id).order_by(user.id)
            self._names.update((number, name) for number, name in new)
        return [name for number, name in self._names.items() if number < user_id]

    def _forget(self, *_: object) -> None:
        self._names.clear()


PEOPLE = PeopleMemory()


async def numbers_for(spawner: GrantedSpawner, values: Values) -> Numbers:
    """The numbers of the spawner's person; :class:`~jupyterhub_aiinfn.errors.BackendError` when there are none.

    People whom the hub has known for longer keep a number that two would have.
    """
    user, folders, uid = spawner.user, spawner.platform.folders(spawner.person()), values.identity.uid
    claimed, before = None, list[str]()
    if uid is not None and uid.method == "claim":
        claimed = claim_of(await user.get_auth_state(), uid.claim)
    elif uid is not None and uid.method == "crc32":
        before = PEOPLE.before(spawner.db, user.orm_user.id)
    return numbers_of(
        values, user.name, folders.projects, claimed=claimed, before=before, writes_public=folders.writes_public
    )


def claim_of(state: Mapping[str, Any] | None, claim: str) -> object:
    """What the identity provider says under that name; other authenticators keep it at the top. None: nothing."""
    said = (state or {}).get(PROVIDER)
    return said[claim] if isinstance(said, Mapping) and claim in said else (state or {}).get(claim)
