"""Homes, folders of projects, the public folder and everything else that is mounted into a pod."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jupyterhub_aiinfn.api.workloads import WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.model.numbers import Numbers
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.storage import Bucket, Export, Host, SharedVolume, Storage

from .names import folder_name, home_claim, slug

Manifest = dict[str, Any]
NFS_CLAIM = "aiinfn-nfs"
"""Beginning of the names of claims that stand for NFS exports: Pod Security forbids exports in pods themselves."""
FILES = "/volumes"
"""Where the container that makes missing folders has the volumes."""


@dataclass(frozen=True)
class Place:
    """A folder of a volume, and where it is in the pod."""

    path: str
    claim: str
    folder: str | None = None
    """Folder of the claim; None: the whole claim."""
    read_only: bool = False
    mode: str | None = None
    """With which rights it is made when it is missing; None: somebody else makes it."""
    gid: int | None = None
    """To which group it then belongs; None: the person's own."""
    propagated: bool = False
    """Whether what the node mounts later appears in it (CVMFS mounts a repository when it is first looked at)."""


def home_path(person: str) -> str:
    """Where a person's home is in the pod."""
    return f"/home/{slug(person)}"


def nfs_claims(storage: Storage) -> dict[str, tuple[Host, Export]]:
    """The claims that stand for NFS exports, each with server and exported path; one for each export."""
    found: dict[tuple[Host, Export], str] = {}
    home = storage.home
    if home.backend == "nfs" and home.server is not None:
        found[(home.server, home.export)] = f"{NFS_CLAIM}-home"
    for name, volume in _shared(storage):
        if volume.server is not None:
            found.setdefault((volume.server, volume.export), f"{NFS_CLAIM}-{name}")
    return {claim: export for export, claim in found.items()}


def _shared(storage: Storage) -> Iterator[tuple[str, SharedVolume]]:
    if storage.project.volume is not None:
        yield "project", storage.project.volume
    if storage.public is not None and storage.public.volume is not None:
        yield "public", storage.public.volume


def claim_of(storage: Storage, volume: SharedVolume | None) -> str | None:
    """The claim of a shared volume, by default that of the homes; None: there is no such place."""
    if volume is not None and volume.claim is not None:
        return volume.claim
    home = storage.home
    wanted = (volume.server, volume.export) if volume is not None else (home.server, home.export)
    if volume is None and home.backend != "nfs":
        return home.claim if home.backend == "shared-claim" else None
    return next((claim for claim, export in nfs_claims(storage).items() if export == wanted), None)


def places(values: Values, spec: WorkloadSpec, numbers: Numbers, groups: frozenset[str]) -> list[Place]:
    """Everything of shared storage that the workload has; a job of the platform itself has none.

    :class:`BackendError` for a person's job where homes are claims of their own: it could not have the home.
    """
    if spec.person is None:
        return []
    storage = values.storage
    found = [_home(storage, spec, spec.person), *_projects(storage, spec, numbers), *_public(storage, spec)]
    found += [
        Place(f"/cvmfs/{name}", storage.cvmfs_claim, name, read_only=True, propagated=True) for name in storage.cvmfs
    ]
    found += [
        Place(f"/buckets/{key}", bucket.claim, read_only=bucket.read_only, propagated=True)
        for key, bucket in storage.buckets.items()
        if _has(bucket, groups)
    ]
    return found


def _has(bucket: Bucket, groups: frozenset[str]) -> bool:
    return not bucket.for_groups or not groups.isdisjoint(bucket.for_groups)


def _home(storage: Storage, spec: WorkloadSpec, person: str) -> Place:
    home = storage.home
    if home.backend == "claims":
        if spec.kind is not WorkloadKind.session:
            raise BackendError(
                "a job cannot have a home that is a claim of its own: claims belong to the namespace of sessions; "
                "run it in a session, or ask an administrator for homes in a shared claim or on an export"
            )
        return Place(home_path(person), home_claim(person))
    claim = claim_of(storage, None)
    assert claim is not None, "the values were checked"
    return Place(home_path(person), claim, folder_name(home.path, "name", person), mode="0700")


def _projects(storage: Storage, spec: WorkloadSpec, numbers: Numbers) -> Iterator[Place]:
    claim = claim_of(storage, storage.project.volume)
    for key in spec.folders if claim is not None else ():
        folder = folder_name(storage.project.path, "group", key)
        yield Place(f"/projects/{key}", str(claim), folder, mode="2770", gid=numbers.projects.get(key))


def _public(storage: Storage, spec: WorkloadSpec) -> Iterator[Place]:
    if storage.public is None or not spec.public:
        return
    claim = claim_of(storage, storage.public.volume)
    if claim is not None:
        yield Place("/public", claim, storage.public.folder, read_only=not spec.writes_public)


def needs_fs_group(values: Values) -> bool:
    """Whether the pod has a fresh volume of the person's own, which belongs to root until the cluster gives it away.

    The cluster would do the same to every other claim that its driver lets it: the values have no shared claim then.
    """
    scratch = values.storage.scratch
    return values.storage.home.backend == "claims" or (scratch is not None and scratch.kind == "claim")


def volumes(values: Values, spec: WorkloadSpec, found: list[Place]) -> list[Manifest]:
    """The volumes of the pod: each claim once, ``/dev/shm``, and scratch space."""
    claims = dict.fromkeys(place.claim for place in found)
    by_name = [{"name": volume_name(claim), "persistentVolumeClaim": {"claimName": claim}} for claim in claims]
    return [*by_name, _shm(values, spec), *_scratch(values)]


def mounts(values: Values, found: list[Place]) -> list[Manifest]:
    """Where the workload has them."""
    own = [{"name": "scratch", "mountPath": "/scratch"}] if values.storage.scratch is not None else []
    return [*map(_mount, found), {"name": "shm", "mountPath": "/dev/shm"}, *own]  # noqa: S108 - the pod's own


def volume_name(claim: str) -> str:
    """The name of a claim's volume within the pod."""
    return f"claim-{slug(claim)}"


def _mount(place: Place) -> Manifest:
    mount: Manifest = {"name": volume_name(place.claim), "mountPath": place.path}
    if place.folder is not None:
        mount["subPath"] = place.folder
    if place.read_only:
        mount["readOnly"] = True
    if place.propagated:
        mount["mountPropagation"] = "HostToContainer"
    return mount


def _shm(values: Values, spec: WorkloadSpec) -> Manifest:
    assert values.kubernetes is not None
    gib = min(values.kubernetes.sessions.shm_gib, spec.memory_gib)
    return {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": memory(gib)}}


def _scratch(values: Values) -> Iterator[Manifest]:
    scratch = values.storage.scratch
    if scratch is None:
        return
    if scratch.kind == "node":
        yield {"name": "scratch", "emptyDir": {"sizeLimit": memory(scratch.gib)}}
        return
    claim: Manifest = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": memory(scratch.gib)}},
    }
    if scratch.storage_class is not None:
        claim["storageClassName"] = scratch.storage_class
    yield {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}


def memory(gib: float) -> str:
    """GiB as Kubernetes writes them: whole MiB, never fewer."""
    return f"{max(1, -int(-gib * 1024 // 1))}Mi"


def cores(count: float) -> str:
    """Cores as Kubernetes writes them: whole thousandths, one at least."""
    return f"{max(1, round(count * 1000))}m"
