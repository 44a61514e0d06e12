"""Queues: what is promised is there, no session can be made to go, and Kueue's own rules for its objects hold."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterhub_aiinfn.api.workloads import JobClass, WorkloadKind
from jupyterhub_aiinfn.backends.kubernetes.capacity import capacity, quantity
from jupyterhub_aiinfn.backends.kubernetes.kueue import kueue_manifests, queue_of
from jupyterhub_aiinfn.backends.kubernetes.manifests import job, session_pod
from jupyterhub_aiinfn.backends.kubernetes.quotas import session_cost
from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.values import Values

from .farms import DATA, farm, values_of
from .test_manifests import a_request, a_session

Manifest = dict[str, Any]
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def node(
    name: str, labels: dict[str, str], cores: float = 32, gib: float = 128, taint: str = "", **more: Any
) -> Manifest:
    """A node as the API server lists it."""
    allocatable = {"cpu": f"{int(cores * 1000)}m", "memory": f"{int(gib * 1024**2)}Ki", "pods": "110", **more}
    key, _, value = taint.partition("=")
    taints = {"taints": [{"key": key, "value": value, "effect": "NoSchedule"}]} if taint else {}
    metadata = {"name": name, "labels": {"kubernetes.io/os": "linux", **labels}}
    return {"kind": "Node", "metadata": metadata, "spec": taints, "status": {"allocatable": allocatable}}


def live() -> Values:
    """The example, with nothing stated: the nodes count that are there."""
    data = copy.deepcopy(DATA)
    for entry in data["nodes"].values():
        del entry["machines"]
    return values_of(data)


LIVE = live()
GPU4 = {"aiinfn/node": "gpu4"}
MIG, GPU = {"nvidia.com/mig-1g.10gb": "7"}, "nvidia.com/gpu"
RESERVED = "reserved=lhcb-flashsim"
PRODUCTS = {key: entry.node_selector for key, entry in LIVE.accelerators.items() if entry.resource == GPU}


def cluster_queues(manifests: list[Manifest]) -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one["spec"] for one in manifests if one["kind"] == "ClusterQueue"}


def quotas_of(queue: Manifest) -> Iterator[tuple[str, str, Manifest]]:
    """Flavor, resource and quota of everything in a queue."""
    for group in queue["resourceGroups"]:
        for flavor in group["flavors"]:
            for resource in flavor["resources"]:
                yield flavor["name"], resource["name"], resource


def promised(manifests: list[Manifest]) -> Counter[tuple[str, str]]:
    """Sum of all nominal quotas, by flavor and resource, in the smallest unit."""
    found: Counter[tuple[str, str]] = Counter()
    for queue in cluster_queues(manifests).values():
        for flavor, resource, quota in quotas_of(queue):
            found[flavor, resource] += int(quota["nominalQuota"].rstrip("miM"))
    return found


def there(values: Values, nodes: list[Manifest] | None) -> Counter[tuple[str, str]]:
    """What there is, by flavor and resource, from the nodes themselves."""
    pools, found = capacity(values, nodes).pools, Counter[tuple[str, str]]()
    for place, pool in pools.items():
        suffix = f".{place}" if place else ""
        found[f"aiinfn.nodes{suffix}", "cpu"] += pool.milli
        found[f"aiinfn.nodes{suffix}", "memory"] += pool.mib
        for key, count in pool.devices.items():
            found[f"aiinfn.device.{key}{suffix}", str(values.accelerators[key].resource)] += count
    return found


FPGA = {str(LIVE.accelerators["u55c"].resource): "2", GPU: "1"}
KINDS: tuple[tuple[dict[str, str], float, float, str, dict[str, str]], ...] = (
    ({"aiinfn/node": "cpu"}, 40, 100, "", {}),
    ({"aiinfn/node": "gpu1", **PRODUCTS["a100"]}, 64.5, 500, "", {GPU: "4"}),
    ({"aiinfn/node": "gpu1"}, 64.5, 500, "", MIG),
    ({"aiinfn/node": "gpu2", **PRODUCTS["t4"]}, 64, 256, "", {GPU: "8"}),
    ({"aiinfn/node": "gpu2", **PRODUCTS["t4"]}, 3, 8, "", {GPU: "8"}),
    ({"aiinfn/node": "gpu2", **PRODUCTS["rtx5000"]}, 64, 256, "", {GPU: "2"}),
    (GPU4, 33.3, 256, RESERVED, MIG),
    (GPU4, 64, 256, RESERVED, {GPU: "1"}),
    ({"aiinfn/node": "fpga1"}, 32, 128, "", FPGA),
    ({}, 16, 64, "node-role.kubernetes.io/control-plane=", {}),
)
"""Labels, cores, memory, taint and devices."""


@st.composite
def farms(draw: st.DrawFn) -> tuple[Values, list[Manifest]]:
    """Nodes of any kind, and guarantees that may or may not be kept."""
    data = copy.deepcopy(DATA)
    for entry in data["nodes"].values():
        del entry["machines"]
    wanted = st.dictionaries(st.sampled_from(sorted(data["accelerators"])), st.sampled_from([1, 1, 2, 5]), max_size=2)
    for key in ("lhcb-flashsim", "virgo-denoising", "quantum-lab"):
        data["projects"][key]["guaranteed"] = draw(st.just({}) | wanted)
        data["projects"][key].pop("at_most", None)
    data["kubernetes"]["kueue"]["platform_jobs"] = {"cores": draw(st.sampled_from([0.1, 1, 4.5])), "memory_gib": 4}
    kinds = [*draw(st.just(()) | st.just(KINDS)), *draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=6))]
    nodes = [
        node(f"n{number}", labels, cores, gib, taint, **devices)
        for number, (labels, cores, gib, taint, devices) in enumerate(kinds)
    ]
    return values_of(data), nodes


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(farms())
def test_what_is_promised_is_what_is_there_whoever_is_guaranteed(drawn: tuple[Values, list[Manifest]]) -> None:
    values, nodes = drawn
    try:
        manifests = kueue_manifests(values, capacity(values, nodes))
    except BackendError as error:
        refused = str(error)
    else:
        check_promises(values, nodes, manifests)
        return
    assert re.search("; (lower|add) .*", refused)


def check_promises(values: Values, nodes: list[Manifest], manifests: list[Manifest]) -> None:
    found, known = promised(manifests), there(values, nodes)
    assert {key: number for key, number in found.items() if number} == {key: n for key, n in known.items() if n}
    check_rules_of_kueue(manifests)
    for key, project in values.projects.items():
        if project.guaranteed:
            queue = cluster_queues(manifests)[f"aiinfn-{key}-guaranteed"]
            own: Counter[str] = Counter()
            for flavor, _, quota in quotas_of(queue):
                if flavor.startswith("aiinfn.device."):
                    own[flavor.split(".")[2]] += int(quota["nominalQuota"])
            assert own == Counter(project.guaranteed)


def check_rules_of_kueue(manifests: list[Manifest]) -> None:
    """What the schemas and webhooks of Kueue 0.19 ask of objects of v1beta2."""
    names = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in manifests]
    assert len(set(names)) == len(names)
    assert all(SUBDOMAIN.fullmatch(name) and len(name) <= 253 for _, _, name in names)
    flavors = {one["metadata"]["name"]: one["spec"] for one in manifests if one["kind"] == "ResourceFlavor"}
    for spec in flavors.values():
        assert len(spec.get("nodeLabels", {})) <= 8
        assert len(spec.get("nodeTaints", [])) <= 8
    for queue in cluster_queues(manifests).values():
        groups = queue["resourceGroups"]
        assert len(groups) <= 16
        covered = [name for group in groups for name in group["coveredResources"]]
        assert len(set(covered)) == len(covered)
        listed = [flavor["name"] for group in groups for flavor in group["flavors"]]
        assert len(set(listed)) == len(listed) <= 256
        assert set(listed) <= set(flavors)
        for group in groups:
            assert 1 <= len(group["flavors"]) <= 64
            for flavor in group["flavors"]:
                assert [one["name"] for one in flavor["resources"]] == group["coveredResources"]
    queues = set(cluster_queues(manifests))
    for one in manifests:
        if one["kind"] == "LocalQueue":
            assert one["spec"]["clusterQueue"] in queues
            assert LABEL.fullmatch(one["metadata"]["name"])


def may_preempt(policy: str, preemptor: int, victim: int) -> bool:
    """Kueue's rule for one policy (0.19, classical preemption): who may be a candidate at all."""
    return {"Never": False, "LowerPriority": victim < preemptor, "Any": True}[policy]


def priorities(values: Values, manifests: list[Manifest]) -> dict[str, int]:
    """The priority of what waits in each cluster queue, by what our own workloads carry."""
    classes = {one["metadata"]["name"]: one["value"] for one in manifests if one["kind"] == "WorkloadPriorityClass"}
    label = "kueue.x-k8s.io/priority-class"
    session = session_pod(values, a_request(values))["metadata"]["labels"][label]
    jobs = {
        job_class: job(values, a_request(values, kind=WorkloadKind.job, job_class=job_class))["metadata"]["labels"][
            label
        ]
        for job_class in JobClass
    }
    of_queue = {"aiinfn-platform": jobs[JobClass.platform], "aiinfn-batch": jobs[JobClass.batch]}
    return {name: classes[of_queue.get(name, session)] for name in cluster_queues(manifests)}


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(farms())
def test_nobody_can_make_a_session_or_a_platform_job_go_even_when_quotas_are_lowered(
    drawn: tuple[Values, list[Manifest]],
) -> None:
    """Whatever runs and however much: a lowered quota makes what runs look borrowed, and still nothing may touch it."""
    values, nodes = drawn
    try:
        manifests = kueue_manifests(values, capacity(values, nodes))
    except BackendError:
        return
    queues, priority = cluster_queues(manifests), priorities(values, manifests)
    for name, queue in queues.items():
        policies = queue["preemption"]
        assert policies["borrowWithinCohort"] == {"policy": "Never"}
        assert (queue.get("flavorFungibility", {}).get("whenCanPreempt") == "MayStopSearch") is (name != "aiinfn-batch")
        for victim in queues:
            policy = policies["withinClusterQueue" if victim == name else "reclaimWithinCohort"]
            if victim != "aiinfn-batch":
                assert not may_preempt(policy, priority[name], priority[victim])
            elif name != "aiinfn-batch":
                assert may_preempt(policy, priority[name], priority[victim])
        borrows = {quota.get("borrowingLimit") for _, _, quota in quotas_of(queue)}
        assert borrows == ({None} if name == "aiinfn-batch" else {"0"})
    assert {quota["nominalQuota"].strip("miM") for _, _, quota in quotas_of(queues["aiinfn-batch"])} == {"0"}


def test_batch_may_borrow_all_that_there_is() -> None:
    values = farm()
    queues = cluster_queues(kueue_manifests(values, capacity(values, None)))
    everything = {(flavor, name) for queue in queues.values() for flavor, name, _ in quotas_of(queue)}
    assert {(flavor, name) for flavor, name, _ in quotas_of(queues["aiinfn-batch"])} == everything


def test_the_example_of_a_farm() -> None:
    values = farm()
    manifests = kueue_manifests(values, capacity(values, None))
    queues = cluster_queues(manifests)
    assert list(queues) == [
        *("aiinfn-sessions", "aiinfn-platform", "aiinfn-lhcb-flashsim-guaranteed"),
        *("aiinfn-virgo-denoising-guaranteed", "aiinfn-batch"),
    ]
    guaranteed = {
        (flavor, name): quota["nominalQuota"]
        for flavor, name, quota in quotas_of(queues["aiinfn-lhcb-flashsim-guaranteed"])
    }
    # two sessions of the large size of the profile gpu, with the sidecar: on the nodes that are reserved for them
    assert guaranteed == {
        ("aiinfn.nodes.gpu4", "cpu"): "8200m",
        ("aiinfn.nodes.gpu4", "memory"): f"{2 * (32 * 1024 + 128)}Mi",
        ("aiinfn.device.a100-1g.gpu4", "nvidia.com/mig-1g.10gb"): "2",
    }
    flavors = {one["metadata"]["name"]: one["spec"] for one in manifests if one["kind"] == "ResourceFlavor"}
    assert flavors["aiinfn.nodes"] == {}
    assert flavors["aiinfn.device.t4"] == {"nodeLabels": {"nvidia.com/gpu.product": "Tesla-T4"}}
    assert flavors["aiinfn.device.a100-1g.gpu4"] == {
        "nodeLabels": {"aiinfn/node": "gpu4"},
        "nodeTaints": [{"key": "reserved", "value": "lhcb-flashsim", "effect": "NoSchedule"}],
    }
    local = {
        (one["metadata"]["namespace"], one["metadata"]["name"]): one["spec"]["clusterQueue"]
        for one in manifests
        if one["kind"] == "LocalQueue"
    }
    assert local["aiinfn-sessions", "lhcb-flashsim"] == "aiinfn-sessions"
    assert local["aiinfn-sessions", "lhcb-flashsim-guaranteed"] == "aiinfn-lhcb-flashsim-guaranteed"
    assert local["aiinfn-jobs", "lhcb-flashsim"] == "aiinfn-batch"
    assert local["aiinfn-jobs", "aiinfn.platform"] == "aiinfn-platform"
    assert ("aiinfn-sessions", "quantum-lab-guaranteed") not in local


def test_the_cost_of_a_session_is_what_its_pod_asks_for() -> None:
    values = farm()
    cost = session_cost(values, "t4")
    assert cost is not None
    size = values.profiles["gpu"].sizes["large"]
    kept = {"guaranteed_cores": size.guaranteed_cores, "guaranteed_memory_gib": size.guaranteed_memory_gib}
    pod = session_pod(values, a_request(values, cores=size.cores, memory_gib=size.memory_gib, **kept))
    held = [one for one in pod["spec"]["initContainers"] if one.get("restartPolicy") == "Always"]
    asked = [one["resources"]["requests"] for one in [*pod["spec"]["containers"], *held]]
    assert sum(int(one["cpu"].rstrip("m")) for one in asked) == cost.milli
    assert sum(int(one["memory"].rstrip("Mi")) for one in asked) == cost.mib


@pytest.mark.parametrize(
    ("alike", "resources", "sentence"), [(65, 1, "64 kinds of quota of x.org/r0"), (20, 14, "256 kinds")]
)
def test_more_kinds_of_quota_than_kueue_takes_are_a_sentence(alike: int, resources: int, sentence: str) -> None:
    data = copy.deepcopy(DATA)
    data["nodes"] = {"all": {"machines": {"count": 1, "cores": 64, "memory_gib": 512}}}
    data["accelerators"] = {
        f"a{number}-{resource}": {
            "type": "gpu",
            "name": "x",
            "resource": f"x.org/r{resource}",
            "node_selector": {"model": f"m{number}"},
        }
        for number in range(alike)
        for resource in range(resources)
    }
    for section in ("projects", "profiles"):
        for entry in data[section].values():
            for key in ("accelerators", "guaranteed", "at_most", "per_user"):
                entry.pop(key, None)
    values = values_of(data)
    with pytest.raises(BackendError, match=f"Kueue takes at most {sentence}.*; merge accelerators or classes"):
        kueue_manifests(values, capacity(values, None))


# Which queue


@pytest.mark.parametrize(
    ("changes", "held", "queue"),
    [
        ({"accelerator": "a100-1g", "accelerator_count": 1}, 0, "lhcb-flashsim-guaranteed"),
        ({"accelerator": "a100-1g", "accelerator_count": 1}, 1, "lhcb-flashsim-guaranteed"),
        ({"accelerator": "a100-1g", "accelerator_count": 1}, 2, "lhcb-flashsim"),
        ({"accelerator": "a100-1g", "accelerator_count": 2}, 1, "lhcb-flashsim"),
        ({"accelerator": "t4", "accelerator_count": 1}, 0, "lhcb-flashsim"),
        ({}, 0, "lhcb-flashsim"),
        ({"project": "quantum-lab", "accelerator": "a100-1g", "accelerator_count": 1}, 0, "quantum-lab"),
        (
            {
                "kind": WorkloadKind.job,
                "job_class": JobClass.batch,
                "accelerator": "a100-1g",
                "accelerator_count": 1,
            },
            0,
            "lhcb-flashsim",
        ),
        ({"kind": WorkloadKind.job, "job_class": JobClass.platform, "project": None}, 0, "aiinfn.platform"),
    ],
)
def test_the_queue_of_a_workload_exists(changes: dict[str, Any], held: int, queue: str) -> None:
    values = farm()
    spec = a_session(**changes)
    assert queue_of(values, spec, held) == queue
    namespace = "aiinfn-sessions" if spec.kind is WorkloadKind.session else "aiinfn-jobs"
    manifests = kueue_manifests(values, capacity(values, None))
    heads = [one["metadata"] for one in manifests if one["kind"] == "LocalQueue"]
    assert {"name": queue, "namespace": namespace} in heads


def test_without_kueue_there_is_no_queue() -> None:
    values = farm(kueue=False)
    assert queue_of(values, a_session()) is None
    assert kueue_manifests(values, capacity(values, None)) == []


@pytest.mark.parametrize("project", [None, "gone"])
def test_a_workload_of_no_project_is_a_sentence(project: str | None) -> None:
    with pytest.raises(BackendError, match="belongs to no project, so it has no queue; choose a project"):
        queue_of(farm(), a_session(project=project))


# What there is


def test_nodes_count_less_what_they_keep() -> None:
    nodes = [
        node("a", {"aiinfn/node": "gpu2", **PRODUCTS["t4"]}, 64, 256, **{GPU: "8"}),
        node("b", {"aiinfn/node": "gpu2", **PRODUCTS["t4"]}, 2, 8, **{GPU: "1"}),
        node("c", GPU4, 10, 32, RESERVED, **MIG),
        node("d", {}, 8, 16),
    ]
    found = capacity(LIVE, nodes)
    assert (found.open.milli, found.open.mib) == (60_000 + 0 + 8_000, 240 * 1024 + 0 + 16 * 1024)
    assert found.open.devices == {"t4": 9}
    assert (found.reserved["gpu4"].milli, found.reserved["gpu4"].devices) == (6_000, {"a100-1g": 7})
    assert found.notes == []


@pytest.mark.parametrize(
    ("labels", "taint", "cores", "note"),
    [
        ({}, "node-role.kubernetes.io/control-plane=", 0, "nobody tolerates its taint node-role.kubernetes.io/control"),
        ({}, "reserved=cms", 0, "nobody tolerates its taint reserved=cms"),
        ({}, "node.kubernetes.io/unschedulable=", 32, ""),
        ({}, "node.kubernetes.io/not-ready=", 32, ""),
        (GPU4, "", 0, "is of the reserved class gpu4 and has not its taint reserved=lhcb-flashsim"),
    ],
)
def test_nodes_that_are_not_counted_as_one_would_expect_are_said(
    labels: dict[str, str], taint: str, cores: int, note: str
) -> None:
    found = capacity(LIVE, [node("a", labels, taint=taint)])
    assert found.open.milli == cores * 1000
    assert len(found.notes) == bool(note)
    assert note in " ".join(found.notes)


def test_a_class_whose_taint_nobody_tolerates_is_said() -> None:
    data = copy.deepcopy(DATA)
    data["nodes"]["gpu4"]["taint"] = "dedicated=lhcb-flashsim"
    (note,) = capacity(values_of(data), None).notes
    assert note.startswith(
        "nodes.gpu4 is of no use to anybody: nobody tolerates its taint dedicated=lhcb-flashsim, only"
    )


def test_a_class_that_states_its_machines_is_not_counted_twice() -> None:
    values = farm()
    alone, both = capacity(values, None), capacity(values, [node("a", {"aiinfn/node": "cpu"}), node("b", {})])
    assert both.open.milli == alone.open.milli + 32_000


def test_nothing_to_count_from_is_a_sentence() -> None:
    with pytest.raises(BackendError, match=r"give its nodes with --nodes .*, or write nodes\.\*\.machines"):
        capacity(LIVE, None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("31850m", 31.85),
        ("7", 7),
        (7, 7),
        ("128Gi", 128 * 2**30),
        ("131900000Ki", 131900000 * 2**10),
        ("1e3", 1000),
        ("1.5k", 1500),
        ("0", 0),
        ("500u", 0.0005),
        ("2E2", 200),
    ],
)
def test_quantities_of_kubernetes(text: object, value: float) -> None:
    assert float(quantity(text, "n", "cpu")) == value


@pytest.mark.parametrize("text", ["", "-1", "many", None, True, 1.5, "1 Gi", "9" * 40, "1e999", "0x10", [], "1\n"])
def test_what_is_no_quantity_is_a_sentence(text: object) -> None:
    with pytest.raises(BackendError, match=r"allocatable cpu of node n is .* which is no quantity; give the file"):
        quantity(text, "n", "cpu")


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("projects", "lhcb-flashsim", "guaranteed"), {"a100-1g": 6}, None),
        (
            ("projects", "virgo-denoising", "guaranteed"),
            {"rtx5000": 6},
            'is guaranteed 6 of "rtx5000", and 5 can be had',
        ),
        (
            ("projects", "quantum-lab", "guaranteed"),
            {"a100-1g": 15},
            "and 14 can be had on nodes where its members may",
        ),
        (
            ("kubernetes", "kueue", "platform_jobs"),
            {"cores": 4096},
            "shall have 4096 cores and 8 GiB, and all nodes open",
        ),
        (("nodes", "gpu2", "keep"), {"cores": 500}, None),
        (("profiles", "gpu", "accelerators"), ["t4"], "which no profile offers; add it to a profile"),
        (
            ("profiles", "gpu", "sizes", "large"),
            {"cores": 4000, "memory_gib": 8},
            "a session with it needs 4000.1 cores and 16.125 GiB, which are not left; lower guaranteed_cores",
        ),
    ],
)
def test_more_promised_than_there_is_is_a_sentence(path: tuple[str, ...], value: Any, sentence: str | None) -> None:
    data = copy.deepcopy(DATA)
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    if path[-1] == "large":
        inner["small"]["guaranteed_memory_gib"] = 16
    values = values_of(data)
    if sentence is None:
        assert kueue_manifests(values, capacity(values, None))
    else:
        with pytest.raises(BackendError, match=re.escape(sentence)):
            kueue_manifests(values, capacity(values, None))
