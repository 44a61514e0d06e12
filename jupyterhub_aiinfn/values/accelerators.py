"""The ``accelerators`` section: the catalogue of devices that a session may hold."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from .base import FRACTION, Count, Line, PositiveCount, Section, Text
from .prices import Prices


class Accelerator(Section):
    """A kind of device: a GPU model or slice, an FPGA card, a QPU."""

    type: Literal["gpu", "fpga", "qpu"]
    """What kind of device it is."""
    name: Line
    """What people read on the card."""
    description: Text = ""
    """One or two sentences: what it is good for."""
    card: Line | None = None
    """The physical card, when this is a slice of one."""
    fraction: Annotated[str, StringConstraints(pattern=FRACTION)] | None = None
    """Share of the card, such as ``1/7``."""
    resource: Line | None = None
    """Kubernetes extended resource, such as ``nvidia.com/gpu``."""
    node_selector: dict[Line, Line] = Field(default_factory=dict)
    """Node labels that tell this device from others of the same resource."""
    memory_gb: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] | None = None
    """Device memory, as the vendor states it, in GB."""
    preference_weight: Annotated[int, Field(ge=0, le=100)] = 50
    """A larger weight is less valuable and preferred when anything will do."""
    per_session: Annotated[tuple[PositiveCount, ...], Field(min_length=1)] = (1,)
    """How many of them one session may hold: the listed choices."""
    price_per_hour: Prices = ()
    """One of them for an hour: a list of ``from`` and ``price``, or one price for always; without any, not priced."""
    emulated: Count = 0
    """Devices that this machine pretends to have (local backend); every screen says EMULATED."""
