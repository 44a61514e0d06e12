"""The backend of a cluster: sessions are pods, jobs are Jobs; the API server keeps everything that is known."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.api.availability import Availability
from jupyterhub_aiinfn.api.workloads import EndReason, Phase, Progress, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.base import Backend, Figure, WorkloadSpec, hold_spec
from jupyterhub_aiinfn.errors import AiinfnError, BackendError, ClusterRefused, NothingFree, WorkloadNotFound
from jupyterhub_aiinfn.model.numbers import numbers_of
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.current import CurrentValues

from . import creating, manifests, names
from .calls import Calls
from .connection import EXISTS, NOT_FOUND, ONE_ANSWER, Connection
from .description import asked_end, end_patch, longest_life
from .ending import ATTEMPTS, delete, grace_of, say_why, where
from .holding import hold_job, hold_request
from .kueue import queue_of
from .manifests import PLATFORM, PodRequest
from .output import Output
from .queue_check import QueueCheck
from .tending import Tending
from .translation import part
from .watched import LATE, Watched

Object = dict[str, Any]
log = logging.getLogger(__name__)
YOUNG = timedelta(minutes=2)
"""Secrets without an owner that are older were left by a start that was killed; younger ones may belong to one of
another process that is under way."""
SWEEP_EVERY = 600.0
"""Seconds between two looks for such Secrets (arbitrary)."""
BEYOND_GRACE = 40.0
"""Seconds that the cluster has, beyond the grace, to say that a workload has ended (arbitrary)."""
HOLD_PATIENCE = 20.0
"""Seconds in which devices that are to be held must be there (arbitrary): batch that gives way takes a few."""
SURE = 2.0
"""Seconds after which what was counted before it was made is surely counted with it (arbitrary)."""
LOOK_AGAIN = 0.1
"""Seconds between two looks into memory at what is to be held (arbitrary)."""
SHORT = 2.0
"""Seconds for which is tried what may be left out (arbitrary)."""


def nobody(_: str) -> frozenset[str]:
    """No groups: reserved nodes stay closed."""
    return frozenset()


class KubernetesBackend(Backend):
    """Workloads of a cluster; :meth:`open` before the first verb, :meth:`close` at the end.

    ``groups`` tells the groups of a person, by which reserved nodes open.
    """

    def __init__(
        self,
        values: Values | CurrentValues,
        connection: Connection,
        *,
        groups: Callable[[str], frozenset[str]] = nobody,
    ) -> None:
        self._current = CurrentValues.of(values)
        cluster = manifests.cluster_of(self.values)
        self._connection, self._groups = connection, groups
        self._calls, self._output = Calls(connection), Output(connection)
        self.watched = Watched(connection, self._current)
        self._known = self.watched.known
        self._under_way: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        nodes = self.watched.nodes.objects
        with_queues = cluster.kueue is not None
        self._queues = (
            QueueCheck(connection, lambda: self.values, lambda: list(nodes.values())) if with_queues else None
        )

    @classmethod
    async def open(
        cls,
        values: Values | CurrentValues,
        kubeconfig: Path | None = None,
        *,
        groups: Callable[[str], frozenset[str]] = nobody,
    ) -> KubernetesBackend:
        """Connect and watch; returns when everything is known, for which it waits as long as it takes."""
        made = cls(values, await Connection.open(kubeconfig), groups=groups)
        made.begin()
        try:
            await made.watched.synced()
        except BaseException:
            await made.close()
            raise
        return made

    def begin(self) -> None:
        """Watch and tend from now on, within the running loop; once is enough."""
        if self._tasks:
            return
        tending = Tending(self.watched, self._end_overdue, self._cascade)
        strangers = self.watched.strangers
        tasks = [one.run() for one in [*self.watched.all, *([strangers] if strangers is not None else [])]]
        tasks += [tending.run(lambda: datetime.now(UTC)), self._keep_sweeping()]
        if self._queues is not None:
            tasks.append(self._queues.run())
        self._tasks = [asyncio.create_task(one) for one in tasks]

    async def close(self) -> None:
        """Stop watching; what runs goes on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._connection.close()

    @property
    def values(self) -> Values:
        """The values that count now."""
        return self._current.values

    @property
    def trouble(self) -> str:
        """Why what is told may be old or too little, in words; empty when it is not."""
        strangers = self.watched.strangers
        if strangers is None or not strangers.trouble:
            return self.watched.trouble
        return self.watched.trouble or f"{strangers.trouble}; so what pods of others hold seems free"

    def figures(self) -> list[Figure]:
        """How old what is known may be, and how far queues and nodes are from the values."""
        found = [Figure("watch_silence_seconds", "Since the cluster last told what runs on it", self.watched.silence)]
        if self._queues is not None and self._queues.count is not None:
            says = "Differences between the queues of Kueue and what values and nodes ask for"
            found.append(Figure("queue_drift", says, self._queues.count))
        return found

    async def availability(self) -> Availability:
        """What can be had now, from what is watched: no request is made. Waits until everything was read once.

        :class:`~jupyterhub_aiinfn.errors.BackendError` while the cluster has been silent for too long.
        """
        await self.watched.synced()
        if self.watched.silence > LATE:
            raise BackendError("the cluster does not say what runs on it, so nobody knows what is free")
        return self.watched.availability(datetime.now(UTC))

    async def start(self, spec: WorkloadSpec, secret_environment: Mapping[str, str] | None = None) -> Workload:
        """Make pod or Job, and return at once: one that waits for its place is starting."""
        if spec.key is None and self._known.get(spec.id) is not None:
            raise BackendError(f"there is a workload {spec.id} already; each start needs a new identifier")
        request = self._request(spec, dict(secret_environment or {}))
        manifest = creating.manifest_of(self.values, request)
        if spec.kind is WorkloadKind.session and spec.person is not None:
            await creating.make_home(self._calls, self.values, spec.person)
        for _ in range(ATTEMPTS):
            if (found := await self._with_key(spec)) is not None:
                return found
            try:
                return await self._make(request, manifest)
            except ClusterRefused as refused:
                if refused.reason != EXISTS or spec.key is None:
                    raise
            await asyncio.sleep(0.5)
        raise BackendError("the cluster has one of that name already; wait until it is gone, and try again")

    async def hold(
        self,
        accelerator: str,
        count: int,
        holder: str,
        *,
        project: str | None = None,
        max_seconds: int | None = None,
    ) -> Workload:
        """Keep devices: a Job with a pod on each of them, in the queue of the project's sessions."""
        spec = hold_spec(accelerator, count, holder, project, max_seconds)
        held = self.watched.places.held_by_guarantee(self._known.live, project, accelerator)
        request = hold_request(self.values, spec, self._groups(holder), held)
        made = await self._make(request, hold_job(self.values, request))
        try:
            async with asyncio.timeout(HOLD_PATIENCE):
                await self._until_held(made.id)
            return await self.workload(made.id)
        except TimeoutError:
            await self._drop(made)
            name = self.values.accelerators[accelerator].name
            raise NothingFree(f"{count} of {name} are not free now; try again later, or hold fewer") from None
        except BaseException:
            await asyncio.shield(self._drop(made))
            raise

    async def stop(
        self,
        workload_id: str,
        message: str = "",
        grace_seconds: float | None = None,
        reason: EndReason = EndReason.stopped,
    ) -> Workload:
        """Write down why, delete, and return it once it has ended; the grace of a job is that of its start."""
        workload = await self.workload(workload_id)
        found = self.watched.object_of(workload_id)
        if workload.phase is Phase.ended or found is None:
            return workload
        with_grace = grace_seconds is not None and workload.kind is WorkloadKind.session
        grace = max(1, round(grace_seconds or 0)) if with_grace else None
        why = end_patch(reason, message or "it was stopped")
        if not await say_why(Calls(self._connection, SHORT), found, why):
            self._known.expect_end(workload_id, asked_end(why["metadata"]) or {})
        await delete(self._calls, found, grace)
        limit = (grace if grace is not None else grace_of(found)) + BEYOND_GRACE
        try:
            async with asyncio.timeout(limit):
                return await self._known.ended(workload_id)
        except TimeoutError:
            raise BackendError(
                f"{workload_id} is deleted, and the cluster has not said within {limit:.0f} seconds that it has ended; "
                "look at the node on which it ran"
            ) from None

    async def extend(self, workload_id: str, max_seconds: int) -> Workload:
        """Write a longer life on pod or Job."""
        workload = await self.workload(workload_id)
        if workload.phase is Phase.ended:
            raise BackendError("it has ended already, so it cannot last longer")
        found = self.watched.object_of(workload_id)
        if found is None:
            raise WorkloadNotFound(f"the cluster has {workload_id} no more")
        before = longest_life(part(found, "metadata"))
        if before is None:
            raise BackendError("it has no longest life, so there is nothing to extend")
        if max_seconds <= before:
            return workload
        patch: Object = {"metadata": {"annotations": {names.MAX_SECONDS: str(max_seconds)}}}
        if workload.kind is WorkloadKind.job:
            patch["spec"] = {"activeDeadlineSeconds": max_seconds}
        return self._read(found, await self._calls.patch("extend it", *where(found), patch))

    async def acknowledge_end(self, workload_id: str) -> None:
        """A job's end is on record: its finalizer goes, and some time later the Job with its log."""
        workload = await self.workload(workload_id)
        if workload.phase is not Phase.ended:
            raise BackendError(f"{workload_id} has not ended, so there is no end to record")
        found = self.watched.object_of(workload_id)
        if found is not None and workload.kind is WorkloadKind.job:
            head = part(found, "metadata")
            await creating.let_go(self._calls, str(head["namespace"]), str(head["name"]))

    async def workload(self, workload_id: str) -> Workload:
        """One workload; :class:`~jupyterhub_aiinfn.errors.BackendError` while nobody knows yet which there are."""
        found = self._known.get(workload_id)
        if found is None:
            try:
                await asyncio.wait_for(self.watched.synced(), ONE_ANSWER)
            except TimeoutError:
                raise BackendError("the cluster has not told yet what runs on it; try again in a minute") from None
            found = self._known.get(workload_id)
        if found is None:
            raise WorkloadNotFound(f"there is no workload {workload_id[:40]!r}; look at those that are listed")
        return found

    async def workloads(self) -> list[Workload]:
        """All workloads, oldest first; waits until everything was read once."""
        await self.watched.synced()
        return self._known.all()

    def watch(self) -> AsyncGenerator[Workload, None]:
        """Every workload, then each again when it changes."""
        return self._known.watch()

    async def log(self, workload_id: str, lines: int = 200) -> str:
        """The last lines, while the cluster has the pod; empty before it runs."""
        await self.workload(workload_id)
        return await self._output.last_lines(self.watched.pod_of(workload_id), lines)

    async def progress(self, workload_id: str) -> Progress | None:
        """What a job said last in its output; read from there once in a while only, however many ask."""
        return await self._output.progress(await self.workload(workload_id), self.watched.pod_of(workload_id))

    async def sweep(self, older_than: timedelta = YOUNG) -> list[str]:
        """Remove the Secrets that killed starts of jobs left, and give others to their Job; the names removed.

        Those of sessions are the hub's, which starts them.
        """
        return await creating.sweep(self._calls, self.values, WorkloadKind.job, self._under_way, older_than)

    # ----------------------------------------------------------------------------------------------------- inside

    def _request(self, spec: WorkloadSpec, secrets: Mapping[str, str]) -> PodRequest:
        if spec.person is None:
            return PodRequest(spec, PLATFORM, frozenset(), secrets, queue_of(self.values, spec))
        numbers = numbers_of(self.values, spec.person, spec.folders, writes_public=spec.writes_public)
        held = self.watched.places.held_by_guarantee(self._known.live, spec.project, spec.accelerator)
        queue = queue_of(self.values, spec, held)
        return PodRequest(spec, numbers, self._groups(spec.person), secrets, queue)

    async def _make(self, request: PodRequest, manifest: Object) -> Workload:
        """Make what was asked for; nothing of it stays when that fails, as far as the cluster answers."""
        self._under_way.add(request.name)
        doing = f"start {request.spec.name[:60]}"
        try:
            made = await creating.make(self._calls, doing, self.values, request, manifest)
            return self._read(manifest, made)
        except BaseException as error:
            if not isinstance(error, ClusterRefused) or error.reason != EXISTS:
                with contextlib.suppress(AiinfnError):
                    short = Calls(self._connection, SHORT)
                    await asyncio.shield(creating.take_back(short, self.values, request))
            raise
        finally:
            self._under_way.discard(request.name)

    async def _with_key(self, spec: WorkloadSpec) -> Workload | None:
        """The live workload with the same key; one that has ended makes room."""
        if spec.key is None:
            return None
        place = (creating.KINDS[spec.kind][1], names.namespace_of(self.values, spec.kind), names.object_name(spec))
        try:
            found = await self._calls.read("look for it", *place)
        except ClusterRefused as error:
            if error.code == NOT_FOUND:
                return None
            raise
        workload = self._read({"kind": place[0]}, found)
        if workload.phase is not Phase.ended:
            return workload
        if workload.kind is WorkloadKind.job:
            await creating.let_go(self._calls, place[1], place[2])
        await delete(self._calls, {"kind": place[0], **found})
        return None

    def _read(self, like: Mapping[str, Any], found: Object) -> Workload:
        """The workload of an answer of the API server, which may leave out what kind of object it is."""
        self.watched.take({"kind": like["kind"], **found})
        workload = self._known.get(str(part(part(found, "metadata"), "labels").get(names.WORKLOAD)))
        if workload is None:
            raise BackendError("the cluster has something of that name that is no workload; tell an administrator")
        return workload

    async def _until_held(self, workload_id: str) -> None:
        """Return once every device is held; ``TimeoutError`` when there are surely not enough."""
        begun = time.monotonic()
        while (workload := await self.workload(workload_id)).phase is not Phase.ended:
            job = self.watched.object_of(workload_id)
            if job is not None and part(job, "status").get("ready") == workload.accelerator_count:
                return
            # as long as it waits it counts as used itself
            if time.monotonic() - begun > SURE and self.watched.has_too_few(str(workload.accelerator)):
                raise TimeoutError
            await asyncio.sleep(LOOK_AGAIN)
        raise BackendError(f"nothing could be held: {workload.message or 'it ended at once'}")

    async def _drop(self, workload: Workload) -> None:
        with contextlib.suppress(AiinfnError):
            await self.stop(workload.id, "not free", reason=EndReason.not_started)
            await self.acknowledge_end(workload.id)

    async def _end_overdue(self, workload: Workload) -> None:
        await self.stop(workload.id, "it reached its longest life", reason=EndReason.max_age)

    async def _cascade(self, workload: Workload) -> None:
        found = self.watched.object_of(workload.id)
        if found is not None:
            await delete(self._calls, found)

    async def _keep_sweeping(self) -> None:
        while True:
            try:
                await self.sweep()
            except AiinfnError as error:
                log.warning("%s; that is tried again later", error)
            await asyncio.sleep(SWEEP_EVERY)
