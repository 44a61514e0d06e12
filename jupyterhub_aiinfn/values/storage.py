"""The ``storage`` section: where homes, project folders and the public folder live, and how full they may become."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from .base import EXPORT, GROUP_FOLDER, HOME, HOST, REPOSITORY, GroupName, Identifier, ObjectName, Section

StorageGiB = Annotated[float, Field(ge=0.01, le=1_000_000, allow_inf_nan=False)]
"""A limit of a folder; 10 MiB at least, because an empty home already needs something."""
Host = Annotated[str, StringConstraints(pattern=HOST)]
Export = Annotated[str, StringConstraints(pattern=EXPORT)]
Repository = Annotated[str, StringConstraints(pattern=REPOSITORY)]
"""Name of a CVMFS repository: ``lhcb.cern.ch``."""


class Home(Section):
    """One home for each person, the same for all profiles."""

    backend: Literal["local", "claims", "shared-claim", "nfs"] = "local"
    """``local``: a folder of the state folder's ``homes``, on one machine. On a cluster: ``claims`` (a claim for each
    person), ``shared-claim`` (a folder of one claim) or ``nfs`` (a folder of an existing export)."""
    path: Annotated[str, StringConstraints(pattern=HOME, max_length=64)] = "user-{name}"
    """Name of the home folder; ``{name}`` is the login name."""
    quota_gib: StorageGiB | None = None
    """What a home may hold, GiB; absent: what the disk has. Enforced where the file system can (btrfs, XFS); with
    ``claims`` the size of each."""
    claim: ObjectName | None = None
    """``shared-claim``: the claim; it must exist in the namespace of sessions, and in that of jobs."""
    storage_class: ObjectName | None = None
    """``claims``: the storage class; absent: the cluster's default."""
    access: Literal["ReadWriteMany", "ReadWriteOnce"] = "ReadWriteMany"
    """``claims``: ``ReadWriteOnce`` when only one node at a time can have the volume."""
    server: Host | None = None
    """``nfs``: the server."""
    export: Export = "/"
    """``nfs``: the exported path that holds the folders."""


class SharedVolume(Section):
    """Where a cluster has a folder that several people use: a claim, or an NFS export."""

    claim: ObjectName | None = None
    """A claim that exists in the namespace of sessions, and in that of jobs."""
    server: Host | None = None
    """The NFS server, in place of a claim."""
    export: Export = "/"
    """The exported path on the server."""


class ProjectFolders(Section):
    """One folder for each project but the personal one, shared by its members."""

    path: Annotated[str, StringConstraints(pattern=GROUP_FOLDER, max_length=64)] = "shared-{group}"
    """Name of the folder below the state folder's ``projects``, or in the volume of a cluster; ``{group}`` is the
    project's key."""
    volume: SharedVolume | None = None
    """On a cluster: where the folders are; absent: beside the homes, where these share a claim or an export, else there
    are none."""


class Public(Section):
    """One folder that everybody reads."""

    writers: tuple[GroupName, ...] = ()
    """Groups whose members may write there; others only read."""
    quota_gib: StorageGiB | None = None
    """What the folder may hold, GiB; absent: what the disk has."""
    volume: SharedVolume | None = None
    """On a cluster: where the folder is; absent: beside the homes."""
    folder: Identifier = "public"
    """On a cluster: the name of the folder in its volume."""


class Scratch(Section):
    """Fast space of a session that ends with it, at ``/scratch``; on a cluster only."""

    kind: Literal["node", "claim"] = "node"
    """``node``: the disk of the node; ``claim``: a volume that is made for the session and deleted with it."""
    gib: StorageGiB
    """Its size; a session that writes more to the disk of the node is ended."""
    storage_class: ObjectName | None = None
    """``claim``: the storage class; absent: the cluster's default."""


class Bucket(Section):
    """Object storage as a folder, at ``/buckets/<key>``, mounted by the cluster; on a cluster only."""

    claim: ObjectName
    """The claim through which the cluster mounts it."""
    for_groups: tuple[GroupName, ...] = Field(default=(), alias="for")
    """Groups whose members have it; empty: everybody."""
    read_only: bool = False
    """Whether nobody writes there."""


class Storage(Section):
    """Homes of people, folders of projects, and a folder for everybody."""

    home: Home = Home()
    """The home of each person."""
    project: ProjectFolders = ProjectFolders()
    """The folders of projects."""
    public: Public | None = None
    """The folder that everybody reads; absent: there is none."""
    scratch: Scratch | None = None
    """Space that ends with the session; absent: there is none."""
    cvmfs: tuple[Repository, ...] = ()
    """Repositories at ``/cvmfs/<name>``, read only; on a cluster only."""
    cvmfs_claim: ObjectName = "cvmfs"
    """The claim through which the cluster mounts them, a folder for each repository."""
    buckets: dict[Identifier, Bucket] = Field(default_factory=dict)
    """Object storage as folders."""
