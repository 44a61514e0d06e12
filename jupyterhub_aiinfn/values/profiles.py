"""The ``profiles`` section: what a person picks on the spawn page."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from .base import Cores, Duration, GroupName, Identifier, Line, MemoryGiB, Rate, Section, Text, lasting


class Size(Section):
    """Cores and memory of a session; the limits it may use and what it is guaranteed."""

    cores: Cores
    """Cores that the session may use."""
    memory_gib: MemoryGiB
    """Memory that the session may use, GiB; above it a process is ended."""
    guaranteed_cores: Cores | None = None
    """Cores that are kept for the session on a cluster; absent: all that it may use."""
    guaranteed_memory_gib: MemoryGiB | None = None
    """Memory that is kept for the session on a cluster, GiB; absent: all that it may use."""


class Idle(Section):
    """When a session counts as idle, and how long it may be so."""

    after: Annotated[Duration, lasting(timedelta(minutes=1))]
    """A session in which nothing worked for so long is stopped, after a warning; a minute at least."""
    cpu_below: Annotated[float, Field(ge=0, le=4096, allow_inf_nan=False)] = 0.05
    """Mean cores of all its processes below which nothing works in it, as measured from outside."""
    network_below: Annotated[Rate, Field(json_schema_extra={"default": "20 KiB/s"})] = 20 * 2**10
    """Mean traffic of all its processes below which nothing works in it: an open tab is below, a download above."""


class Extension(Section):
    """How a person may lengthen the longest life of a running session."""

    by: Annotated[Duration, lasting(timedelta(minutes=1))]
    """By how much one extension lengthens it, a minute at least."""
    times: Annotated[int, Field(ge=1, le=100)] = 1
    """How often one session may be extended."""


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
    idle: Idle | None = None
    """When a session counts as idle and is stopped; without it, sessions are stopped for their age only."""
    warn: Annotated[Duration, lasting(timedelta(0), timedelta(days=1))] = timedelta(minutes=15)
    """How long before such an end the person is warned; at most half of the limit in question."""
    extend: Extension | None = None
    """How a person may lengthen the longest life of a running session; without it not at all."""
    keep: Annotated[Duration, lasting(timedelta(minutes=1))] | None = None
    """How far ahead a person may ask that a session is not stopped for being idle; without it not at all."""
    wait: Annotated[Duration, lasting(timedelta(seconds=10), timedelta(hours=1))] | None = None
    """How long a session may wait for its device on a cluster with Kueue, an hour at most; without it not at all."""
