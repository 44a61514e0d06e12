"""Sessions that run or start."""

from __future__ import annotations

from datetime import datetime

from .base import Message
from .workloads import Workload


class Sessions(Message):
    """The sessions that whoever asks may see, oldest first."""

    taken_at: datetime
    """When this was true."""
    sessions: tuple[Workload, ...] = ()
