"""Devices that are kept for a caller: by a Job that does nothing on each of them, so that queues and nodes know."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jupyterhub_aiinfn.api.workloads import WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.values import Values

from . import manifests, names
from .description import describe
from .kueue import queue_of
from .manifests import PLATFORM, PodRequest

Manifest = dict[str, Any]


def hold_request(
    values: Values, spec: WorkloadSpec, groups: frozenset[str] = frozenset(), held_by_guarantee: int = 0
) -> PodRequest:
    """What a hold is made from; it waits in the queue in which a session of its project would.

    Any image of the values will do: one must have a container image. Raises :class:`BackendError` when none has.
    """
    image = next((key for key, entry in values.images.items() if entry.reference is not None), None)
    if image is None:
        raise BackendError("no image has a container image, so nothing can be held; write images.*.reference")
    as_session = replace(spec, kind=WorkloadKind.session, job_class=None)
    queue = queue_of(values, as_session, held_by_guarantee)
    return PodRequest(replace(spec, image=image), PLATFORM, groups, {}, queue)


def hold_job(values: Values, request: PodRequest) -> Manifest:
    """A Job with a pod for each device, on whatever nodes; Kueue takes up all of them at once or none.

    It is where sessions are, because only there the queues have devices.
    """
    one = replace(request, spec=replace(request.spec, accelerator_count=1))
    found = manifests.job(values, one)
    metadata = {
        **found["metadata"],
        "namespace": names.namespace_of(values, WorkloadKind.session),
        "annotations": describe(request.spec),
    }
    count = request.spec.accelerator_count
    return {**found, "metadata": metadata, "spec": {**found["spec"], "parallelism": count, "completions": count}}
