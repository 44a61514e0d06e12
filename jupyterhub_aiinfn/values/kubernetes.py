"""The ``kubernetes`` section: namespaces, queues, pods and network of a cluster; without it there is one machine."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from .base import NETWORK, Cores, Duration, Identifier, Line, MemoryGiB, ObjectName, Section, lasting
from .storage import StorageGiB

Port = Annotated[int, Field(ge=1, le=65535)]
Arguments = tuple[Annotated[str, StringConstraints(max_length=1000)], ...]


class PlatformJobs(Section):
    """What is kept for jobs of the platform itself: builds of environments, grading, simulators."""

    cores: Cores = 2
    """Cores of all of them together."""
    memory_gib: MemoryGiB = 8
    """Memory of all of them together, GiB."""


class Kueue(Section):
    """The queues of the cluster."""

    cohort: Annotated[Identifier, Field(max_length=40)] = "aiinfn"
    """Name of the cohort, and the beginning of the names of everything that belongs to the whole cluster."""
    platform_jobs: PlatformJobs = PlatformJobs()
    """What is kept for jobs of the platform itself."""


class Sidecar(Section):
    """A container that runs beside every session; what it needs counts as the session's."""

    image: Line
    """Container image with digest."""
    command: Arguments = ()
    """What it runs; empty: what the image says."""
    cores: Cores
    """Cores that it has."""
    memory_gib: MemoryGiB
    """Memory that it has, GiB."""


class SessionPods(Section):
    """What all pods of sessions have in common."""

    port: Port = 8888
    """Where the session's server listens."""
    shm_gib: StorageGiB = 1
    """Size of ``/dev/shm``, GiB, at most the memory of the session; what is in it counts as memory of the session."""
    pull: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    """When a node fetches an image; ``Never``: the images are there, and need no digest."""
    pull_secrets: tuple[ObjectName, ...] = ()
    """Secrets of the namespace with which images are fetched."""
    stop_grace: Annotated[Duration, lasting(timedelta(seconds=4), timedelta(minutes=5))] = timedelta(seconds=30)
    """Time between the polite and the hard end of a session, in which documents are saved; on a cluster it counts in
    place of ``limits.stop_grace``."""
    scheduler: ObjectName | None = None
    """The scheduler of the pods; absent: the cluster's own."""
    sidecars: dict[Identifier, Sidecar] = Field(default_factory=dict)
    """Containers that run beside every session."""


class Opening(Section):
    """Addresses that sessions and jobs reach although they are private."""

    to: Annotated[str, StringConstraints(pattern=NETWORK)]
    """A network such as ``10.1.2.0/24``."""
    ports: tuple[Port, ...] = ()
    """TCP ports; empty: all."""


class Network(Section):
    """What the network policies of the cluster let through, beside the internet."""

    hub_port: Port = 8081
    """Where sessions reach the hub."""
    service_port: Port = 8765
    """Where sessions reach the platform service."""
    dns_namespace: ObjectName = "kube-system"
    """The namespace of the cluster's DNS."""
    open_to: tuple[Opening, ...] = ()
    """Private networks that sessions and jobs reach."""


class Kubernetes(Section):
    """One cluster: where things are in it, and how pods are made."""

    namespace: ObjectName = "aiinfn"
    """Where hub, proxy and platform service are."""
    sessions_namespace: ObjectName = "aiinfn-sessions"
    """Where sessions are, and nothing else."""
    jobs_namespace: ObjectName = "aiinfn-jobs"
    """Where jobs are: another one than that of sessions, whose watchers must not drown in the events of jobs."""
    hub_account: ObjectName = "hub"
    """Service account of the hub, in ``namespace``."""
    service_account: ObjectName = "aiinfn-service"
    """Service account of the platform service, in ``namespace``."""
    counts_others: bool = True
    """Whether devices count as in use that pods of other namespaces hold. For it the service may list the pods of all
    namespaces; false: it may not, and such devices seem free."""
    kueue: Kueue | None = None
    """Queues; absent: the cluster has no Kueue, and nobody waits."""
    sessions: SessionPods = SessionPods()
    """The pods of sessions."""
    network: Network = Network()
    """What the network policies let through."""
