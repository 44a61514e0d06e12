"""What is free now."""

from __future__ import annotations

from datetime import datetime

from .base import Message


class DeviceAvailability(Message):
    """One accelerator of the catalogue."""

    accelerator: str
    """Key of ``accelerators``."""
    total: int
    """Devices on this installation."""
    used: int = 0
    """Held by running or starting workloads."""
    emulated: bool = False
    """Whether the devices are emulated."""
    reason: str = ""
    """Why there is none, in words: ``no NVIDIA GPU on this machine``; empty when ``total`` > 0."""
    next_free_at: datetime | None = None
    """When one is free at the latest; None when one is free now or nothing is known."""

    @property
    def free(self) -> int:
        """Devices that a session can have now."""
        return max(0, self.total - self.used)


class Availability(Message):
    """A snapshot; whoever reads it compares ``taken_at`` with the clock."""

    taken_at: datetime
    devices: dict[str, DeviceAvailability]
    """By key of ``accelerators``."""
    sessions: int = 0
    """Sessions running or starting."""
    images: dict[str, bool] = {}
    """By key of ``images``: whether its environment is ready to start."""
