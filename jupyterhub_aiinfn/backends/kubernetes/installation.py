"""Everything that an administrator applies to a cluster before the platform is installed, from the values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.kubernetes import Kubernetes

from .access import access_manifests, network_manifests
from .capacity import capacity
from .drift import PART_OF
from .kueue import PRIORITIES, kueue_manifests
from .manifests import cluster_of
from .names import PREFIX
from .volumes import memory, nfs_claims

Manifest = dict[str, Any]
WARNED = ("audit", "warn", "enforce")


def installation_manifests(
    values: Values, nodes: Sequence[Mapping[str, Any]] | None
) -> tuple[list[Manifest], list[str]]:
    """The manifests in an order in which they can be applied, and notes about the nodes.

    Raises :class:`~jupyterhub_aiinfn.errors.BackendError` for values of one machine and for more promises than nodes.
    """
    cluster = cluster_of(values)
    notes: list[str] = []
    queues: list[Manifest] = []
    if cluster.kueue is not None:
        found = capacity(values, nodes)
        notes = found.notes
        queues = kueue_manifests(values, found)
    parts = [
        *_namespaces(cluster),
        *_exports(values, cluster),
        *([] if cluster.kueue is not None else _priority_classes()),
        *access_manifests(cluster),
        *network_manifests(cluster),
        *queues,
    ]
    return [_labelled(part) for part in parts], notes


def _labelled(manifest: Manifest) -> Manifest:
    head = manifest["metadata"]
    return {**manifest, "metadata": {**head, "labels": {**PART_OF, **head.get("labels", {})}}}


def _namespaces(cluster: Kubernetes) -> Iterator[Manifest]:
    """The namespaces of workloads; that of the platform is the JupyterHub chart's."""
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in WARNED}
    for name in (cluster.sessions_namespace, cluster.jobs_namespace):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _exports(values: Values, cluster: Kubernetes) -> Iterator[Manifest]:
    """A volume and a claim for each NFS export in each namespace: Pod Security forbids exports in pods themselves.

    Nothing is made or deleted on the server; the size is of no meaning there, but a claim must have one.
    """
    for namespace in (cluster.sessions_namespace, cluster.jobs_namespace):
        for claim, (server, export) in nfs_claims(values.storage).items():
            volume = f"{namespace}.{claim}"
            size = {"storage": memory(1024)}
            yield {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": volume},
                "spec": {
                    "capacity": size,
                    "accessModes": ["ReadWriteMany"],
                    "persistentVolumeReclaimPolicy": "Retain",
                    "storageClassName": "",
                    "claimRef": {"namespace": namespace, "name": claim},
                    "mountOptions": ["nosuid", "nodev"],
                    "nfs": {"server": server, "path": export},
                },
            }
            yield {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": claim, "namespace": namespace},
                "spec": {
                    "accessModes": ["ReadWriteMany"],
                    "storageClassName": "",
                    "volumeName": volume,
                    "resources": {"requests": size},
                },
            }


def _priority_classes() -> Iterator[Manifest]:
    """Without Kueue the scheduler itself makes batch go for sessions; nobody makes a session or a platform job go."""
    for name, (value, words) in PRIORITIES.items():
        yield {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": f"{PREFIX}-{name}"},
            "value": value,
            "preemptionPolicy": "Never" if name == "batch" else "PreemptLowerPriority",
            "globalDefault": False,
            "description": words,
        }
