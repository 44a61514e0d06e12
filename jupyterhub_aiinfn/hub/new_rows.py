"""Named servers that a refused request brought into the hub's database: they go again, for they count against a limit.

JupyterHub makes the row of a named server before it asks anybody, already when the form is looked at. A row that was
made on purpose (PUT), or that has ever started, stays.
"""

from __future__ import annotations

import time
from typing import Any

FIRST_SEEN, OURS = "_aiinfn_first_seen", "_aiinfn_made_by_start"
KEPT = 5
"""Refused servers of a person that stay in memory without a row, so that their pending page can say why."""


def note(row: Any) -> None:
    """Remember when a row was first seen, which is when it was made unless the hub was started since."""
    if not hasattr(row, FIRST_SEEN):
        setattr(row, FIRST_SEEN, time.time())


def made_by(row: Any, handler: Any) -> None:
    """The request of ``handler`` shows the form or starts; if the row came with it, it was not made on purpose."""
    request = getattr(handler, "request", None)
    if request is not None and getattr(row, FIRST_SEEN, 0.0) >= request._start_time:
        setattr(row, OURS, True)


def remove(spawner: Any) -> None:
    """Delete the row of a refused spawner if a start made it; the caller commits.

    The spawner stays in memory, because the pending page reads the refusal from it.
    """
    if not spawner.name or not getattr(spawner.orm_spawner, OURS, False):
        return
    user = spawner.user
    user.db.delete(spawner.orm_spawner)
    gone = [name for name, other in user.spawners.items() if name and name not in user.orm_spawners]
    for name in gone[:-KEPT]:
        del user.spawners[name]
