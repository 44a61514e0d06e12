"""The ``profiles`` section: what a person picks on the spawn page."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from .base import Cores, Duration, GroupName, Identifier, Line, MemoryGiB, Section, Text, lasting


class Size(Section):
    """Cores and memory of a session; the limits it may use and what it is guaranteed."""

    cores: Cores
    """Cores that the session may use."""
    memory_gib: MemoryGiB
    """Memory that the session may use, GiB; above it a process is ended."""


class Profile(Section):
    """Image, sizes, accelerators and limits under one name."""

    name: Line
    """Title of the card."""
    description: Text = ""
    """What the profile is for, in a sentence or two."""
    image: Identifier
    """Key of ``images``."""
    for_groups: tuple[GroupName, ...] = Field(default=(), alias="for")
    """Groups that see the profile; empty: everybody."""
    accelerators: tuple[Identifier, ...] = ()
    """Keys of ``accelerators`` among which a person chooses; empty: none."""
    accelerator_required: bool = True
    """Whether a session of this profile must hold one of its accelerators (ignored when it lists none)."""
    sizes: Annotated[dict[Identifier, Size], Field(min_length=1)]
    """The choices of cores and memory; the first one is preselected."""
    max: Annotated[Duration, lasting(timedelta(minutes=1))]
    """Longest life of a session, a minute at least: then it is stopped."""
