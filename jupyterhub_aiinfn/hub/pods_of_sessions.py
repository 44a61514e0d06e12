"""The sessions of a cluster as the hub's own memory of their pods tells them: what the hub needs of a backend there.

The spawner starts pods and the platform service watches the whole cluster; the hub itself reads which sessions there
are and ends one that outlived its time, with the one watch that its spawner has anyway.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from jupyterhub_aiinfn.api.availability import Availability
from jupyterhub_aiinfn.api.workloads import EndReason, Phase, Progress, Workload
from jupyterhub_aiinfn.backends.base import Backend, WorkloadSpec
from jupyterhub_aiinfn.backends.kubernetes import manifests, names
from jupyterhub_aiinfn.backends.kubernetes.known import Known
from jupyterhub_aiinfn.backends.kubernetes.translation import part
from jupyterhub_aiinfn.errors import BackendError, WorkloadNotFound
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.current import CurrentValues

from .pod_reflector import PodReflector, calls_of_hub, reflector_of
from .session_pod import SessionPod

SHORT = 2.0
"""Seconds for what may be left out (arbitrary)."""
NOT_HERE = "the hub of a cluster does not do that; ask the platform service"
FIRST_LOOK = 3600.0
"""Seconds for which one wait for the cluster's first answer lasts; it is begun again for ever."""


class PodsOfSessions(Backend):
    """Read and end the sessions of one namespace. Nothing is asked of the cluster before a loop runs."""

    def __init__(self, values: Values | CurrentValues) -> None:
        self._current = CurrentValues.of(values)
        self._namespace = manifests.cluster_of(self._current.values).sessions_namespace
        self._known = Known()
        self._pods: dict[str, Mapping[str, Any]] = {}
        """Each pod as it was told last, by its key."""
        self._reflector: PodReflector | None = None

    async def availability(self) -> Availability:
        """Not here: the hub has the service's snapshot."""
        raise BackendError(NOT_HERE)

    async def start(self, spec: WorkloadSpec, secret_environment: Mapping[str, str] | None = None) -> Workload:
        """Not here: the spawner starts sessions, the platform service jobs."""
        raise BackendError(NOT_HERE)

    async def stop(
        self,
        workload_id: str,
        message: str = "",
        grace_seconds: float | None = None,
        reason: EndReason = EndReason.stopped,
    ) -> Workload:
        """End a session, unless somebody else has begun to; returns once it is gone, or the cluster is silent."""
        found = await self.workload(workload_id)
        key = next((key for key, pod in self._pods.items() if _workload_of(pod) == workload_id), None)
        if found.phase is Phase.ended or key is None:
            return found
        grace = self._grace() if grace_seconds is None else grace_seconds
        session = self._session(key)
        if part(self._pods[key], "metadata").get("deletionTimestamp") is None:
            await session.remove(reason, message, round(grace))
        await session.until_gone(grace)
        return await self.workload(workload_id)

    async def extend(self, workload_id: str, max_seconds: int) -> Workload:
        """Not here: the platform service lengthens sessions."""
        raise BackendError(NOT_HERE)

    async def workload(self, workload_id: str) -> Workload:
        """One session."""
        found = self._known.get(workload_id)
        if found is None:
            raise WorkloadNotFound(f"there is no workload {workload_id[:40]!r}; look at those that are listed")
        return found

    async def workloads(self) -> list[Workload]:
        """All sessions, oldest first; waits until the cluster has told them once."""
        reflector = self._begin()
        while not await reflector.loaded(FIRST_LOOK):
            continue
        self._changed(None)
        return self._known.all()

    def watch(self) -> AsyncGenerator[Workload, None]:
        """Every session, then each again when it changes."""
        self._begin()
        return self._known.watch()

    async def log(self, workload_id: str, lines: int = 200) -> str:
        """Not here."""
        raise BackendError(NOT_HERE)

    async def progress(self, workload_id: str) -> Progress | None:
        """Not here: sessions do not say how far they are."""
        raise BackendError(NOT_HERE)

    def _begin(self) -> PodReflector:
        """The memory that the spawner uses as well."""
        if self._reflector is None:
            self._reflector = reflector_of(self._namespace)
            self._reflector.listeners.append(self._changed)
        return self._reflector

    def _changed(self, key: str | None) -> None:
        """Take in one pod, or with None all: only those that are not as they were are read."""
        assert self._reflector is not None
        pods = self._reflector.pods
        for one in {*pods, *self._pods} if key is None else {key}:
            now, before = pods.get(one), self._pods.get(one)
            if now is not None and (before is None or _version(now) != _version(before)):
                self._replaced(before, now)
                self._pods[one] = now
                self._known.pod(dict(now), False)
            elif now is None and before is not None:
                del self._pods[one]
                self._known.pod(dict(before), True)

    def _replaced(self, before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> None:
        """A pod of the same name that is another one: the first is gone."""
        if before is not None and part(before, "metadata").get("uid") != part(now, "metadata").get("uid"):
            self._known.pod(dict(before), True)

    def _session(self, key: str) -> SessionPod:
        name = key.partition("/")[2]
        return SessionPod(calls_of_hub(), calls_of_hub(SHORT), self._begin(), self._namespace, name)

    def _grace(self) -> float:
        return manifests.cluster_of(self._current.values).sessions.stop_grace.total_seconds()


def _version(pod: Mapping[str, Any]) -> object:
    return part(pod, "metadata").get("resourceVersion")


def _workload_of(pod: Mapping[str, Any]) -> object:
    return part(part(pod, "metadata"), "labels").get(names.WORKLOAD)
