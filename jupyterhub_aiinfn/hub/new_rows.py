"""Named servers that only a form or a refused start brought into the hub's database: they go again, for they count.

JupyterHub makes the row of a named server before it asks anybody, already when the form is looked at, which a link of
any site can bring about. A row that was made (PUT) or changed (PATCH) on purpose, or that has ever started, stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from jupyterhub import orm
from sqlalchemy import event

SHOWN = "aiinfn-shown"
KEPT = 3
"""Rows of a person that stay though only a form made them: they hold the display name that a link gave (arbitrary)."""
REMEMBERED = 5
"""Refused servers of a person that stay in memory without a row, so that their pending page can say why (arbitrary)."""

made: ContextVar[Any] = ContextVar("made", default=None)
"""The row that the request under way made: Tornado answers each request in a task, hence a context, of its own."""


@event.listens_for(orm.Spawner, "init")
def _note(row: Any, *_: object) -> None:
    """SQLAlchemy says so for rows that are made, never for those that are read."""
    made.set(row)


def made_by_start(row: Any, options: Mapping[str, Any]) -> bool:
    """Whether nobody made the row on purpose; ``options`` are those that were stored before this request."""
    return bool(row.name) and (made.get() is row or _only_shown(row, options))


def mark(row: Any) -> dict[str, list[str]]:
    """What the row's state holds while a form is all that it was made for; it is in the database for the next hub."""
    return {SHOWN: [row.name, row.display_name]}


def show(spawner: Any) -> None:
    """A form is shown: mark the row that came with it, and let go of those that earlier forms made."""
    row = spawner.orm_spawner
    if row.name and made.get() is row:
        row.state = mark(row)
        forget(spawner.user, but=row)
        spawner.user.db.commit()


def forget(user: Any, but: Any) -> None:
    """Delete the rows that only a form made until, with ``but``, no more than ``KEPT`` are left; the caller commits."""
    rows = [row for row in user.orm_spawners.values() if row is not but and _may_go(user, row)]
    for row in sorted(rows, key=lambda row: int(row.id))[: max(0, len(rows) + 1 - KEPT)]:
        user.spawners.pop(row.name, None)
        user.db.delete(row)


def remove(spawner: Any) -> None:
    """Delete the row of a refused spawner that a start made; the caller commits.

    The spawner stays in memory, because the pending page reads the refusal from it.
    """
    user = spawner.user
    user.db.delete(spawner.orm_spawner)
    gone = [name for name, other in user.spawners.items() if name and name not in user.orm_spawners]
    for name in gone[:-REMEMBERED]:
        del user.spawners[name]


def _may_go(user: Any, row: Any) -> bool:
    spawner = user.spawners.get(row.name)
    return _only_shown(row, row.user_options) and not (spawner is not None and spawner.active)


def _only_shown(row: Any, options: Mapping[str, Any] | None) -> bool:
    """Whether a form made the row, and nobody gave it another name or options since."""
    return (row.state or {}).get(SHOWN) == mark(row)[SHOWN] and not options
