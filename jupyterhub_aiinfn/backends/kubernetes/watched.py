"""What the backend watches of a cluster, and what it knows from it: one watch of each kind, whoever asks how often."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from jupyterhub_aiinfn.api.availability import Availability
from jupyterhub_aiinfn.api.workloads import WorkloadKind
from jupyterhub_aiinfn.values.current import CurrentValues

from . import names
from .calls import path_of
from .connection import Connection
from .free import Machine, Use, devices_of, read_machine
from .known import Known
from .manifests import cluster_of
from .others import PATH, Others, keep_devices, selector
from .places import Places
from .translation import part, parts
from .watching import REMEMBERED, WATCH_SECONDS, Watching, label

Object = dict[str, Any]
LATE = WATCH_SECONDS + 10.0
"""Seconds of silence after which what is known counts as old."""
SOON = 0.05
"""Seconds between two looks whether pods of others were listed, or cannot be (arbitrary)."""
UNSURE = 5.0
"""Seconds in which the end of a Job's pod is waited for when the Job itself has ended (arbitrary)."""


class Watched:
    """Pods, Jobs and nodes as the API server tells them.

    Jobs are in two namespaces: those that hold devices are where sessions are.
    """

    def __init__(self, connection: Connection, values: CurrentValues) -> None:
        self._current = values
        self.known, self.places, self.others = Known(), Places(), Others()
        sessions = names.namespace_of(values.values, WorkloadKind.session)
        jobs = names.namespace_of(values.values, WorkloadKind.job)
        both = (sessions, jobs)
        self.pods = [Watching(connection, path_of("Pod", one), self._pod_changed) for one in both]
        self.jobs = [Watching(connection, path_of("Job", one), self._job_changed) for one in both]
        self.nodes = Watching(connection, "/api/v1/nodes", self._node_changed)
        self.strangers: Watching | None = None
        """Pods of others, where the values count them; without it what they hold seems free, and all else goes on."""
        if cluster_of(values.values).counts_others:
            told, fields = self._stranger_changed, selector(both)
            self.strangers = Watching(connection, PATH, told, fields=fields, lighten=keep_devices)
        self._last_pods: dict[str, Object] = {}
        self._unsure: dict[str, float] = {}
        self._machines: dict[str, tuple[object, Machine]] = {}
        self.on_nodes: Callable[[], object] = lambda: None
        """Called when a node or a pod of others has changed: what is free may have, though no workload did."""

    @property
    def all(self) -> list[Watching]:
        """Every watch without which nothing can be said."""
        return [*self.pods, *self.jobs, self.nodes]

    async def synced(self) -> None:
        """Return once all of it was listed."""
        await asyncio.gather(*(one.synced.wait() for one in self.all))
        while self.strangers is not None and not self.strangers.synced.is_set() and not self.strangers.trouble:
            await asyncio.sleep(SOON)  # the first attempt to list them is under way

    @property
    def silence(self) -> float:
        """Seconds since the API server last answered the watch that it answered least lately."""
        return max(one.silence for one in self.all)

    @property
    def trouble(self) -> str:
        """Why what is known may be old, in words; empty when it is not."""
        words = next((one.trouble for one in self.all if one.trouble), "")
        if words:
            return words
        return f"the cluster has said nothing for {self.silence:.0f} seconds" if self.silence > LATE else ""

    def take(self, found: Object) -> None:
        """A pod or Job as a request has just answered it: sooner than the watch tells it."""
        path = path_of(str(found["kind"]), str(part(found, "metadata")["namespace"]))
        next(one for one in self.all if one.path == path).take(found)

    def object_of(self, workload_id: str) -> Object | None:
        """The pod of a session, or the Job of a job, that was made last; None when the cluster has none."""
        of_session = (one for one in self.pods[0].of_workload(workload_id) if is_session(one))
        of_job = (found for one in self.jobs for found in one.of_workload(workload_id))
        return next(of_job, None) or next(of_session, None)

    def pod_of(self, workload_id: str) -> Object | None:
        """The pod of a workload that was made last; None when the cluster has none."""
        return next((found for one in self.pods for found in one.of_workload(workload_id)), None)

    def availability(self, now: datetime) -> Availability:
        """What can be had now, from memory."""
        values = self._current.values
        sessions = sum(one.kind is WorkloadKind.session for one in self.known.live.values())
        images = {key: image.reference is not None for key, image in values.images.items()}
        devices = devices_of(values, self.machines(), self.uses())
        return Availability(taken_at=now, devices=devices, sessions=sessions, images=images)

    def has_too_few(self, accelerator: str) -> bool:
        """Whether more of it are held or waited for than there are, for whomever; what gives way is not counted."""
        uses = [one for one in self.uses() if one.accelerator == accelerator]
        held = sum(one.count for one in uses if not one.gives_way)
        return held > sum(one.devices.get(accelerator, 0) for one in self.machines() if one.takes)

    def uses(self) -> list[Use]:
        """What workloads hold and wait for, and what pods of others hold."""
        strangers = self.others.uses(self._current.values, self.machines())
        return [*self.places.uses(self.known.live), *strangers]

    def machines(self) -> list[Machine]:
        """The nodes as the values see them; each is read once for each of its versions."""
        values, found = self._current.values, []
        for uid, node in self.nodes.objects.items():
            version = (part(node, "metadata").get("resourceVersion"), self._current.switches)
            if self._machines.get(uid, (None,))[0] != version:
                self._machines[uid] = (version, read_machine(values, node))
            found.append(self._machines[uid][1])
        return found

    def _pod_changed(self, pod: Object, is_gone: bool) -> None:
        self.places.pod(pod, is_gone)
        if is_session(pod):
            self.known.pod(pod, is_gone)
            return
        workload_id = label(pod, names.WORKLOAD)
        if is_gone and workload_id:
            self._last_pods[workload_id] = pod
            if len(self._last_pods) > REMEMBERED:
                del self._last_pods[next(iter(self._last_pods))]
        job = next((found for one in self.jobs for found in one.of_workload(workload_id)), None)
        if job is not None:
            self._tell_job(job)

    def _job_changed(self, job: Object, is_gone: bool) -> None:
        workload_id = label(job, names.WORKLOAD)
        self.places.queue(job, is_gone)
        if not is_gone:
            self._tell_job(job)
            return
        self.known.job(job, True, self._pod_of_job(job))
        for kept in (self._last_pods, self._unsure):
            kept.pop(workload_id, None)

    def _tell_job(self, job: Object) -> None:
        workload_id = label(job, names.WORKLOAD)
        if self.known.job(job, False, self._pod_of_job(job)):
            self._unsure.pop(workload_id, None)
        else:
            self._unsure.setdefault(workload_id, time.monotonic())

    def _pod_of_job(self, job: Object) -> Object | None:
        """Its newest pod; of a Job that is over also one that is gone, as it was last: how it ended may stand there."""
        workload_id = label(job, names.WORKLOAD)
        there = self.pod_of(workload_id)
        return there or (self._last_pods.get(workload_id) if is_over(job) else None)

    def settle(self) -> None:
        """Infer the ends of Jobs of whose pods nothing was heard for a while, although the cluster answers."""
        before = time.monotonic() - UNSURE
        for workload_id in [one for one, since in self._unsure.items() if since < before and not self.trouble]:
            del self._unsure[workload_id]
            job = self.object_of(workload_id)
            if job is not None:
                self.known.job(job, False, self._pod_of_job(job), sure=True)

    def _stranger_changed(self, pod: Object, is_gone: bool) -> None:
        if self.others.pod(self._current.values, pod, is_gone):
            self.on_nodes()

    def _node_changed(self, node: Object, is_gone: bool) -> None:
        if is_gone:
            self._machines.pop(str(part(node, "metadata").get("uid")), None)
        self.on_nodes()


def is_session(pod: Object) -> bool:
    """Whether a pod is a session's, and not one of a Job."""
    return label(pod, names.KIND) == WorkloadKind.session.value


def is_over(job: Object) -> bool:
    """Whether no pod will run for a Job any more."""
    kinds = [one.get("type") for one in parts(part(job, "status"), "conditions") if one.get("status") == "True"]
    return bool(part(job, "metadata").get("deletionTimestamp")) or "Complete" in kinds or "Failed" in kinds
