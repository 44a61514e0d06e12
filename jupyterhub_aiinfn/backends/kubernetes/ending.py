"""How pods and Jobs are ended: first written down who wants it and why, then deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyterhub_aiinfn.errors import ClusterRefused

from .calls import Calls
from .connection import CONFLICT, NOT_FOUND
from .description import asked_end
from .translation import part

Object = Mapping[str, Any]
ATTEMPTS = 5
DEFAULT_GRACE = 30
"""Seconds, where a pod says nothing: Kubernetes' own."""


async def say_why(calls: Calls, found: Object, patch: Object) -> bool:
    """Write who ends it, and why, unless somebody was first or it is gone; False when that cannot be written.

    Kueue has to agree to each change of a pod, and to no deletion: while it is away a workload still ends.
    """
    try:
        for _ in range(ATTEMPTS):
            head = part(await calls.read("stop it", *where(found)), "metadata")
            if asked_end(head) is not None or head.get("deletionTimestamp"):
                return True
            guarded = {"metadata": {**patch["metadata"], "resourceVersion": head["resourceVersion"]}}
            try:
                await calls.patch("stop it", *where(found), guarded)
                return True
            except ClusterRefused as error:
                if error.code != CONFLICT:
                    raise
    except ClusterRefused as error:
        return error.code == NOT_FOUND
    return False


async def delete(calls: Calls, found: Object, grace: int | None = None) -> None:
    """Have it deleted; the pods of a Job before it, because our finalizer keeps the Job and it would keep them."""
    cascade = "Foreground" if found["kind"] == "Job" else ""
    uid = str(part(found, "metadata")["uid"])
    try:
        await calls.delete("stop it", *where(found), grace, uid=uid, cascade=cascade)
    except ClusterRefused as error:
        if error.code != CONFLICT:  # another one has its name by now
            raise


def where(found: Object) -> tuple[str, str, str]:
    """Kind, namespace and name of an object."""
    head = part(found, "metadata")
    return str(found["kind"]), str(head["namespace"]), str(head["name"])


def grace_of(found: Object) -> int:
    """Seconds that the pod, or that of the Job, has to end politely."""
    spec = part(found, "spec")
    spec = part(part(spec, "template"), "spec") if found["kind"] == "Job" else spec
    seconds = spec.get("terminationGracePeriodSeconds")
    return seconds if isinstance(seconds, int) else DEFAULT_GRACE
