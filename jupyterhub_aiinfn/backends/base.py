"""The contract of a backend: few verbs; every backend passes ``tests/contract``."""

from __future__ import annotations

import inspect
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from jupyterhub_aiinfn.api.availability import Availability
from jupyterhub_aiinfn.api.storage import FolderKind, StorageUse
from jupyterhub_aiinfn.api.workloads import EndReason, JobClass, Progress, Usage, Workload, WorkloadKind
from jupyterhub_aiinfn.errors import BackendError


def new_workload_id() -> str:
    """An identifier that is unique for ever: ``w`` and 20 hexadecimal digits (80 random bits)."""
    return "w" + secrets.token_hex(10)


@dataclass(frozen=True)
class WorkloadSpec:
    """What to start. Nothing in it is secret: it is written to disk and shown to administrators."""

    kind: WorkloadKind
    name: str
    command: tuple[str, ...]
    cores: float
    memory_gib: float
    id: str = field(default_factory=new_workload_id)
    job_class: JobClass | None = None
    person: str | None = None
    """Whose home and uid it runs with; None: a job of the platform itself."""
    server_name: str | None = None
    project: str | None = None
    profile: str | None = None
    size: str | None = None
    image: str | None = None
    folders: tuple[str, ...] = ()
    """Keys of projects whose folders it reads and writes."""
    public: bool = False
    """Whether it has the public folder."""
    writes_public: bool = False
    """Whether it may write there."""
    accelerator: str | None = None
    accelerator_count: int = 0
    max_seconds: int | None = None
    """Longest life; enforced by the backend itself."""
    grace_seconds: float = 5.0
    """Between the polite and the hard end."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that may be seen by anybody."""
    guaranteed_cores: float | None = None
    """Cores that a cluster keeps for it; None: all that it may use. One machine keeps nothing."""
    guaranteed_memory_gib: float | None = None
    """Memory that a cluster keeps for it, GiB; None: all that it may use."""
    values_hash: str | None = None
    key: str | None = None
    """At most one live workload has this key: a second start with it returns the first one."""


HOLD = ("/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done")
"""Does nothing, and ends at once when it is asked to."""


def hold_spec(accelerator: str, count: int, holder: str, project: str | None, max_seconds: int | None) -> WorkloadSpec:
    """The job that holds devices. Raises :class:`BackendError` for a count that is none."""
    if count < 1:
        raise BackendError(f'{count} of "{accelerator[:60]}" were to be held; ask for one at least')
    return WorkloadSpec(
        kind=WorkloadKind.job,
        job_class=JobClass.platform,
        name=f"{count} {accelerator[:60]} held for {holder[:60]}",
        command=HOLD,
        cores=0.01,
        memory_gib=1 / 32,
        project=project,
        accelerator=accelerator,
        accelerator_count=count,
        max_seconds=max_seconds,
        grace_seconds=1,
    )


@dataclass(frozen=True)
class Figure:
    """A number about a backend at this moment."""

    name: str
    """Letters, digits and ``_``, the unit at its end; from a closed list of each backend."""
    says: str
    """What it says, in a sentence."""
    value: float


class Backend(ABC):
    """Where workloads run.

    Hub and service each hold one; both see the same workloads. All verbs are safe to call at any time from
    several processes. Errors are :class:`~jupyterhub_aiinfn.errors.BackendError` (or a
    :class:`~jupyterhub_aiinfn.errors.NothingFree` from ``start``, when the devices went to another).
    """

    @abstractmethod
    async def availability(self) -> Availability:
        """What is free now, counted at this moment from what runs."""

    @abstractmethod
    async def start(self, spec: WorkloadSpec, secret_environment: Mapping[str, str] | None = None) -> Workload:
        """Start a workload and return it once the backend has taken it up.

        On one machine its process exists then, and devices are allotted in one step: of two callers who want the last
        one, one gets :class:`~jupyterhub_aiinfn.errors.NothingFree`. On a cluster it may still be starting, and waits
        for its devices until they are free. ``secret_environment`` reaches the process and nothing else.
        """

    @abstractmethod
    async def stop(
        self,
        workload_id: str,
        message: str = "",
        grace_seconds: float | None = None,
        reason: EndReason = EndReason.stopped,
    ) -> Workload:
        """End a workload (politely, then hard after the grace) and return it once it has ended; idempotent.

        Whoever asks first gives reason and message.
        """

    @abstractmethod
    async def extend(self, workload_id: str, max_seconds: int) -> Workload:
        """Let a live workload last so many seconds from its start, at most; never shorter than before, so idempotent.

        Durable: it holds whoever is killed after this returned. :class:`~jupyterhub_aiinfn.errors.BackendError` for one
        that has ended or has no longest life.
        """

    @abstractmethod
    async def workload(self, workload_id: str) -> Workload:
        """One workload, or :class:`~jupyterhub_aiinfn.errors.WorkloadNotFound`."""

    @abstractmethod
    async def workloads(self) -> list[Workload]:
        """All that are known, live and ended, oldest first."""

    @abstractmethod
    def watch(self) -> AsyncIterator[Workload]:
        """Every known workload once, then each one again whenever it changes; never ends by itself.

        Survives restarts of whoever watches: a new watch starts with everything known.
        """

    @abstractmethod
    async def log(self, workload_id: str, lines: int = 200) -> str:
        """The last lines that the workload wrote (stdout and stderr), at most 1 MiB."""

    @abstractmethod
    async def progress(self, workload_id: str) -> Progress | None:
        """How far a job says it is; None when it has not said. What makes no sense counts as not said.

        A job says it by a line of its output: ``aiinfn-progress``, a space and a :class:`Progress` as JSON, of at most
        2 KiB. It is looked for among the last 200 lines and 64 KiB.
        """

    async def hold(
        self,
        accelerator: str,
        count: int,
        holder: str,
        *,
        project: str | None = None,
        max_seconds: int | None = None,
    ) -> Workload:
        """Keep devices for ``holder`` from everybody else until :meth:`release`, at most so many seconds.

        What is returned is a live job that does nothing and counts as all others do; it outlives whoever asked. Raises
        :class:`~jupyterhub_aiinfn.errors.NothingFree` when they are not to be had now; then nothing is held. On a
        cluster with Kueue ``project`` says in whose queue.
        """
        spec = hold_spec(accelerator, count, holder, project, max_seconds)
        return await self.start(spec)

    async def release(self, workload_id: str) -> Workload:
        """Give back what is held; idempotent."""
        return await self.stop(workload_id, "the devices were given back", grace_seconds=0)

    async def acknowledge_end(self, workload_id: str) -> None:
        """The end of a workload is on record elsewhere, so the backend need not keep it any longer; idempotent.

        Nothing more happens here: a backend that keeps its own records forgets them by itself.
        """
        await self.workload(workload_id)

    @property
    def trouble(self) -> str:
        """Why what is told may be old, in words; empty when it is not."""
        return ""

    def figures(self) -> list[Figure]:
        """Numbers about the backend itself, for whoever watches over it; reading them asks nobody."""
        return []

    async def usage(self) -> dict[str, Usage]:
        """What each live session has used, measured from outside it, by its id.

        Nothing here: a backend that cannot measure says nothing, and its sessions count as unknown.
        """
        return {}

    async def listens(self, workload_id: str, port: int) -> bool:
        """Whether what answers on that port of the workload's address is the workload itself and nobody else.

        True here: workloads that have an address of their own need not be asked.
        """
        return True

    def __init_subclass__(cls, **arguments: object) -> None:
        """A backend that forgets a verb fails when its class is made, not when the verb is first called."""
        super().__init_subclass__(**arguments)
        missing = sorted(getattr(Backend, "__abstractmethods__", frozenset()) - set(dir_defined(cls)))
        if missing:
            raise TypeError(f"{cls.__name__} lacks the verbs {', '.join(missing)}")


class Storage(ABC):
    """Where homes, project folders and the public folder are. All verbs block: call them in a thread."""

    @abstractmethod
    def use(self, kind: FolderKind, key: str) -> StorageUse | None:
        """Use and limit of one folder now; None when it is not made yet. Raises ``BackendError``."""

    @abstractmethod
    def forget(self, kind: FolderKind, key: str) -> None:
        """Have the next :meth:`use` look anew, within reason: somebody has just deleted much."""

    @abstractmethod
    def keys(self, kind: FolderKind) -> list[str]:
        """The folders of that kind that are made, by login name or key of the project, sorted."""

    @abstractmethod
    def repair(self) -> None:
        """Give the members of each project, and readers of the public folder, the rights that they should have.

        Files that were moved in keep the rights of the place from which they came, until this was called.
        """


def dir_defined(cls: type) -> list[str]:
    """Names of ``cls`` that are defined and not abstract."""
    return [name for name, value in inspect.getmembers_static(cls) if not getattr(value, "__isabstractmethod__", False)]
