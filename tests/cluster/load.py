"""A random load on the queues of a farm: sessions, batch and platform jobs that come and go, and quotas that change."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jupyterhub_aiinfn.api.workloads import JobClass, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec, new_workload_id
from jupyterhub_aiinfn.backends.kubernetes import manifests, names
from jupyterhub_aiinfn.backends.kubernetes.connection import Connection
from jupyterhub_aiinfn.backends.kubernetes.kueue import queue_of
from jupyterhub_aiinfn.backends.kubernetes.starting import held_by_guarantee
from jupyterhub_aiinfn.errors import ClusterRefused
from jupyterhub_aiinfn.model.numbers import numbers_of
from jupyterhub_aiinfn.values import Values

Object = dict[str, Any]
COMMAND = ("/bin/sh", "-c", "trap 'exit 0' TERM; sleep 3600 & wait")
PEOPLE = ("alice", "bob")
QUEUES = "/apis/kueue.x-k8s.io/v1beta2/clusterqueues"


@dataclass
class Load:
    """What runs of it. Every choice is made by ``chance``, so a run can be had again."""

    values: Values
    connection: Connection
    chance: random.Random
    sessions: dict[str, manifests.PodRequest] = field(default_factory=dict)
    """Those that were made and not ended by us, by the name of their pod."""
    jobs: dict[str, manifests.PodRequest] = field(default_factory=dict)
    evicted_jobs: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    async def step(self) -> None:
        """Something comes or goes."""
        acts = [self.start_session, self.start_batch, self.start_platform, self.stop_session, self.stop_job, self.lend]
        [act] = self.chance.choices(acts, weights=[6, 4, 1, 4, 1, 1])
        await act()
        await self.look()

    async def start_session(self) -> None:
        """A session, with a card more often than not."""
        if len(self.sessions) >= 7:
            return
        await self.begin_session(self.chance.choice(["card", "card", "card", None]))

    async def begin_session(self, accelerator: str | None, project: str | None = None) -> None:
        """A session of that project, or of one by chance, in the queue that ours gives it."""
        spec = self._spec(WorkloadKind.session, accelerator, project=project)
        held = held_by_guarantee(await self._list("pods"), [], spec)
        request = self._request(spec, held)
        pod = manifests.session_pod(self.values, request)
        await self.connection.ask("start", "POST", self._folder("pods"), pod)
        self.sessions[request.name] = request

    async def start_batch(self) -> None:
        """A batch job with a card, on what is lent to it."""
        await self._start_job(self._spec(WorkloadKind.job, "card", JobClass.batch), 8)

    async def start_platform(self) -> None:
        """A job of the platform itself."""
        await self._start_job(self._spec(WorkloadKind.job, None, JobClass.platform), 9)

    async def stop_session(self) -> None:
        """Somebody ends one."""
        if self.sessions:
            name = self.chance.choice(sorted(self.sessions))
            del self.sessions[name]
            if not await self._remove_pod(name):
                self.wrong.append(f"the session {name} was ended: its pod is gone")

    async def stop_job(self) -> None:
        """A job is over."""
        if self.jobs:
            name = self.chance.choice(sorted(self.jobs))
            del self.jobs[name]
            await self._remove_job(name)

    async def lend(self) -> None:
        """An administrator lowers what the sessions have, below what they hold, or gives it back."""
        await self.leave_to_sessions(self.chance.choice([0, 1, 3, 3]))

    async def leave_to_sessions(self, cards: int) -> None:
        """So many cards are for everybody's sessions from now on."""
        path = f"{QUEUES}/{names.group_of(self.values)}-sessions"
        queue = await self.connection.ask("look", "GET", path)
        groups = queue["spec"]["resourceGroups"]
        for group in groups:
            for flavor in group["flavors"]:
                for resource in flavor["resources"]:
                    if resource["name"] == "aiinfn.test/card":
                        resource["nominalQuota"] = str(cards)
        await self.connection.ask("change", "PATCH", path, {"spec": {"resourceGroups": groups}})

    async def let_reclaim(self, whom: str) -> None:
        """Whom the queues of sessions make go when they want back what is lent of theirs."""
        group = names.group_of(self.values)
        for queue in (await self.connection.ask("look", "GET", QUEUES))["items"]:
            preemption = queue["spec"]["preemption"]
            if queue["spec"].get("cohortName") == group and preemption["reclaimWithinCohort"] != "Never":
                patch = {"spec": {"preemption": {"reclaimWithinCohort": whom}}}
                await self.connection.ask("change", "PATCH", f"{QUEUES}/{queue['metadata']['name']}", patch)

    async def admitted(self) -> set[str]:
        """The sessions that Kueue has given a place."""
        workloads = await self._list("workloads")
        return {one["metadata"]["ownerReferences"][0]["name"] for one in workloads if _condition(one, ("Admitted",))}

    async def look(self) -> None:
        """Note each session that somebody else than us ended, or is about to, and each job that had to go."""
        pods = {one["metadata"]["name"]: one for one in await self._list("pods")}
        for name in self.sessions:
            pod = pods.get(name)
            if pod is None or pod["metadata"].get("deletionTimestamp") or _targeted(pod):
                self.wrong.append(f"the session {name} was ended: {_targeted(pod or {}) or 'its pod is gone'}")
        for workload in await self._list("workloads"):
            owner = workload["metadata"]["ownerReferences"][0]["name"]
            if owner in self.sessions and (reason := _evicted(workload)):
                self.wrong.append(f"the session {owner} lost its place: {reason}")
        for workload in await self._list("workloads", WorkloadKind.job):
            owner = workload["metadata"]["ownerReferences"][0]["name"]
            if _evicted(workload) and owner in self.jobs:
                self.evicted_jobs.add(owner)
                if self.jobs[owner].spec.job_class is JobClass.platform:
                    self.wrong.append(f"the job of the platform {owner} was evicted: {_evicted(workload)}")

    async def end(self) -> None:
        """Nothing of it is left, finalizers included."""
        for one in await self._list("jobs", WorkloadKind.job):
            await self._remove_job(one["metadata"]["name"])
        for one in await self._list("pods"):
            await self._remove_pod(one["metadata"]["name"])

    async def _start_job(self, spec: WorkloadSpec, most: int) -> None:
        if len(self.jobs) < most:
            request = self._request(spec, 0)
            path = self._folder("jobs", WorkloadKind.job)
            await self.connection.ask("start", "POST", path, manifests.job(self.values, request))
            self.jobs[request.name] = request

    async def _remove_pod(self, name: str) -> bool:
        """Whether it was there to be removed."""
        try:
            await self.connection.ask("stop", "DELETE", f"{self._folder('pods')}/{name}", {"gracePeriodSeconds": 1})
        except ClusterRefused as error:
            if error.code != 404:
                raise
            return False
        return True

    async def _remove_job(self, name: str) -> None:
        path = f"{self._folder('jobs', WorkloadKind.job)}/{name}"
        try:
            await self.connection.ask("stop", "DELETE", path, {"propagationPolicy": "Background"})
            await self.connection.ask("stop", "PATCH", path, {"metadata": {"finalizers": None}})
        except ClusterRefused as error:
            if error.code != 404:
                raise

    async def _list(self, kind: str, of: WorkloadKind = WorkloadKind.session) -> list[Object]:
        found: list[Object] = (await self.connection.ask("look", "GET", self._folder(kind, of))).get("items", [])
        return found

    def _folder(self, kind: str, of: WorkloadKind = WorkloadKind.session) -> str:
        group = {"pods": "/api/v1", "jobs": "/apis/batch/v1", "workloads": "/apis/kueue.x-k8s.io/v1beta2"}[kind]
        return f"{group}/namespaces/{names.namespace_of(self.values, of)}/{kind}"

    def _spec(
        self,
        kind: WorkloadKind,
        accelerator: str | None,
        job_class: JobClass | None = None,
        project: str | None = None,
    ) -> WorkloadSpec:
        person = None if job_class is JobClass.platform else self.chance.choice(PEOPLE)
        return WorkloadSpec(
            id=new_workload_id(),
            kind=kind,
            job_class=job_class,
            name="load",
            command=COMMAND,
            cores=0.02,
            memory_gib=0.02,
            person=person,
            project=None if person is None else project or self.chance.choice(["lab", "other"]),
            profile="card" if kind is WorkloadKind.session else None,
            image="python",
            accelerator=accelerator,
            accelerator_count=0 if accelerator is None else 1,
            grace_seconds=1,
        )

    def _request(self, spec: WorkloadSpec, held: int) -> manifests.PodRequest:
        numbers = manifests.PLATFORM if spec.person is None else numbers_of(self.values, spec.person)
        return manifests.PodRequest(spec, numbers, queue=queue_of(self.values, spec, held))


def _targeted(pod: Mapping[str, Any]) -> str:
    """Why Kueue or the cluster is about to end a pod; empty when they are not."""
    return _condition(pod, ("TerminationTarget", "DisruptionTarget"))


def _evicted(workload: Mapping[str, Any]) -> str:
    return _condition(workload, ("Evicted", "Preempted"))


def _condition(found: Mapping[str, Any], kinds: tuple[str, ...]) -> str:
    """The reason of the first condition of these kinds that is true; empty when none is."""
    conditions = found.get("status", {}).get("conditions", [])
    return next((str(one.get("reason")) for one in conditions if one["type"] in kinds and one["status"] == "True"), "")
