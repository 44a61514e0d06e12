"""What is made for a workload, in which order, and what is taken back: home, Secret, pod or Job, owner of the Secret.

Hub and service both start workloads through this module alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from jupyterhub_aiinfn.api.workloads import WorkloadKind
from jupyterhub_aiinfn.errors import ClusterRefused
from jupyterhub_aiinfn.values import Values

from . import manifests, names
from .calls import Calls
from .connection import CONFLICT, EXISTS, NOT_FOUND, refusal
from .manifests import PodRequest
from .orphans import orphans
from .translation import part

Object = dict[str, Any]
KINDS = {WorkloadKind.session: ("v1", "Pod"), WorkloadKind.job: ("batch/v1", "Job")}
"""What a workload is on the cluster."""


async def make_home(calls: Calls, values: Values, person: str) -> None:
    """Make the claim of a person's home where homes are claims; one that is there is left as it is. It has no owner."""
    claim = manifests.home_claim(values, person)
    if claim is None:
        return
    try:
        await calls.create("make the home", claim)
    except ClusterRefused as refused:
        if refused.reason != EXISTS:
            raise


async def make(
    calls: Calls, doing: str, values: Values, request: PodRequest, manifest: Mapping[str, Any] | None = None
) -> Object:
    """Make the Secret, then the pod or Job, then have the Secret go with it; the pod or Job as the API server has it.

    ``manifest`` is that of the pod or Job, by default as the values have it. Raises :class:`ClusterRefused`, with the
    reason ``AlreadyExists`` when something of that name is there; then, and when the API server refuses, nothing was
    made by this call. When it does not answer :func:`take_back` removes what there may be.
    """
    if manifest is None:
        manifest = manifest_of(values, request)
    secret = await _created(calls, doing, manifests.secret(values, request), request) if request.secrets else None
    try:
        made = await _created(calls, doing, manifest, request)
    except ClusterRefused as refused:
        if secret is not None and refused.code:
            await _delete(calls, "Secret", secret)
        raise
    if secret is not None:
        owner = manifests.owned_by(made)
        await calls.patch(doing, "Secret", part(secret, "metadata")["namespace"], request.name, owner)
    return made


def manifest_of(values: Values, request: PodRequest) -> Object:
    """The pod or Job of a workload."""
    session = request.spec.kind is WorkloadKind.session
    return (manifests.session_pod if session else manifests.job)(values, request)


async def take_back(calls: Calls, values: Values, request: PodRequest) -> None:
    """Remove whatever a start made of which nobody knows how far it came; nothing of another workload."""
    kind, namespace = request.spec.kind, names.namespace_of(values, request.spec.kind)
    for one in (KINDS[kind][1], "Secret"):
        for found in await calls.list("clean up", one, namespace, {names.WORKLOAD: request.spec.id}):
            if one == "Job":
                await let_go(calls, namespace, str(part(found, "metadata")["name"]))
            await _delete(calls, one, found)


async def let_go(calls: Calls, namespace: str, name: str) -> None:
    """Take our finalizer off a Job: from now on it can go. Nothing when the Job is gone or has no finalizer of ours."""
    try:
        found = part(await calls.read("let it go", "Job", namespace, name), "metadata")
        finalizers = [one for one in found.get("finalizers") or [] if one != names.FINALIZER]
        if names.FINALIZER in (found.get("finalizers") or []):
            head = {"finalizers": finalizers or None, "resourceVersion": found["resourceVersion"]}
            await calls.patch("let it go", "Job", namespace, name, {"metadata": head})
    except ClusterRefused as refused:
        if refused.code == CONFLICT:  # somebody changed it at the same moment
            return await let_go(calls, namespace, name)
        if refused.code != NOT_FOUND:
            raise


async def sweep(
    calls: Calls,
    values: Values,
    kind: WorkloadKind,
    under_way: Collection[str] = (),
    older_than: timedelta = timedelta(),
) -> list[str]:
    """Remove the Secrets that a killed start left without pod or Job, and give the others to theirs; the names removed.

    Starts ``under_way``, by the names of their pods or Jobs, are left alone, and so are Secrets that are younger: where
    several processes start workloads, they may be of a start of another one.
    """
    namespace, doing = names.namespace_of(values, kind), "look for what a killed start left"
    version, what = KINDS[kind]
    labels = {names.KIND: kind.value}
    secrets = await calls.list(doing, "Secret", namespace, labels)
    found = orphans(secrets, await calls.list(doing, what, namespace, labels), under_way)
    made = {str(part(one, "metadata").get("name")): _made_at(one) for one in secrets}
    useless = [name for name in found.useless if made[name] <= datetime.now(UTC) - older_than]
    for name in useless:
        await calls.delete(doing, "Secret", namespace, name)
    for name, owner in found.unowned:
        patch = manifests.owned_by({"apiVersion": version, "kind": what, **owner})
        await calls.patch(doing, "Secret", namespace, name, patch)
    return useless


def _made_at(found: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(part(found, "metadata")["creationTimestamp"])


async def _created(calls: Calls, doing: str, manifest: Mapping[str, Any], request: PodRequest) -> Object:
    """Make an object; one whose answer was lost is looked for, and must be of this very workload."""
    made = await calls.create(doing, manifest)
    kind, namespace = str(manifest["kind"]), str(manifest["metadata"]["namespace"])
    if not part(made, "metadata").get("uid"):
        listed = await calls.list(doing, kind, namespace, {names.WORKLOAD: request.spec.id})
        mine = [one for one in listed if part(one, "metadata").get("name") == request.name]
        if not mine:
            raise refusal(doing, CONFLICT, EXISTS)
        made = dict(mine[0])
    return {"apiVersion": manifest["apiVersion"], "kind": kind, **made}


async def _delete(calls: Calls, kind: str, found: Mapping[str, Any]) -> None:
    head = part(found, "metadata")
    await calls.delete("clean up", kind, str(head["namespace"]), str(head["name"]), uid=str(head["uid"]))
