"""What is free now."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from .base import Message


class ReservedDevices(Message):
    """Devices that only members of one of these groups can have, beside those that everybody can."""

    groups: tuple[str, ...]
    total: int
    used: int = 0
    gives_way: int = 0
    next_free_at: datetime | None = None


class DeviceAvailability(Message):
    """One accelerator of the catalogue, for somebody who is a member of no group; :meth:`seen_by` for others."""

    accelerator: str
    """Key of ``accelerators``."""
    total: int
    """Devices on this installation; on a cluster those of nodes that take somebody, and those in use."""
    used: int = 0
    """Held by running or starting workloads, or waited for."""
    gives_way: int = 0
    """How many of those used are held by batch that goes as soon as a session needs its place."""
    emulated: bool = False
    """Whether the devices are emulated."""
    reason: str = ""
    """Why there is none, in words: ``no NVIDIA GPU on this machine``; empty when ``total`` > 0."""
    next_free_at: datetime | None = None
    """When one is free at the latest; None when one is free now or nothing is known."""
    reserved: tuple[ReservedDevices, ...] = ()
    """What is kept for members of groups and is in none of the counts above."""

    @property
    def free(self) -> int:
        """Devices that a session can have now."""
        return max(0, self.total - self.used + self.gives_way)

    def seen_by(self, groups: Collection[str]) -> DeviceAvailability:
        """As a member of these groups sees it: with what is kept for them, and nothing of what is kept for others."""
        if not self.reserved:
            return self
        mine = [one for one in self.reserved if not set(one.groups).isdisjoint(groups)]
        shares: list[DeviceAvailability | ReservedDevices] = [self, *mine]
        total, used, gives_way = (sum(getattr(one, name) for one in shares) for name in ("total", "used", "gives_way"))
        moments = [one.next_free_at for one in shares if one.next_free_at is not None]
        changes = {
            "total": total,
            "used": used,
            "gives_way": gives_way,
            "reason": "" if total else self.reason,
            "next_free_at": min(moments, default=None) if total - used + gives_way <= 0 else None,
            "reserved": (),
        }
        return self.model_copy(update=changes)


class Availability(Message):
    """A snapshot; whoever reads it compares ``taken_at`` with the clock."""

    taken_at: datetime
    devices: dict[str, DeviceAvailability]
    """By key of ``accelerators``."""
    sessions: int = 0
    """Sessions running or starting."""
    images: dict[str, bool] = {}
    """By key of ``images``: whether its environment is ready to start."""

    def seen_by(self, groups: Collection[str]) -> Availability:
        """As a member of these groups sees it."""
        return self.model_copy(update={"devices": {key: one.seen_by(groups) for key, one in self.devices.items()}})
