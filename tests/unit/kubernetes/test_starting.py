"""How a start stands, who holds a guarantee, and what a killed start left: pure functions of pods and Secrets."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_aiinfn.api.workloads import EndReason, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.backends.kubernetes import manifests
from jupyterhub_aiinfn.backends.kubernetes.allowed import require_listed_images
from jupyterhub_aiinfn.backends.kubernetes.description import end_patch
from jupyterhub_aiinfn.backends.kubernetes.manifests import PodRequest
from jupyterhub_aiinfn.backends.kubernetes.names import WORKLOAD
from jupyterhub_aiinfn.backends.kubernetes.orphans import orphans, unclaimed
from jupyterhub_aiinfn.backends.kubernetes.reading import read_pod
from jupyterhub_aiinfn.backends.kubernetes.starting import Stand, has_gone, held_by_guarantee, is_ready, look
from jupyterhub_aiinfn.errors import BackendError

from . import farms

SPEC = WorkloadSpec(
    kind=WorkloadKind.session,
    name="gpu of alice",
    command=("run",),
    cores=1,
    memory_gib=1,
    person="alice",
    server_name="",
    project="lhcb-flashsim",
    profile="gpu",
    image="gpu",
    accelerator="a100-1g",
    accelerator_count=1,
)
VALUES = farms.farm()
GATE = {"schedulingGates": [{"name": "kueue.x-k8s.io/admission"}]}
RUNNING = {"containerStatuses": [{"name": "notebook", "state": {"running": {"startedAt": "2026-11-25T08:00:00Z"}}}]}


def request(spec: WorkloadSpec = SPEC, queue: str = "lhcb-flashsim-guaranteed") -> PodRequest:
    return PodRequest(spec, farms.numbers(VALUES, spec), queue=queue)


def pod(status: dict[str, Any] | None = None, spec: dict[str, Any] | None = None, **head: Any) -> dict[str, Any]:
    """A pod as the API server would have it."""
    made = manifests.session_pod(VALUES, request())
    made["metadata"] |= {"creationTimestamp": "2026-11-25T07:59:00Z", "uid": "u-1", **head}
    made["spec"] |= spec or {}
    return made | {"status": {"phase": "Pending", **(status or {})}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"containerStatuses": [{"name": "notebook", "state": {"waiting": {"reason": reason, "message": message}}}]}


def conditions(**kinds: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status} for kind, status in kinds.items()]}


@pytest.mark.parametrize(
    ("found", "stand", "words"),
    [
        (None, Stand.comes, "asking for it"),
        (pod(), Stand.comes, "a node is being chosen"),
        (pod(spec=GATE), Stand.waits, "it waits for its turn"),
        (pod(conditions(PodScheduled="True")), Stand.comes, "fetches the image"),
        (pod(waiting("ErrImagePull", "no such host")), Stand.comes, "could not be fetched"),
        (pod(waiting("ErrImageNeverPull")), Stand.over, "could not be fetched"),
        (pod(waiting("CreateContainerConfigError", "secret not found")), Stand.over, "tell an administrator"),
        (
            pod({"phase": "Running", "podIP": "10.0.0.1", **RUNNING, **conditions(Ready="True")}),
            Stand.ready,
            "starting",
        ),
        (pod({"phase": "Running", **RUNNING, **conditions(Ready="True")}), Stand.comes, ""),
        (pod({"phase": "Failed", "reason": "Evicted"}), Stand.over, "ran short of memory or disk"),
        (pod(deletionTimestamp="2026-11-25T08:00:00Z"), Stand.over, "somebody deleted it"),
        (pod(annotations={}), Stand.over, "somebody changed its description"),
    ],
)
def test_a_start_stands_as_its_pod_says(found: dict[str, Any] | None, stand: Stand, words: str) -> None:
    start = look(found)
    assert start.stand is stand
    assert words in start.sentence


def test_a_pod_that_went_before_it_was_ready_is_no_pod_that_comes() -> None:
    assert look(None, seen=True).stand is Stand.over


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["metadata", "status", "spec", "conditions", "type", "state", "containerStatuses"]),
                inner,
            )
        ),
    )
)
def test_whatever_the_cluster_says_something_is_read(found: object) -> None:
    one = {"status": found} if not isinstance(found, dict) else found
    assert look(one).sentence
    assert isinstance(has_gone(one), bool)
    assert isinstance(is_ready(one), bool)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (None, True),
        (pod({"phase": "Running", **RUNNING}), False),
        (pod({"phase": "Running", **RUNNING}, deletionTimestamp="2026-11-25T08:00:00Z"), False),
        (pod({"phase": "Failed"}, deletionTimestamp="2026-11-25T08:00:00Z"), True),
        (pod({"phase": "Failed"}), False),
        (pod(spec=GATE, deletionTimestamp="2026-11-25T08:00:00Z"), True),
        (pod(spec=GATE), False),
    ],
)
def test_a_pod_has_gone_when_nothing_of_it_runs_also_when_a_finalizer_holds_it(found: Any, expected: bool) -> None:
    assert has_gone(found) is expected


def test_the_guarantee_counts_who_holds_it_waits_for_it_and_begins_to() -> None:
    other = dataclasses.replace(SPEC, id="w" + "1" * 20)
    assert held_by_guarantee([], [], SPEC) == 0
    assert held_by_guarantee([pod(), pod(spec=GATE)], [], other) == 2
    assert held_by_guarantee([pod({"phase": "Failed"})], [], other) == 0
    assert held_by_guarantee([], [request()], other) == 1
    assert held_by_guarantee([], [request()], SPEC) == 0  # oneself
    assert held_by_guarantee([], [request(queue="lhcb-flashsim")], other) == 0
    assert held_by_guarantee([pod()], [], dataclasses.replace(other, accelerator="t4")) == 0
    assert held_by_guarantee([pod()], [], dataclasses.replace(other, accelerator=None)) == 0


@pytest.mark.parametrize("kind", ["initContainers", "containers", "ephemeralContainers"])
def test_no_pod_with_an_image_that_is_not_listed_gets_past_the_last_look(kind: str) -> None:
    granted = manifests.session_pod(VALUES, request())
    require_listed_images(VALUES, granted)
    for image in ("registry.example.org/evil:1", "", None, 7, ["x"]):
        changed = copy.deepcopy(granted)
        changed["spec"].setdefault(kind, []).append({"name": "more", "image": image})
        with pytest.raises(BackendError, match="is none of those that the values list"):
            require_listed_images(VALUES, changed)
    for nothing in ({}, {"spec": {"containers": []}}, {"spec": None}):
        with pytest.raises(BackendError, match="without a container"):
            require_listed_images(VALUES, nothing)


def secret(name: str, *owners: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "ownerReferences": [{"uid": owner} for owner in owners]}}


def test_what_belongs_to_nothing_goes_and_a_secret_with_a_pod_gets_it_as_owner() -> None:
    one, nobodys, begun = (
        {"metadata": {"name": name, "labels": {WORKLOAD: name}}} for name in ("adopted", "nobodys", "begun")
    )
    secrets = [secret("owned", "u"), secret("left"), secret("adopted"), secret("begun")]
    found = orphans(secrets, [one, nobodys, begun], {"begun"})
    assert found.useless == ("left",)
    assert found.unowned == (("adopted", one),)
    assert unclaimed([one, nobodys, begun], {"adopted", "owned"}, {"begun"}) == ["nobodys"]


def test_a_session_has_ended_when_its_pod_says_why_or_says_nothing_for_too_long() -> None:
    from jupyterhub_aiinfn.hub.session_pod import OVERDUE, SETTLED, Ending

    def left(ending: Ending, found: dict[str, Any] | None, now: float) -> float | None:
        return ending.left(found, read_pod(found) if found is not None else None, now)

    over = {"containerStatuses": [{"name": "notebook", "state": {"terminated": {"exitCode": 0}}}]}
    live, deleted = pod({"phase": "Running", **RUNNING}), {"deletionTimestamp": "1999-01-01T00:00:00Z"}
    assert left(Ending(), None, 1000) == 0
    assert left(Ending(), live, 1000) is None
    assert left(Ending(), pod({"phase": "Failed", **over}), 1000) == 0
    asked = pod({"phase": "Running", **over})
    asked["metadata"]["annotations"] |= end_patch(EndReason.idle, "")["metadata"]["annotations"]
    assert left(Ending(), asked, 1000) == 0
    ending = Ending()
    assert [left(ending, pod({"phase": "Running", **over}), now) for now in (1000, 1001, 1000 + SETTLED, 2000)] == [
        *(SETTLED, SETTLED - 1),
        *(0, 0),
    ]
    ending, gone = Ending(), pod({"phase": "Running", **RUNNING}, **deleted, deletionGracePeriodSeconds=5)
    assert left(ending, live, 500) is None
    assert [left(ending, gone, now) for now in (1000, 1001, 1005 + OVERDUE, 2000)] == [5 + OVERDUE, 4 + OVERDUE, 0, 0]


def test_who_ended_a_session_is_known_after_its_pod_went() -> None:
    from jupyterhub_aiinfn.hub.session_pod import end_of, unknown

    known = unknown("w" + "0" * 20, "alice", "")
    said = end_patch(EndReason.idle, "nothing worked in it")["metadata"]["annotations"]
    last = pod({"phase": "Running", **RUNNING})
    last["metadata"]["annotations"] |= said
    assert end_of(last, known, EndReason.lost, "vanished").reason is EndReason.idle
    guessed = end_of(pod({"phase": "Running", **RUNNING}), known, EndReason.lost, "vanished")
    assert (guessed.reason, guessed.inferred, guessed.message) == (EndReason.lost, True, "vanished")
    assert guessed.project == "lhcb-flashsim"
    stopped = end_of(None, known, EndReason.stopped, "stopped")
    assert (stopped.id, stopped.reason, stopped.inferred) == (known.id, EndReason.stopped, False)
