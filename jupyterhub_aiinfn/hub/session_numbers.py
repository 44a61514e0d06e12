"""With which uid and gids a person's session runs on a cluster, from what the hub knows of the person."""

from __future__ import annotations

from jupyterhub import orm

from jupyterhub_aiinfn.model.numbers import Numbers, numbers_of
from jupyterhub_aiinfn.values import Values

from .spawner import GrantedSpawner


async def numbers_for(spawner: GrantedSpawner, values: Values) -> Numbers:
    """The numbers of the spawner's person; :class:`~jupyterhub_aiinfn.errors.BackendError` when there are none.

    People whom the hub has known for longer keep a number that two would have.
    """
    user, folders, uid = spawner.user, spawner.platform.folders(spawner.person()), values.identity.uid
    claims = await user.get_auth_state() if uid is not None and uid.method == "claim" else None
    known = spawner.db.query(orm.User.name).filter(orm.User.id < user.orm_user.id)
    return numbers_of(
        values,
        user.name,
        folders.projects,
        claimed=(claims or {}).get(uid.claim) if uid is not None else None,
        before=[name for (name,) in known],
        writes_public=folders.writes_public,
    )
