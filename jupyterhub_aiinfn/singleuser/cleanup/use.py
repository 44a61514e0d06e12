"""How full the home is, as far as the session itself can see."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from jupyterhub_aiinfn.api.storage import QuotaMethod, StorageUse


def measured_use(home: Path, problem: str) -> StorageUse:
    """What the file system says of the home; ``problem`` is why nothing can be written, or empty.

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
