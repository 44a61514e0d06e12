"""Pods, Jobs, Secrets and claims of workloads: pure functions of the values and of what was granted.

Every pod fits Pod Security "restricted", holds no literal secret, and says in labels and one annotation what it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jupyterhub_aiinfn.api.workloads import WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.model.numbers import Numbers
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.kubernetes import Kubernetes, Sidecar

from . import names, placement, volumes
from .description import describe
from .secrecy import require_no_secret

Manifest = dict[str, Any]
PLATFORM = Numbers(65_532, 65_532)
"""With what jobs of the platform itself run: the number that images without root agree on ("nonroot")."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FOLDERS_SCRIPT = """\
set -eu
umask 077
while [ $# -gt 0 ]; do
  if [ ! -d "$1" ]; then
    new="$1.new-${HOSTNAME:-0}"
    [ -d "$new" ] || mkdir -- "$new"
    [ -z "$3" ] || chgrp -- "$3" "$new"
    chmod -- "$2" "$new"
    mv -T -n -- "$new" "$1" || [ -d "$1" ]
    rmdir -- "$new" 2>/dev/null || :
  fi
  shift 3
done
"""
"""Makes folders that are missing, as the person; arguments are path, mode and gid, again and again.

Each is made under another name first: nobody finds one with half its rights, and of two sessions at once one makes it.
"""
KEPT_AFTER_END = 3600
"""Seconds for which a Job that has ended is kept with its log, beyond the moment its end is on record (arbitrary)."""
SHARED_UMASK = ("/bin/sh", "-c", 'umask 0002; exec "$@"', "workload")
"""Members write for one another: what is made in a shared folder belongs to its group by the setgid bit of the folder,
and the mask leaves the group its rights. In the home it changes nothing: everybody's own group has one member."""


@dataclass(frozen=True)
class PodRequest:
    """What a pod is made from, beside the values."""

    spec: WorkloadSpec
    numbers: Numbers = PLATFORM
    groups: frozenset[str] = frozenset()
    """Groups of the person: by them reserved nodes and buckets open."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables that go into the Secret; the pod only names them."""
    queue: str | None = None
    """Kueue's local queue; None: the cluster decides alone."""

    @property
    def name(self) -> str:
        """The name of pod, Job and Secret."""
        return names.object_name(self.spec)


def session_pod(values: Values, request: PodRequest) -> Manifest:
    """The pod of a session. Raises :class:`BackendError` for what no cluster can start."""
    head = {"name": request.name, "namespace": names.namespace_of(values, WorkloadKind.session)}
    template = pod_template(values, request)
    pod: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**head, **template["metadata"]},
        "spec": template["spec"],
    }
    require_no_secret(pod, request.secrets.values())
    return pod


def job(values: Values, request: PodRequest) -> Manifest:
    """The Job of a workload without a screen.

    Its finalizer keeps it until its end is in the ledger. Kueue takes it up suspended, and suspends it again when
    somebody who is entitled needs its place; nothing else starts it twice.
    """
    spec, template = request.spec, pod_template(values, request)
    metadata = {
        "name": request.name,
        "namespace": names.namespace_of(values, WorkloadKind.job),
        "labels": template["metadata"]["labels"],
        "annotations": template["metadata"]["annotations"],
        "finalizers": [names.FINALIZER],
    }
    queued = (names.QUEUE, names.PRIORITY)  # of the Job: a pod with them would be queued once more by itself
    inner = {key: value for key, value in metadata["labels"].items() if key not in queued}
    content: Manifest = {
        "suspend": request.queue is not None,
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": 0,
        "podReplacementPolicy": "Failed",
        "ttlSecondsAfterFinished": KEPT_AFTER_END,
        "template": {**template, "metadata": {**template["metadata"], "labels": inner}},
    }
    if spec.max_seconds is not None:
        content["activeDeadlineSeconds"] = spec.max_seconds
    found: Manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": content}
    require_no_secret(found, request.secrets.values())
    return found


def secret(values: Values, request: PodRequest) -> Manifest:
    """The Secret with the variables that only the pod's own program sees; made before the pod."""
    _check_variables(request.secrets)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": request.name,
            "namespace": names.namespace_of(values, request.spec.kind),
            "labels": names.labels_of(request.spec),
        },
        "type": "Opaque",
        "immutable": True,
        "stringData": dict(request.secrets),
    }


def owned_by(owner: Mapping[str, Any]) -> Manifest:
    """The patch of a Secret with which it goes when the pod or Job goes; ``owner`` is that as the API server has it."""
    head = owner["metadata"]
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": head["name"], "uid": head["uid"]}
    return {"metadata": {"ownerReferences": [reference]}}


def home_claim(values: Values, person: str) -> Manifest | None:
    """The claim of a person's home; None where homes are folders. It has no owner: nothing ever deletes it."""
    home = values.storage.home
    if home.backend != "claims":
        return None
    assert home.quota_gib is not None, "the values were checked"
    spec: Manifest = {
        "accessModes": [home.access],
        "resources": {"requests": {"storage": volumes.memory(home.quota_gib)}},
    }
    if home.storage_class is not None:
        spec["storageClassName"] = home.storage_class
    labels = {"app.kubernetes.io/managed-by": "jupyterhub-aiinfn", names.PERSON: names.slug(person)}
    head = {
        "name": names.home_claim(person),
        "namespace": names.namespace_of(values, WorkloadKind.session),
        "labels": labels,
        "annotations": {names.PERSON: person},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": head, "spec": spec}


def pod_template(values: Values, request: PodRequest) -> Manifest:
    """Metadata (without a name) and specification of a workload's pod."""
    spec, cluster = request.spec, cluster_of(values)
    found = volumes.places(values, spec, request.numbers, request.groups)
    content: Manifest = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _grace(cluster, spec),
        "securityContext": _pod_security(values, spec, request.numbers),
        "initContainers": [*_make_folders(values, request, found), *_sidecars(cluster, spec)],
        "containers": [_main(values, request, found)],
        "volumes": volumes.volumes(values, spec, found),
        "nodeSelector": placement.node_selector(values, spec),
        "tolerations": placement.tolerations(values, request.groups),
        "affinity": placement.affinity(values, spec, request.groups),
        "imagePullSecrets": [{"name": name} for name in cluster.sessions.pull_secrets],
    }
    if cluster.sessions.scheduler is not None:
        content["schedulerName"] = cluster.sessions.scheduler
    if cluster.kueue is None:
        content["priorityClassName"] = names.priority_class(values, spec)
    metadata = {"labels": _labels(values, request), "annotations": describe(spec)}
    return {"metadata": metadata, "spec": {key: value for key, value in content.items() if value not in ([], {})}}


def cluster_of(values: Values) -> Kubernetes:
    """The section of the cluster; :class:`BackendError` when the values are for one machine."""
    if values.kubernetes is None:
        raise BackendError("these values are for one machine; add the section kubernetes for a cluster")
    return values.kubernetes


def _labels(values: Values, request: PodRequest) -> dict[str, str]:
    labels = names.labels_of(request.spec)
    if request.queue is not None:
        labels |= {names.QUEUE: request.queue, names.PRIORITY: names.priority_class(values, request.spec)}
    return labels


def _grace(cluster: Kubernetes, spec: WorkloadSpec) -> int:
    if spec.kind is WorkloadKind.session:
        return int(cluster.sessions.stop_grace.total_seconds())
    return max(1, round(spec.grace_seconds))


def _pod_security(values: Values, spec: WorkloadSpec, numbers: Numbers) -> Manifest:
    found: Manifest = {
        "runAsNonRoot": True,
        "runAsUser": numbers.uid,
        "runAsGroup": numbers.gid,
        "supplementalGroups": numbers.supplementary,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if spec.person is not None and volumes.needs_fs_group(values):
        found |= {"fsGroup": numbers.gid, "fsGroupChangePolicy": "OnRootMismatch"}
    return found


def _container(name: str, image: str, cluster: Kubernetes) -> Manifest:
    """What every container has in common: no right beyond those of its uid."""
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": cluster.sessions.pull,
        "securityContext": {
            "runAsNonRoot": True,
            "privileged": False,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def _main(values: Values, request: PodRequest, found: list[volumes.Place]) -> Manifest:
    spec, cluster = request.spec, cluster_of(values)
    shares = any(place.mode is not None and place.gid is not None for place in found) or spec.writes_public
    command = [*(SHARED_UMASK if shares else ()), *spec.command]
    container = _container(names.MAIN, image_of(values, spec), cluster) | {
        "command": [literal(word) for word in command],
        # That of the image may be closed to the person's uid, and no program could be started there.
        "workingDir": "/" if spec.person is None else volumes.home_path(spec.person),
        "env": _environment(values, request, found),
        "resources": _resources(values, spec),
        "volumeMounts": volumes.mounts(values, found),
    }
    if spec.kind is WorkloadKind.session:
        container["ports"] = [{"name": "notebook-port", "containerPort": cluster.sessions.port, "protocol": "TCP"}]
    return container


def image_of(values: Values, spec: WorkloadSpec) -> str:
    """The container image of a workload: one that the values list, whatever was asked for."""
    image = values.images.get(spec.image) if spec.image is not None else None
    if image is None or image.reference is None:
        raise BackendError(
            f'there is no container image "{spec.image}" for a cluster; an administrator writes images.*.reference'
        )
    return image.reference


def literal(text: str) -> str:
    """A text that Kubernetes leaves as it is: it would replace ``$(NAME)`` by the value of a variable."""
    return text.replace("$", "$$")


def _environment(values: Values, request: PodRequest, found: list[volumes.Place]) -> list[Manifest]:
    public = {**_own_variables(values, request.spec, found), **request.spec.environment}
    _check_variables({**public, **request.secrets})
    kept = {name: value for name, value in public.items() if name not in request.secrets}
    return [
        *({"name": name, "value": literal(value)} for name, value in kept.items()),
        *({"name": name, "valueFrom": _reference(request.name, name)} for name in request.secrets),
    ]


def _reference(secret_name: str, key: str) -> Manifest:
    return {"secretKeyRef": {"name": secret_name, "key": key}}


def _own_variables(values: Values, spec: WorkloadSpec, found: list[volumes.Place]) -> dict[str, str]:
    variables = {"AIINFN_WORKLOAD": spec.id, "PYTHONNOUSERSITE": "1"}
    paths = {place.path for place in found}
    if spec.person is not None:
        name, home = names.slug(spec.person), volumes.home_path(spec.person)
        variables |= {"HOME": home, "USER": name, "LOGNAME": name, "EMAIL": f"{name}@localhost"}
    if any(path.startswith("/projects/") for path in paths):
        variables["AIINFN_PROJECTS_FOLDER"] = "/projects"
    if f"/projects/{spec.project}" in paths:
        variables["AIINFN_PROJECT_FOLDER"] = f"/projects/{spec.project}"
    if "/public" in paths:
        variables["AIINFN_PUBLIC_FOLDER"] = "/public"
    entry = placement.accelerator_of(values, spec)
    if entry is None or entry.type != "gpu":
        # Where NVIDIA's runtime is the default one, an image that asks for "all" would see every card of the node.
        variables["NVIDIA_VISIBLE_DEVICES"] = "void"
    return variables


def _check_variables(variables: Mapping[str, str]) -> None:
    wrong = [name for name in variables if not VARIABLE.fullmatch(name)]
    if wrong:
        raise BackendError(f'"{wrong[0][:60]!r}" is not the name of a variable; use letters, digits and _')
    if any("\0" in value for value in variables.values()):
        raise BackendError("a variable of the workload holds a zero byte, which no program can be given")


def _resources(values: Values, spec: WorkloadSpec) -> Manifest:
    """Guarantees and limits; a device is both."""
    devices = placement.devices(values, spec)
    kept_cores = spec.cores if spec.guaranteed_cores is None else min(spec.guaranteed_cores, spec.cores)
    kept_gib = spec.memory_gib if spec.guaranteed_memory_gib is None else spec.guaranteed_memory_gib
    kept = {"cpu": volumes.cores(kept_cores), "memory": volumes.memory(min(kept_gib, spec.memory_gib))}
    limits = {"cpu": volumes.cores(spec.cores), "memory": volumes.memory(spec.memory_gib)}
    return {"requests": kept | devices, "limits": limits | devices}


def _make_folders(values: Values, request: PodRequest, found: list[volumes.Place]) -> list[Manifest]:
    """A container that makes missing folders before they are mounted: the node would make them as root."""
    missing = [place for place in found if place.mode is not None and place.folder is not None]
    if not missing:
        return []
    words = [
        word
        for place in missing
        for word in (
            f"{volumes.FILES}/{volumes.volume_name(place.claim)}/{place.folder}",
            str(place.mode),
            "" if place.gid is None else str(place.gid),
        )
    ]
    kept = {"cpu": volumes.cores(0.01), "memory": volumes.memory(1 / 16)}
    container = _container("make-folders", image_of(values, request.spec), cluster_of(values)) | {
        "command": ["/bin/sh", "-c", literal(FOLDERS_SCRIPT), "make-folders", *map(literal, words)],
        "resources": {"requests": kept, "limits": {"cpu": volumes.cores(1), "memory": volumes.memory(1 / 8)}},
        "volumeMounts": [
            {"name": name, "mountPath": f"{volumes.FILES}/{name}"}
            for name in dict.fromkeys(volumes.volume_name(place.claim) for place in missing)
        ],
    }
    return [container]


def _sidecars(cluster: Kubernetes, spec: WorkloadSpec) -> list[Manifest]:
    """Containers beside a session; started before it, they end after it and never keep the pod."""
    sidecars = cluster.sessions.sidecars if spec.kind is WorkloadKind.session else {}
    return [_sidecar(cluster, name, sidecar) for name, sidecar in sidecars.items()]


def _sidecar(cluster: Kubernetes, name: str, sidecar: Sidecar) -> Manifest:
    held = {"cpu": volumes.cores(sidecar.cores), "memory": volumes.memory(sidecar.memory_gib)}
    container = _container(f"sidecar-{names.slug(name)}", sidecar.image, cluster)
    container |= {"restartPolicy": "Always", "resources": {"requests": held, "limits": dict(held)}}
    if sidecar.command:
        container["command"] = [literal(word) for word in sidecar.command]
    return container
