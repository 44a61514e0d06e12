"""The ``nodes`` section: classes of machines of a cluster, for taints, ownership and what is kept back."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from .base import TAINT, Cores, Count, Identifier, Line, MemoryGiB, PositiveCount, Section


class Keep(Section):
    """What every node of a class keeps for itself: no session gets it."""

    cores: Annotated[float, Field(ge=0, le=4096, allow_inf_nan=False)] = 0
    """Cores."""
    memory_gib: Annotated[float, Field(ge=0, le=65536, allow_inf_nan=False)] = 0
    """Memory, GiB."""


class Machines(Section):
    """How many machines a class has, and what each has, of which ``keep`` is kept: stated, because they come and go."""

    count: PositiveCount
    """Machines of the class."""
    cores: Cores
    """Cores of each."""
    memory_gib: MemoryGiB
    """Memory of each, GiB."""
    accelerators: dict[Identifier, Count] = Field(default_factory=dict)
    """Devices of each, by key of ``accelerators``."""


class NodeClass(Section):
    """Machines that are alike; one machine alone has no use for it and ignores it."""

    selector: dict[Line, Line] = Field(default_factory=dict)
    """Node labels of the class; empty: every node."""
    taint: Annotated[str, StringConstraints(pattern=TAINT)] | None = None
    """``key=value``: only who tolerates it comes here; ``reserved=<group>`` keeps the class for members of a group."""
    owner: Line | None = None
    """Who paid for the machines."""
    keep: Keep = Keep()
    """What each machine of the class keeps back."""
    machines: Machines | None = None
    """What counts for quotas in place of the nodes that are there; absent: the nodes that are there."""
