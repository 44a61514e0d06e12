"""When times of day are over, on a clock that is never set: the wall clock may be corrected by hours meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

TOLERANCE = timedelta(seconds=2)
"""Differences that are no correction of a clock (arbitrary)."""


class Deadlines:
    """The moments at which something ends, by a name; another moment for a name shifts its deadline by as much."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[datetime, float]] = {}

    def left(self, name: str, ends_at: datetime, now: datetime, clock: float) -> timedelta:
        """How long until then; negative when it is over. ``clock`` is seconds on the clock that is never set."""
        known = self._known.get(name)
        if known is None:
            deadline = clock + (ends_at - now).total_seconds()
        else:
            deadline = known[1] + (ends_at - known[0]).total_seconds()
        self._known[name] = (ends_at, deadline)
        return timedelta(seconds=deadline - clock)

    def moment(self, name: str, ends_at: datetime, now: datetime, clock: float) -> datetime:
        """When that is by the wall clock as it goes now: ``ends_at`` itself unless the clock was corrected."""
        moment = now + self.left(name, ends_at, now, clock)
        return ends_at if abs(moment - ends_at) <= TOLERANCE else moment.replace(microsecond=0)

    def keep(self, names: Iterable[str]) -> None:
        """Forget all others."""
        kept = set(names)
        self._known = {name: known for name, known in self._known.items() if name in kept}
