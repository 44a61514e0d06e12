"""What a pod or Job says about its workload, written when it is made and read back for ever after."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from jupyterhub_aiinfn.api.workloads import EndReason, Phase, Workload
from jupyterhub_aiinfn.backends.base import WorkloadSpec

from .names import DESCRIPTION, END, MAX_SECONDS, WORKLOAD

FIELDS = (
    *("id", "kind", "job_class", "name", "person", "server_name", "project", "profile", "size", "image"),
    *("accelerator", "accelerator_count", "cores", "memory_gib", "values_hash"),
)
"""What is kept of a specification; nothing in it is secret."""

REMEMBERED = 4096
"""Characters of a description that is remembered; no honest one has so many."""
MAX_MESSAGE = 1000
"""Characters of why it was ended that are kept (arbitrary)."""


def describe(spec: WorkloadSpec) -> dict[str, str]:
    """The annotations of a workload."""
    said = {name: getattr(spec, name) for name in FIELDS}
    annotations = {DESCRIPTION: json.dumps(said, sort_keys=True)}
    if spec.max_seconds is not None:
        annotations[MAX_SECONDS] = str(spec.max_seconds)
    return annotations


def described(head: Mapping[str, Any], created_at: datetime) -> Workload | None:
    """The workload of an object's metadata, as starting; None for one that is not ours or that somebody changed."""
    annotations, labels = head.get("annotations"), head.get("labels")
    if not isinstance(annotations, Mapping) or not isinstance(labels, Mapping):
        return None
    text = annotations.get(DESCRIPTION)
    if not isinstance(text, str):
        return None
    read = _read if len(text) <= REMEMBERED else _read.__wrapped__
    found = read(text, created_at)
    return found if found is not None and labels.get(WORKLOAD) == found.id else None


@lru_cache(maxsize=4096)
def _read(text: str, created_at: datetime) -> Workload | None:
    """Each is read once: it stays the same through all changes of its object."""
    try:
        said = json.loads(text)
        fields = {name: said[name] for name in FIELDS}
        return Workload.model_validate_json(
            json.dumps({**fields, "phase": Phase.starting, "created_at": created_at.isoformat()})
        )
    except (KeyError, TypeError, ValueError, ValidationError, RecursionError):
        return None


def longest_life(head: Mapping[str, Any]) -> int | None:
    """Seconds that the workload may last, extensions included; None: for ever."""
    annotations = head.get("annotations")
    text = annotations.get(MAX_SECONDS) if isinstance(annotations, Mapping) else None
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 10 else None


def end_patch(reason: EndReason, message: str) -> dict[str, Any]:
    """The patch of a pod or Job that is about to be deleted: whoever sees it go then knows who ended it, and why."""
    said = json.dumps({"reason": reason.value, "message": message[:MAX_MESSAGE]})
    return {"metadata": {"annotations": {END: said}}}


def asked_end(head: Mapping[str, Any]) -> dict[str, Any] | None:
    """Reason and message of an end that somebody asked for; None when nobody did."""
    annotations = head.get("annotations")
    try:
        said = json.loads(annotations[END]) if isinstance(annotations, Mapping) else {}
        return {"reason": EndReason(said["reason"]), "message": str(said["message"])[:MAX_MESSAGE]}
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
