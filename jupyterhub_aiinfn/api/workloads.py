"""Workloads: what runs, ran, or waits to run on a backend."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from .base import Message


class WorkloadKind(StrEnum):
    """A session has a screen; a job has none."""

    session = "session"
    job = "job"


class JobClass(StrEnum):
    """``platform``: small guaranteed quota, never evicted. ``batch``: opportunistic."""

    platform = "platform"
    batch = "batch"


class Phase(StrEnum):
    """Where a workload is in its life."""

    starting = "starting"
    running = "running"
    ended = "ended"


class EndReason(StrEnum):
    """Why a workload ended."""

    finished = "finished"
    """It exited by itself with code 0."""
    failed = "failed"
    """It exited by itself with another code or by a signal."""
    stopped = "stopped"
    """Somebody stopped it."""
    max_age = "max-age"
    """It reached its longest life."""
    idle = "idle"
    """Nothing worked in it for as long as its profile allows."""
    administrator = "administrator"
    """An administrator ended it, with notice."""
    out_of_memory = "out-of-memory"
    """It went over its memory limit."""
    evicted = "evicted"
    """A cluster took its place away: its node had to be emptied, or, for batch, somebody entitled came first."""
    platform_stopped = "platform-stopped"
    """The platform was stopped, or its supervisor died."""
    lost = "lost"
    """Its runner vanished (kill -9, power cut); inferred by whoever looked next."""
    not_started = "not-started"
    """It could not be started at all."""


class Workload(Message):
    """One session or job, as its backend knows it."""

    id: str
    """Unique for ever."""
    kind: WorkloadKind
    job_class: JobClass | None = None
    name: str
    """For people: ``gpu of alice``, ``environment quantum``."""
    person: str | None = None
    """Login name of the person it runs for; None for the platform itself."""
    server_name: str | None = None
    """Name of the hub's server, "" for the default one; None for jobs."""
    project: str | None = None
    profile: str | None = None
    size: str | None = None
    image: str | None = None
    accelerator: str | None = None
    accelerator_count: int = 0
    devices: tuple[str, ...] = ()
    """Devices that it holds, such as ``rtx5000/0``."""
    emulated: bool = False
    """Whether the devices are emulated."""
    cores: float
    memory_gib: float
    values_hash: str | None = None
    phase: Phase
    created_at: datetime
    started_at: datetime | None = None
    ends_at: datetime | None = None
    """When its longest life is over, at the latest."""
    ended_at: datetime | None = None
    exit_code: int | None = None
    """Exit code; minus the signal's number when a signal ended it."""
    reason: EndReason | None = None
    message: str = ""
    """A sentence: why it ended."""
    inferred: bool = False
    """Whether the end was inferred and not observed."""


class Usage(Message):
    """What a workload has used since it started, measured from outside it; counters only grow.

    What came and went between two looks may be missing.
    """

    cpu_seconds: float
    """Processor time of all its processes, those that have ended included."""
    memory_bytes: int
    """Resident memory of all its processes; pages that they share count several times."""
    processes: int
    network_bytes: int | None = None
    """Received and sent over TCP by its processes; None where that cannot be told from others' traffic."""


class Progress(Message):
    """How far a job is; written by the job itself."""

    step: str
    """What it does now: ``downloading qiskit 2.6.2``."""
    done: int = 0
    """Units done (packages)."""
    total: int = 0
    """Units in all; 0 when unknown."""
    bytes_done: int = 0
    bytes_total: int = 0
    updated_at: datetime
