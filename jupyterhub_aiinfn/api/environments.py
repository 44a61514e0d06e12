"""Environments of images, and the starts that wait for one."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from .base import Message
from .workloads import Progress


class EnvironmentState(StrEnum):
    """Whether sessions of an image can start."""

    ready = "ready"
    """They can."""
    building = "building"
    """A job builds it now."""
    missing = "missing"
    """Nobody has asked for it; choosing a profile with it builds it."""


class Environment(Message):
    """The environment of one image."""

    image: str
    """Key of ``images``."""
    name: str
    """Title of the image."""
    state: EnvironmentState
    job: str | None = None
    """The job that builds it, while ``building``."""
    progress: Progress | None = None
    """How far the job says it is."""


class StartState(StrEnum):
    """Where a start that waits for an environment is."""

    waiting = "waiting"
    """The environment is being built."""
    starting = "starting"
    """The hub is being asked to start the session."""
    started = "started"
    """The hub starts it; ``url`` shows how."""
    failed = "failed"
    """It will not start; ``message`` says why."""
    cancelled = "cancelled"
    """The person gave up."""
    expired = "expired"
    """It waited too long."""


class Start(Message):
    """A session that one person waits for."""

    id: str
    image: str
    """Key of ``images``."""
    image_name: str
    server_name: str
    """Name of the session at the hub, "" for the default one."""
    state: StartState
    message: str = ""
    """A sentence: why it is where it is."""
    progress: Progress | None = None
    """How far the build says it is."""
    others: int = 0
    """How many other people wait for the same build."""
    created_at: datetime
    elapsed_seconds: int = 0
    """Since it was asked for, until now or until its end."""
    log: str = ""
    """The last lines of the build, when it failed."""
    url: str
    """Where the session is to be followed, from the root of the site."""
