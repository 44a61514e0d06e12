"""Devices that pods of others hold: counted as the scheduler does, on nodes from which we give, and no more is kept."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_aiinfn.backends.kubernetes.connection import Connection
from jupyterhub_aiinfn.backends.kubernetes.free import Machine, Use, devices_of
from jupyterhub_aiinfn.backends.kubernetes.others import Others, keep_devices, needed, selector
from jupyterhub_aiinfn.backends.kubernetes.watched import Watched
from jupyterhub_aiinfn.values.current import CurrentValues

from .farms import DATA, farm, values_of
from .test_free import A100, JSON, PLAIN, node

Object = dict[str, Any]
RESOURCE = str(PLAIN.accelerators[A100].resource)
MACHINES = [Machine("one", None, True, {A100: 7})]


def container(count: object = "1", resource: str = RESOURCE, **fields: Any) -> Object:
    return {"name": "c", "image": "x", "resources": {"limits": {resource: count}}, **fields}


def pod(*containers: Object, at: str | None = "one", uid: str = "u", **spec: Any) -> Object:
    head = {"name": "theirs", "namespace": "elsewhere", "uid": uid, "resourceVersion": "5", "labels": {"a": "b"}}
    return {
        "metadata": head,
        "spec": {"nodeName": at, "containers": list(containers), **spec},
        "status": {"phase": "x"},
    }


def used(*pods: Object, machines: list[Machine] = MACHINES) -> list[Use]:
    others = Others()
    for one in pods:
        others.pod(PLAIN, one, False)
    return list(others.uses(PLAIN, machines))


def test_what_they_hold_is_in_use_on_nodes_that_take_somebody() -> None:
    assert used(pod(container("2"), container("1"))) == [Use(A100, 3, "one")]
    found = devices_of(PLAIN, MACHINES, used(pod(container("2"))))[A100]
    assert (found.total, found.used, found.next_free_at) == (7, 2, None)
    for nothing in (
        pod(container(), at="two"),
        pod(container(), at=None),
        pod(container(resource="example.org/other")),
        pod({"name": "plain"}),
    ):
        assert used(nothing) == []
    assert used(pod(container()), machines=[Machine("one", None, False, {A100: 7})]) == []


def test_it_is_the_reserved_nodes_own_that_they_take() -> None:
    machines = [*MACHINES, Machine("two", "flash", True, {A100: 2})]
    found = devices_of(PLAIN, machines, used(pod(container(), at="two"), machines=machines))[A100]
    assert (found.total, found.used) == (7, 0)
    assert [(one.groups, one.total, one.used) for one in found.reserved] == [(("flash",), 2, 1)]


def test_a_pod_that_changes_or_goes_is_told_once() -> None:
    others, theirs = Others(), pod(container())
    assert others.pod(PLAIN, theirs, False)
    assert not others.pod(PLAIN, theirs, False)
    assert not others.pod(PLAIN, pod(uid="plain"), False)
    assert others.pod(PLAIN, theirs, True)
    assert not others.pod(PLAIN, theirs, True)
    assert list(others.uses(PLAIN, MACHINES)) == []


@pytest.mark.parametrize(
    ("init", "main", "count"),
    [
        ([], [1, 2], 3),
        ([4], [1, 2], 4),
        ([1], [2], 2),
        (["sidecar"], [1], 2),
        (["sidecar", 3], [1], 4),
        ([3, "sidecar"], [1], 3),
    ],
)
def test_they_are_counted_as_the_scheduler_does(init: list[Any], main: list[int], count: int) -> None:
    inits = [container("1", restartPolicy="Always") if one == "sidecar" else container(str(one)) for one in init]
    spec = {"initContainers": inits, "containers": [container(str(one)) for one in main]}
    assert needed(spec, RESOURCE) == count
    whole = {"spec": copy.deepcopy(spec), "metadata": {}}
    keep_devices(whole)
    assert needed(whole["spec"], RESOURCE) == count


def test_nothing_else_of_them_is_kept() -> None:
    secret = {"env": [{"name": "PASSWORD", "value": "s3cret"}], "command": ["s3cret"]}
    found = pod(container(**secret), initContainers=[container(**secret)], volumes=[{"name": "s3cret"}])
    found["metadata"]["annotations"] = {"a": "s3cret"}
    keep_devices(found)
    assert "s3cret" not in str(found)
    assert "theirs" not in str(found)
    assert used(found) == [Use(A100, 1, "one")]


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), JSON), JSON)
def test_nothing_that_a_pod_says_makes_it_fail(whole: Object, amount: Any) -> None:
    for one in (whole, pod(container(amount)), pod(container(), initContainers=amount)):
        used(one)
        keep_devices(one)
        used(one)


def test_our_own_namespaces_are_not_asked_for() -> None:
    watched = Watched(Connection(None), CurrentValues(farm()))
    assert watched.strangers is not None
    assert watched.strangers not in watched.all
    assert selector(["a", "b"]).startswith("metadata.namespace!=a,metadata.namespace!=b,spec.nodeName!=,")


def test_they_count_in_what_can_be_had_and_held() -> None:
    watched = Watched(Connection(None), CurrentValues(PLAIN))
    told: list[None] = []
    machine = node()
    machine["metadata"] |= {"uid": "n", "resourceVersion": "1"}
    watched.nodes.take(machine)
    watched.on_nodes = lambda: told.append(None)
    assert watched.strangers is not None
    watched.strangers.take(pod(container("7")))
    assert told
    assert not watched.has_too_few(A100)
    assert [(one.count, one.node) for one in watched.uses()] == [(7, "one")]
    watched.strangers.take(pod(container("1"), uid="more"))
    assert watched.has_too_few(A100)


def test_values_may_say_that_nobody_else_is_there() -> None:
    data = copy.deepcopy(DATA)
    data["kubernetes"]["counts_others"] = False
    assert Watched(Connection(None), CurrentValues(values_of(data))).strangers is None
