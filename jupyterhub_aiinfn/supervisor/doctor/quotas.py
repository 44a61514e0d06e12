"""Whether people can be kept to a quota where the homes are, as the platform itself finds out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jupyterhub_aiinfn.backends.local.quota.choose import choose_quota
from jupyterhub_aiinfn.backends.local.quota.measured import MeasuredQuota

from .findings import Finding, Patient, ok, warning


def quotas(patient: Patient) -> Iterator[Finding]:
    """What is enforced where the homes are, or will be, when this user runs the platform."""
    place = next(folder for folder in (patient.state.homes, *patient.state.homes.parents) if folder.is_dir())
    quota = choose_quota(place, no_number)
    if isinstance(quota, MeasuredQuota):
        yield warning("quotas", f"none is enforced, one person can fill the disk: {quota.note}")
    else:
        yield ok("quotas", f"enforced for homes and projects by quotas of {quota.method}")


def no_number(folder: Path) -> int:
    """Nothing is limited here, so that no folder needs a number."""
    raise AssertionError(f"the doctor limits nothing, and not {folder}")
