"""Pods and Jobs read back: phases, ends, and what Kubernetes says in words; nothing that an object holds makes it fail.

The states are those that kubelet, scheduler and controllers of Kubernetes 1.34 write, shortened.
"""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterhub_aiinfn.api.workloads import EndReason, JobClass, Phase, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.kubernetes import names
from jupyterhub_aiinfn.backends.kubernetes.description import FIELDS, end_patch
from jupyterhub_aiinfn.backends.kubernetes.manifests import PodRequest, job, session_pod
from jupyterhub_aiinfn.backends.kubernetes.reading import gone, read_job, read_pod
from jupyterhub_aiinfn.backends.kubernetes.translation import api_sentence, events_trouble, pod_trouble, waits_for_quota
from jupyterhub_aiinfn.values import Values

from .farms import farm, requests
from .test_manifests import a_request

Object = dict[str, Any]
MADE, BEGAN, OVER = "2026-11-25T10:00:00Z", "2026-11-25T10:00:05Z", "2026-11-25T11:00:00Z"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def made(manifest: Object, **status: Any) -> Object:
    """As the API server would have it."""
    found = copy.deepcopy(manifest)
    found["metadata"] |= {"creationTimestamp": MADE, "uid": "u", "resourceVersion": "1"}
    return {**found, "status": status}


VALUES = farm()
SESSION = session_pod(VALUES, a_request(VALUES, max_seconds=3600, values_hash="abc"))
BATCH = job(VALUES, a_request(VALUES, kind=WorkloadKind.job, job_class=JobClass.batch, max_seconds=60))


def pod(phase: str = "Pending", state: Object | None = None, **status: Any) -> Object:
    main = [{"name": names.MAIN, "state": state}] if state is not None else []
    return made(SESSION, phase=phase, containerStatuses=main, **status)


def running() -> Object:
    return pod("Running", {"running": {"startedAt": BEGAN}})


def ended(code: int, reason: str = "Error", phase: str = "Failed", **status: Any) -> Object:
    state = {"exitCode": code, "reason": reason, "startedAt": BEGAN, "finishedAt": OVER}
    return pod(phase, {"terminated": state}, **status)


def waiting(reason: str, message: str = "", name: str = names.MAIN) -> Object:
    kind = "containerStatuses" if name == names.MAIN else "initContainerStatuses"
    state = {"waiting": {"reason": reason, "message": message}}
    return made(SESSION, phase="Pending", **{kind: [{"name": name, "state": state}]})


def unschedulable(message: str) -> Object:
    found = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return made(SESSION, phase="Pending", conditions=[found])


def disrupted(reason: str, kind: str = "DisruptionTarget", **more: Any) -> Object:
    target = {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": OVER}
    return {**running(), "status": {**running()["status"], "conditions": [target], **more}}


@settings(max_examples=60, deadline=None)
@given(requests())
def test_a_workload_is_read_back_as_it_was_asked_for(drawn: tuple[Values, PodRequest]) -> None:
    values, request = drawn
    spec = request.spec
    found = (
        read_pod(made(session_pod(values, request)))
        if spec.kind is WorkloadKind.session
        else read_job(made(job(values, request)))
    )
    assert found is not None
    assert {name: getattr(found, name) for name in FIELDS} == {name: getattr(spec, name) for name in FIELDS}
    assert found.phase is Phase.starting
    assert found.created_at == datetime.fromisoformat(MADE)


def test_a_session_from_its_start_to_its_end() -> None:
    starting = read_pod(pod())
    assert starting is not None
    assert (starting.phase, starting.started_at, starting.message) == (Phase.starting, None, "")
    runs = read_pod(running())
    assert runs is not None
    assert (runs.phase, runs.started_at) == (Phase.running, datetime.fromisoformat(BEGAN))
    assert runs.ends_at == datetime.fromisoformat(BEGAN) + timedelta(hours=1)
    over = read_pod(ended(0, "Completed", "Succeeded"))
    assert over is not None
    assert (over.phase, over.reason, over.exit_code) == (Phase.ended, EndReason.finished, 0)
    assert over.ended_at == datetime.fromisoformat(OVER)
    assert not over.inferred


@pytest.mark.parametrize(
    ("found", "reason", "code", "words"),
    [
        (ended(1), EndReason.failed, 1, "it exited with code 1"),
        (ended(143), EndReason.failed, -15, "it exited with code 143"),
        (ended(137, "OOMKilled"), EndReason.out_of_memory, -9, "choose a larger size, or load less at a time"),
        (
            ended(137, reason="Error", message="Pod was active", phase="Failed"),
            EndReason.failed,
            -9,
            "exited with code 137",
        ),
        (
            pod("Failed", reason="Evicted", message="low on resource: memory."),
            EndReason.evicted,
            None,
            "low on resource",
        ),
        (pod("Failed", reason="NodeShutdown"), EndReason.evicted, None, "switched off or is gone"),
        (pod("Failed", reason="DeadlineExceeded"), EndReason.max_age, None, "it reached its longest life"),
        (pod("Failed"), EndReason.not_started, None, "it failed before it ran"),
        (pod("Succeeded"), EndReason.finished, None, ""),
        (
            made(
                SESSION,
                phase="Failed",
                initContainerStatuses=[{"name": "make-folders", "state": {"terminated": {"exitCode": 1}}}],
            ),
            EndReason.not_started,
            None,
            "the home or a folder of a project could not be made on the shared storage; tell an administrator",
        ),
        (ended(128, "StartError"), EndReason.not_started, 128, "its program could not be started (StartError)"),
    ],
)
def test_why_it_ended(found: Object, reason: EndReason, code: int | None, words: str) -> None:
    workload = read_pod(found)
    assert workload is not None
    assert (workload.phase, workload.reason, workload.exit_code) == (Phase.ended, reason, code)
    assert words in workload.message


def test_the_peak_of_memory_is_told_where_it_is_known() -> None:
    workload = read_pod(ended(137, "OOMKilled"), peak_gib=15.94)
    assert workload is not None
    assert "more memory than it may (at most 15.9 GiB were in use); choose" in workload.message


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("64Mi", " (at most 0.0625 GiB were in use)"),
        ("2Gi", " (at most 2 GiB were in use)"),
        ("3221225472", " (at most 3 GiB were in use)"),
        ("1e3", ""),
        ("9" * 40, ""),
        ("", ""),
        (7, ""),
        (None, ""),
    ],
)
def test_what_nobody_measured_was_all_that_it_may_have(limit: Any, said: str) -> None:
    found = ended(137, "OOMKilled")
    main = next(one for one in found["spec"]["containers"] if one["name"] == names.MAIN)
    main["resources"]["limits"]["memory"] = limit
    workload = read_pod(found)
    assert workload is not None
    assert workload.message.startswith(f"it used more memory than it may{said}; choose a larger size")


FULL = 'Usage of EmptyDir volume "scratch" exceeds the limit "200Gi". '


def test_who_filled_the_scratch_space_is_told_so_also_when_only_an_event_says_it() -> None:
    said = "it wrote more than the 200Gi that it may to /scratch, so it was ended; start it again, files in the home"
    workload = read_pod(pod("Failed", reason="Evicted", message=FULL))
    assert workload is not None
    assert said in workload.message
    events = [{"reason": "Pulled"}, {"reason": "Evicted", "message": FULL}]
    trouble = events_trouble(events)
    assert trouble is not None
    assert said in trouble.sentence
    assert trouble.reason is EndReason.evicted
    assert events_trouble([{"reason": "Killing"}, {}]) is None


@pytest.mark.parametrize(
    ("found", "words", "lasting"),
    [
        (
            waiting("ErrImagePull", "manifest unknown"),
            "the image could not be fetched by the node (manifest unknown)",
            False,
        ),
        (waiting("ImagePullBackOff"), "the image could not be fetched by the node (ImagePullBackOff); tell", True),
        (waiting("ErrImageNeverPull"), "the image could not be fetched", True),
        (waiting("InvalidImageName"), "the image could not be fetched", True),
        (waiting("ErrImagePull", name="sidecar-agent"), "the image could not be fetched", False),
        (waiting("CreateContainerConfigError", 'secret "x" not found'), 'put together (secret "x" not found)', True),
        (
            waiting("CreateContainerConfigError", "failed to sync secret cache: timed out waiting for the condition"),
            "put together (failed to sync secret cache",
            False,
        ),
        (waiting("CrashLoopBackOff", name="sidecar-agent"), "something beside it ends again and again", True),
        (
            unschedulable(
                "0/6 nodes are available: 1 Insufficient nvidia.com/gpu, 5 node(s) didn't match Pod's node "
                "affinity/selector. preemption: 0/6 nodes are available"
            ),
            "the device that was chosen is not free; try again later or choose another (the cluster says: 0/6",
            False,
        ),
        (
            unschedulable("0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory."),
            "no node has enough cores and memory free; choose a smaller size",
            False,
        ),
        (
            unschedulable("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."),
            "no node has the device that was chosen; tell an administrator",
            True,
        ),
        (
            unschedulable(
                "0/2 nodes are available: 1 node(s) had untolerated taint {reserved: cms}, 1 node(s) didn't "
                "match Pod's node affinity/selector."
            ),
            "no node has the device that was chosen, or those are reserved for others or out of order",
            False,
        ),
        (
            unschedulable(
                "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }."
            ),
            "the nodes are reserved for others or out of order",
            False,
        ),
        (
            unschedulable("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."),
            "a volume that it needs has no disk yet",
            False,
        ),
        (
            unschedulable('0/1 nodes are available: persistentvolumeclaim "home-alice" not found.'),
            "a volume that it needs does not exist",
            False,
        ),
        (
            unschedulable("something new"),
            "no node can take it now; try again later (the cluster says: something new)",
            False,
        ),
    ],
)
def test_why_it_does_not_run(found: Object, words: str, lasting: bool) -> None:
    trouble = pod_trouble(found)
    assert trouble is not None
    assert words in trouble.sentence
    assert (trouble.lasting, trouble.reason) == (lasting, EndReason.not_started)
    workload = read_pod(found)
    assert workload is not None
    assert (workload.phase, workload.message) == (Phase.starting, trouble.sentence)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (disrupted("EvictionByEvictionAPI"), "its node is being emptied for maintenance"),
        (disrupted("DeletionByTaintManager"), "its node did not answer any more"),
        (disrupted("DeletionByPodGC"), "its node is gone"),
        (disrupted("PreemptionByScheduler"), "something more urgent needed its place"),
        (disrupted("TerminationByKubelet"), "its node ran short of memory or disk"),
        (
            disrupted("WorkloadEvictedDueToPreempted", "TerminationTarget"),
            "somebody who is entitled to it needed its place",
        ),
        (
            disrupted("WorkloadEvictedDueToPodsReadyTimeout", "TerminationTarget"),
            "it was not ready in time, so its place was given back",
        ),
        (disrupted("WorkloadEvictedDueToLocalQueueStopped", "TerminationTarget"), "an administrator stopped its queue"),
        (disrupted("WorkloadDeleted", "TerminationTarget"), "the queues of the cluster took its place back"),
    ],
)
def test_a_pod_that_was_taken_away_says_why_when_it_is_gone(found: Object, words: str) -> None:
    runs = read_pod(found)
    assert runs is not None
    assert runs.phase is Phase.running
    workload = gone(found, NOW)
    assert workload is not None
    assert (workload.phase, workload.reason, workload.inferred) == (Phase.ended, EndReason.evicted, False)
    assert workload.message.startswith(words)
    assert "start it again, files in the home are kept" in workload.message
    assert workload.ended_at == NOW


def test_what_nobody_saw_end_is_inferred_and_an_end_that_was_seen_stays() -> None:
    lost = gone(running(), NOW)
    assert lost is not None
    assert (lost.reason, lost.inferred, lost.ended_at) == (EndReason.lost, True, NOW)
    seen = gone(ended(0, "Completed", "Succeeded"), NOW)
    assert seen is not None
    assert (seen.reason, seen.inferred, seen.ended_at) == (EndReason.finished, False, datetime.fromisoformat(OVER))


def stopped(found: Object, reason: EndReason, message: str) -> Object:
    """The same object after the patch that precedes its deletion."""
    patched = copy.deepcopy(found)
    patched["metadata"]["annotations"] |= end_patch(reason, message)["metadata"]["annotations"]
    return patched


@pytest.mark.parametrize("seen", [running(), ended(143), ended(137), pod()])
def test_who_asked_for_an_end_is_known_from_the_pod_itself(seen: Object) -> None:
    workload = gone(stopped(seen, EndReason.idle, "nothing worked in it for 2 h"), NOW)
    assert workload is not None
    assert (workload.phase, workload.reason, workload.inferred) == (Phase.ended, EndReason.idle, False)
    assert workload.message == "nothing worked in it for 2 h"


def test_memory_is_the_reason_whoever_asked_meanwhile() -> None:
    workload = gone(stopped(ended(137, "OOMKilled"), EndReason.stopped, "stopped"), NOW)
    assert workload is not None
    assert workload.reason is EndReason.out_of_memory


def test_a_session_that_is_being_stopped_still_runs() -> None:
    workload = read_pod(stopped(running(), EndReason.stopped, "stopped"))
    assert workload is not None
    assert (workload.phase, workload.reason) == (Phase.running, None)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"reason": "x", "message": ""}', "[" * 100_000, "null", "7"])
def test_a_strange_end_is_nobodys(text: str) -> None:
    strange = running()
    strange["metadata"]["annotations"][names.END] = text
    workload = gone(strange, NOW)
    assert workload is not None
    assert workload.reason is EndReason.lost


def test_an_extension_is_read_from_the_annotation() -> None:
    longer = running()
    longer["metadata"]["annotations"][names.MAX_SECONDS] = "7200"
    workload = read_pod(longer)
    assert workload is not None
    assert workload.ends_at == datetime.fromisoformat(BEGAN) + timedelta(hours=2)


@pytest.mark.parametrize("text", ["-1", "1e9", "9" * 10, "", "2h", "٣"])
def test_a_strange_annotation_is_no_error(text: str) -> None:
    strange = running()
    strange["metadata"]["annotations"][names.MAX_SECONDS] = text
    workload = read_pod(strange)
    assert workload is not None
    assert workload.ends_at is None or text == "9" * 10


def test_what_waits_for_its_turn_is_told_apart() -> None:
    gated = pod()
    gated["spec"]["schedulingGates"] = [{"name": "kueue.x-k8s.io/admission"}]
    assert waits_for_quota(gated)
    assert pod_trouble(gated) is None
    assert not waits_for_quota(running())


# Jobs


def condition(kind: str, reason: str = "") -> list[Object]:
    return [{"type": kind, "status": "True", "reason": reason, "lastTransitionTime": OVER}]


def read(found: Object, of: Object | None = None) -> Workload:
    workload = read_job(found, of)
    assert workload is not None
    return workload


def test_a_job_from_its_start_to_its_end() -> None:
    suspended = read(made(BATCH))
    assert (suspended.phase, suspended.started_at, suspended.ends_at) == (Phase.starting, None, None)
    runs = read(made(BATCH, startTime=BEGAN, active=1), running())
    assert (runs.phase, runs.ends_at) == (Phase.running, datetime.fromisoformat(BEGAN) + timedelta(minutes=1))
    assert read(made(BATCH, startTime=BEGAN), waiting("ImagePullBackOff")).message.startswith("the image could not")
    done = read(made(BATCH, startTime=BEGAN, conditions=condition("Complete")), ended(0, "Completed", "Succeeded"))
    assert (done.phase, done.reason, done.exit_code) == (Phase.ended, EndReason.finished, 0)
    failed = read(made(BATCH, startTime=BEGAN, conditions=condition("Failed", "BackoffLimitExceeded")), ended(3))
    assert (failed.reason, failed.exit_code, failed.inferred) == (EndReason.failed, 3, False)
    memory = read(made(BATCH, conditions=condition("Failed", "BackoffLimitExceeded")), ended(137, "OOMKilled"))
    assert memory.reason is EndReason.out_of_memory
    late = read(made(BATCH, startTime=BEGAN, conditions=condition("Failed", "DeadlineExceeded")))
    assert (late.reason, late.message) == (EndReason.max_age, "it reached its longest life")
    unseen = read(made(BATCH, startTime=BEGAN, conditions=condition("Failed", "BackoffLimitExceeded")))
    assert (unseen.reason, unseen.inferred) == (EndReason.failed, True)


def test_a_job_that_somebody_stopped_has_ended_when_nothing_of_it_runs() -> None:
    deleted = stopped(made(BATCH, startTime=BEGAN, active=1), EndReason.stopped, "stopped by alice")
    deleted["metadata"]["deletionTimestamp"] = OVER
    assert read(deleted, running()).phase is Phase.running
    deleted["status"]["active"] = 0
    over = read(deleted)
    assert (over.phase, over.reason, over.message) == (Phase.ended, EndReason.stopped, "stopped by alice")
    assert over.ended_at == datetime.fromisoformat(OVER)


def test_a_job_that_was_evicted_waits_for_its_turn_again() -> None:
    evicted = read(made(BATCH, conditions=condition("Suspended")))
    assert (evicted.phase, evicted.reason) == (Phase.starting, None)
    between = read(made(BATCH, startTime=BEGAN, active=1), disrupted("x", "TerminationTarget", phase="Failed"))
    assert between.phase is Phase.running


# Hostile objects

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
PLACES = (
    *(
        ("status",),
        ("status", "conditions"),
        ("status", "containerStatuses"),
        ("status", "phase"),
        ("status", "reason"),
    ),
    *(
        ("metadata",),
        ("metadata", "annotations"),
        ("metadata", "annotations", names.DESCRIPTION),
        ("metadata", "annotations", names.END),
        ("metadata", "labels"),
    ),
    *(("metadata", "creationTimestamp"), ("spec",), ("spec", "schedulingGates"), ("status", "startTime")),
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([SESSION, BATCH]), st.sampled_from(PLACES), JUNK, st.booleans())
def test_no_object_makes_reading_fail(manifest: Object, path: tuple[str, ...], junk: Any, inside: bool) -> None:
    found: Any = made(manifest, conditions=[], containerStatuses=[], phase="Failed")
    inner = found
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = [junk, {"name": names.MAIN, "state": junk, "type": junk}] if inside else junk
    for workload in (read_pod(found, 1.0), read_job(found, found), gone(found, NOW)):
        assert workload is None or isinstance(workload, Workload)
    assert waits_for_quota(found) in (True, False)


def test_objects_that_are_not_ours_are_nobody() -> None:
    strange = running()
    strange["metadata"]["labels"] = {"app": "x"}
    assert read_pod(strange) is None
    forged = running()
    said = json.loads(forged["metadata"]["annotations"][names.DESCRIPTION])
    forged["metadata"]["annotations"][names.DESCRIPTION] = json.dumps(said | {"id": "w" + "0" * 20})
    assert read_pod(forged) is None
    deep = running()
    deep["metadata"]["annotations"][names.DESCRIPTION] = "[" * 100_000
    assert read_pod(deep) is None


# Errors of the API


@pytest.mark.parametrize(
    ("code", "reason", "message", "words"),
    [
        (0, "", "", "the cluster does not answer; try again in a minute"),
        (401, "Unauthorized", "", "does not know the platform any more"),
        (403, "Forbidden", 'pods "x" is forbidden: violates PodSecurity "restricted:latest"', "its rules of security"),
        (403, "Forbidden", "exceeded quota: sessions", "is used up; try again when something has ended"),
        (403, "Forbidden", 'User "system:serviceaccount" cannot create', "the platform may not do this"),
        (404, "NotFound", "", "the cluster has it no more"),
        (404, "NotFound", 'webhook "mpod.kb.io" denied the request: Namespace "s" not found', "try again in a minute"),
        (409, "AlreadyExists", "", "one of that name already"),
        (409, "Conflict", "", "somebody else changed it at the same moment"),
        (410, "Expired", "", "look again"),
        (422, "Invalid", "spec.x: Invalid value", "refuses it as wrong"),
        (429, "TooManyRequests", "", "too much to do"),
        (
            500,
            "InternalError",
            'failed calling webhook "mpod.kb.io": kueue-webhook-service',
            "the queues of the cluster",
        ),
        (500, "InternalError", 'failed calling webhook "x"', "a part of the cluster does not answer"),
        (503, "ServiceUnavailable", "", "an error of its own"),
        (418, "Teapot", "", "the cluster refused it"),
    ],
)
def test_every_error_of_the_cluster_is_a_sentence(code: int, reason: str, message: str, words: str) -> None:
    sentence = api_sentence("start the session", code, reason, message)
    assert sentence.startswith("could not start the session: ")
    assert words in sentence
    assert ";" in sentence or "no more" in sentence


@given(st.integers(), st.text(max_size=20), st.text(max_size=50))
def test_an_error_never_repeats_what_was_sent(code: int, reason: str, message: str) -> None:
    secret = "tok-7c1f9be2d4a0"
    sentence = api_sentence("start the session", code, reason, f"{message}{secret}")
    assert secret not in sentence
    assert sentence.isprintable()
