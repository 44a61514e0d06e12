"""The line as one who waits sees it, and what on a cluster is not as the values say."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterhub_aiinfn.backends.kubernetes.drift import Drift, drift
from jupyterhub_aiinfn.backends.kubernetes.installation import installation_manifests
from jupyterhub_aiinfn.backends.kubernetes.line import Waiting, waiting, workload_of

from .farms import farm
from .test_reading import JUNK

Object = dict[str, Any]


def workload(*conditions: tuple[str, str, str], uid: str = "u1", name: str = "pod-alice-1") -> Object:
    """As Kueue writes it, shortened."""
    listed = [{"type": kind, "status": status, "reason": reason} for kind, status, reason in conditions]
    labels = {"kueue.x-k8s.io/job-uid": uid}
    return {"kind": "Workload", "metadata": {"name": name, "labels": labels}, "status": {"conditions": listed}}


def summary(*names: str) -> Object:
    """What the visibility API answers."""
    return {
        "kind": "PendingWorkloadsSummary",
        "items": [
            {"metadata": {"name": name}, "priority": 1000, "positionInClusterQueue": place, "positionInLocalQueue": 0}
            for place, name in enumerate(names)
        ],
    }


def test_the_place_counts_everybody_who_waits_for_the_same() -> None:
    line = summary("pod-bob-7", "pod-carol-2", "pod-alice-1")
    waits = workload(("QuotaReserved", "False", "WaitingForQuota"))
    assert waiting(waits, line) == Waiting("it waits for its turn: place 3 in the line", 3, held_back=True)
    alone = summary("pod-alice-1")
    assert waiting(waits, alone) == Waiting("it waits for its turn: it is next in the line", 1, held_back=True)
    assert waiting(workload(), alone) == Waiting("it waits for its turn: it is next in the line", 1, held_back=False)
    assert waiting(waits, {}) == Waiting("it waits for its turn", held_back=True)


@pytest.mark.parametrize("done", [("Admitted", "True", "Admitted"), ("Finished", "True", "Succeeded")])
def test_who_has_a_place_waits_no_more(done: tuple[str, str, str]) -> None:
    assert waiting(workload(done), summary("pod-alice-1")) is None


@pytest.mark.parametrize(
    ("reason", "words"),
    [("ExceedsMaxQuota", "less of it in all than was asked for; choose fewer"), ("NoMatchingFlavor", "tell an admin")],
)
def test_waiting_for_what_never_comes_is_told(reason: str, words: str) -> None:
    found = waiting(workload(("QuotaReserved", "False", reason)), summary("pod-alice-1"))
    assert found is not None
    assert found.lasting
    assert words in found.sentence


def test_the_workload_of_a_pod_is_found_by_its_uid() -> None:
    both = [workload(uid="u1"), workload(uid="u2", name="other")]
    assert workload_of(both, "u2") is both[1]
    assert workload_of(both, "u3") is None


@settings(max_examples=100, deadline=None)
@given(JUNK, JUNK)
def test_nothing_that_kueue_says_makes_it_fail(one: Any, other: Any) -> None:
    for found in (one, {"metadata": one, "status": other}, workload(), {"status": {"conditions": [one, other]}}):
        if isinstance(found, dict):
            answer = waiting(
                found, {"items": [other, {"metadata": {"name": "pod-alice-1"}, "positionInClusterQueue": one}]}
            )
            assert answer is None or answer.sentence
            assert workload_of([found], "u9") is None


# Drift


def applied() -> tuple[list[Object], list[Object]]:
    """Manifests, and the objects that the API server made of them."""
    wanted, _ = installation_manifests(farm(), None)
    found = copy.deepcopy(wanted)
    for one in found:
        one["metadata"] |= {"uid": "u", "resourceVersion": "7", "creationTimestamp": "2026-11-25T10:00:00Z"}
        one["status"] = {"conditions": []}
    return wanted, found


def named(objects: list[Object], kind: str, name: str) -> Object:
    return next(one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name))


def test_what_was_applied_is_as_the_values_say() -> None:
    wanted, found = applied()
    assert drift(wanted, found) == []
    assert drift(wanted, reversed(found)) == []


def test_a_changed_quota_is_said_with_both_figures() -> None:
    wanted, found = applied()
    queue = named(found, "ClusterQueue", "aiinfn-sessions")
    queue["spec"]["resourceGroups"][1]["flavors"][0]["resources"][0]["nominalQuota"] = "9"
    queue["spec"]["preemption"]["reclaimWithinCohort"] = "Any"
    assert [str(one) for one in drift(wanted, found)] == [
        "ClusterQueue aiinfn-sessions: spec.preemption.reclaimWithinCohort is Any and should be LowerPriority",
        "ClusterQueue aiinfn-sessions: spec.resourceGroups[1].flavors[aiinfn.device.a100-1g.gpu4]"
        ".resources[nvidia.com/mig-1g.10gb].nominalQuota is 9 and should be 5",
    ]


def test_quantities_written_in_another_way_are_the_same() -> None:
    wanted, found = applied()
    for one in found:
        if one["kind"] == "ClusterQueue" and one["metadata"]["name"] == "aiinfn-platform":
            (group,) = one["spec"]["resourceGroups"]
            group["flavors"][0]["resources"][0]["nominalQuota"] = "4"
            group["flavors"][0]["resources"][1]["nominalQuota"] = "16Gi"
    assert drift(wanted, found) == []


def test_what_is_missing_and_what_is_left_over() -> None:
    wanted, found = applied()
    gone = named(found, "LocalQueue", "quantum-lab")
    found.remove(gone)
    old = copy.deepcopy(named(found, "ResourceFlavor", "aiinfn.nodes"))
    old["metadata"]["name"] = "aiinfn.device.v100"
    foreign = copy.deepcopy(old)
    foreign["metadata"] |= {"name": "somebody-elses", "labels": {}}
    assert drift(wanted, [*found, old, foreign]) == [
        Drift("missing", f"LocalQueue {gone['metadata']['namespace']}/quantum-lab"),
        Drift("left over", "ResourceFlavor aiinfn.device.v100"),
    ]


def test_a_removed_rule_and_a_weakened_namespace_are_found() -> None:
    wanted, found = applied()
    named(found, "Role", "aiinfn-hub")["rules"].pop()
    del named(found, "Namespace", "aiinfn-jobs")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    said = [str(one) for one in drift(wanted, found)]
    assert (
        "Namespace aiinfn-jobs: metadata.labels.pod-security.kubernetes.io/enforce is missing and should be restricted"
        in said
    )
    assert "Role aiinfn-sessions/aiinfn-hub: rules is 6 entries and should be 7 entries" in said


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["kind", "metadata", "spec"]), JUNK, max_size=3), max_size=3))
def test_nothing_that_a_cluster_has_makes_it_fail(found: list[Object]) -> None:
    wanted, _ = applied()
    assert len(drift(wanted, found)) >= len(wanted) - len(found)
