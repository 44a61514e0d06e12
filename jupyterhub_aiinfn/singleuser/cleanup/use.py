"""How full the home is: as the service says it, else as far as the session itself can see."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from jupyterhub_aiinfn.api.storage import FolderKind, QuotaMethod, StorageUse
from jupyterhub_aiinfn.client import Client
from jupyterhub_aiinfn.errors import ServiceError

PATIENCE = 2.0
"""Seconds for the service: the page works without it."""


def use_of_home(home: Path, problem: str, variables: Mapping[str, str]) -> StorageUse:
    """Use, limit and what is free. Blocking. ``problem`` is why nothing can be written, as tried just now, or empty."""
    said = said_by_service(variables)
    if said is None:
        return measured_use(home, problem)
    free = 0 if problem else said.free_bytes
    return said.model_copy(update={"writable": not problem, "problem": problem, "free_bytes": free})


def said_by_service(variables: Mapping[str, str]) -> StorageUse | None:
    """What the platform service says of the home; None outside the platform, and when it does not answer."""
    try:
        with Client.from_environment(variables, timeout=PATIENCE) as client:
            folders = client.storage(fresh=True).folders
    except ServiceError:
        return None
    return next((folder.use for folder in folders if folder.kind is FolderKind.home), None)


def measured_use(home: Path, problem: str) -> StorageUse:
    """What the file system says of the home.

    A limit that the file system keeps for one folder (a quota) is not seen from here: only ``problem`` tells of it.
    """
    found = os.statvfs(home)
    return StorageUse(
        used_bytes=None,
        limit_bytes=None,
        enforced=False,
        method=QuotaMethod.measured,
        free_bytes=0 if problem else found.f_bavail * found.f_frsize,
        free_inodes=found.f_favail if found.f_files else None,
        writable=not problem,
        problem=problem,
        measured_at=datetime.now(UTC),
    )
