"""The ``limits`` section: what holds for everybody, whatever the profile."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from .base import Duration, PositiveCount, Section, lasting


class Limits(Section):
    """Caps and time limits of the site."""

    sessions_per_person: Annotated[int, Field(ge=1, le=50)] = 1
    """Sessions that one person may have at a time; above 1 they have names."""
    concurrent_starts: PositiveCount = 16
    """Sessions that may be starting at a time."""
    start_timeout: Annotated[Duration, lasting(timedelta(seconds=10))] = timedelta(minutes=2)
    """How long a session may take to answer."""
    stop_grace: Annotated[Duration, lasting(timedelta(seconds=4), timedelta(minutes=5))] = timedelta(seconds=5)
    """Time between the polite and the hard end of a session; what is open is saved in it, which takes up to 4 s."""
    build_timeout: Annotated[Duration, lasting(timedelta(seconds=10))] = timedelta(minutes=60)
    """How long the build of an environment may take."""
    keep_workloads: Duration = timedelta(days=30)
    """How long records and logs of ended workloads are kept."""
