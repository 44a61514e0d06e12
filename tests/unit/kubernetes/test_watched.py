"""What is known of workloads, in whatever order the watches of pods and Jobs tell it: one end each, the right one."""

from __future__ import annotations

import asyncio
import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_aiinfn.api.workloads import EndReason, JobClass, Phase, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec, new_workload_id
from jupyterhub_aiinfn.backends.kubernetes import manifests, watched
from jupyterhub_aiinfn.backends.kubernetes.connection import Connection
from jupyterhub_aiinfn.backends.kubernetes.description import end_patch
from jupyterhub_aiinfn.backends.kubernetes.manifests import PodRequest
from jupyterhub_aiinfn.backends.kubernetes.tending import half_deleted, overdue
from jupyterhub_aiinfn.backends.kubernetes.watched import Watched
from jupyterhub_aiinfn.values.current import CurrentValues

from .farms import farm

Object = dict[str, Any]
CURRENT = CurrentValues(farm(kueue=False))
BEGIN, OVER = "2026-11-25T10:00:00Z", "2026-11-25T10:00:09Z"


class World:
    """A Job and its pod as an API server numbers their changes, and what is known from those that were told."""

    def __init__(self) -> None:
        self.watched = Watched(Connection(None), CURRENT)
        self.told: list[Workload] = []
        image = next(iter(CURRENT.values.images))
        kind, name = WorkloadKind.job, "build"
        spec = WorkloadSpec(kind, name, ("x",), 1, 1, job_class=JobClass.platform, image=image, accelerator=None)
        self.id, manifest = spec.id, manifests.job(CURRENT.values, PodRequest(spec))
        template = manifest["spec"]["template"]
        self.job = {**manifest, "metadata": {**manifest["metadata"], "uid": "job", "creationTimestamp": BEGIN}}
        head = {**template["metadata"], "name": f"{spec.id}-x", "namespace": manifest["metadata"]["namespace"]}
        pod = {"apiVersion": "v1", "kind": "Pod", "spec": template["spec"]}
        self.pod = {**pod, "metadata": {**head, "uid": "pod", "creationTimestamp": BEGIN}}

    def jobs(self, *statuses: Object) -> list[tuple[Object, bool]]:
        return [(changed(self.job, number, status), False) for number, status in enumerate(statuses, 1)]

    def pods(self, *statuses: Object) -> list[tuple[Object, bool]]:
        """The changes of the pod, and that it is gone."""
        found = [(changed(self.pod, number, status), False) for number, status in enumerate(statuses, 1)]
        return [*found, (changed(self.pod, len(statuses) + 1, statuses[-1]), True)]

    def tell(self, found: Object, gone: bool) -> None:
        """One change is told, and written down when anything is new."""
        jobs_pods, jobs = self.watched.pods[1], self.watched.jobs[1]
        (jobs if found["kind"] == "Job" else jobs_pods).take(copy.deepcopy(found), gone)
        now = self.watched.known.get(self.id)
        if now is not None and (not self.told or self.told[-1] != now):
            self.told.append(now)


def changed(what: Object, version: int, status: Object) -> Object:
    head = {**what["metadata"], "resourceVersion": str(version), **status.get("metadata", {})}
    return {**what, "metadata": head, "status": {key: value for key, value in status.items() if key != "metadata"}}


def container(**state: Any) -> Object:
    return {"containerStatuses": [{"name": "notebook", "state": state}]}


RUNNING = container(running={"startedAt": BEGIN})
FAILED = {"phase": "Failed", **container(terminated={"startedAt": BEGIN, "finishedAt": OVER, "exitCode": 3})}
ACTIVE = {"active": 1, "startTime": BEGIN}
OVER_FAILED = {"conditions": [{"type": "Failed", "status": "True", "lastTransitionTime": OVER}], "startTime": BEGIN}


def interleaved(draw: st.DrawFn, *streams: list[Any]) -> list[Any]:
    """The streams in some order that keeps that of each."""
    left, found = [list(one) for one in streams], []
    while any(left):
        index = draw(st.sampled_from([number for number, one in enumerate(left) if one]))
        found.append(left[index].pop(0))
    return found


@given(st.data())
def test_a_job_ends_once_with_what_its_pod_said(data: st.DataObject) -> None:
    world = World()
    jobs, pods = world.jobs({}, ACTIVE, OVER_FAILED), world.pods({}, RUNNING, FAILED)
    repeated = data.draw(st.lists(st.sampled_from([*jobs, *pods[:-1]]), max_size=4))  # as after a reconnect
    for found, gone in [*interleaved(data.draw, jobs, pods), *repeated]:
        world.tell(found, gone)
    ends = [one for one in world.told if one.phase is Phase.ended]
    assert [(one.reason, one.exit_code, one.inferred) for one in ends] == [(EndReason.failed, 3, False)]
    assert world.told[-1] == ends[0]


@given(st.data())
def test_an_evicted_job_starts_again_and_has_not_ended(data: st.DataObject) -> None:
    world = World()
    evicted = {"phase": "Failed", **container(terminated={"startedAt": BEGIN, "finishedAt": OVER, "exitCode": 137})}
    for found, gone in interleaved(data.draw, world.jobs({}, ACTIVE, {"active": 0}), world.pods({}, RUNNING, evicted)):
        world.tell(found, gone)
    assert world.told[-1].phase is Phase.starting
    assert not [one for one in world.told if one.phase is Phase.ended]


def test_an_end_is_inferred_only_when_nothing_more_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    for found, gone in world.jobs({}, ACTIVE, OVER_FAILED):
        world.tell(found, gone)
    world.watched.settle()
    assert world.watched.known.live[world.id].phase is Phase.starting  # its pod may be told in a moment
    monkeypatch.setattr(watched, "UNSURE", -1.0)
    world.watched.settle()
    found = world.watched.known.get(world.id)
    assert found is not None
    assert (found.phase, found.reason, found.inferred) == (Phase.ended, EndReason.failed, True)


def test_who_deletes_a_job_on_the_cluster_ends_it() -> None:
    world = World()
    world.tell(*world.jobs({}, ACTIVE)[1])
    deleted = {**ACTIVE, "metadata": {"deletionTimestamp": OVER}}
    world.tell(changed(world.job, 3, deleted), False)
    assert [one.id for one in half_deleted(world.watched)] == [world.id]  # its pods are to be ended by us
    ending = {"deletionTimestamp": OVER, "finalizers": ["foregroundDeletion"]}
    world.tell(changed(world.job, 4, {**ACTIVE, "metadata": ending}), False)
    assert list(half_deleted(world.watched)) == []
    said = end_patch(EndReason.administrator, "too long")["metadata"]["annotations"]
    annotations = {**world.job["metadata"]["annotations"], **said}
    for version, one in ((5, world.job["metadata"]["annotations"]), (6, annotations)):
        world.tell(changed(world.job, version, {"metadata": {**ending, "annotations": one}}), False)
    found = world.watched.known.get(world.id)
    assert found is not None
    assert (found.phase, found.reason) == (Phase.ended, EndReason.stopped)  # an end once told stays
    assert "somebody deleted it" in found.message


async def test_whoever_waits_for_an_end_is_told_it_and_ends_are_forgotten_in_order() -> None:
    world = World()
    known = world.watched.known
    waiting = [asyncio.create_task(known.ended(world.id)) for _ in range(3)]
    given_up = asyncio.create_task(known.ended(world.id))
    await asyncio.sleep(0)
    given_up.cancel()
    for found, gone in [*world.jobs({}, ACTIVE, OVER_FAILED), *world.pods({}, RUNNING, FAILED)]:
        world.tell(found, gone)
    assert {(await one).exit_code for one in waiting} == {3}
    assert (await known.ended(world.id)).exit_code == 3
    assert known.get(new_workload_id()) is None
    assert [one.id for one in known.all()] == [world.id]
    assert list(overdue(known, datetime(2030, 1, 1, tzinfo=UTC))) == []
