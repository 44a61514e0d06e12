"""What is free, for whom, and when: counted from nodes and uses that are made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_aiinfn.api.availability import DeviceAvailability
from jupyterhub_aiinfn.backends.kubernetes.free import Machine, Use, devices_of, read_machine
from jupyterhub_aiinfn.values import Values

from .farms import farm

VALUES = farm()
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
A100 = "a100-1g"


def without_guarantees() -> Values:
    projects = {key: one.model_copy(update={"guaranteed": {}}) for key, one in VALUES.projects.items()}
    return VALUES.model_copy(update={"projects": projects})


PLAIN = without_guarantees()


def count(machines: list[Machine], uses: list[Use] | None = None, values: Values = PLAIN) -> DeviceAvailability:
    return devices_of(values, machines, uses or [])[A100]


def machine(name: str = "one", devices: int = 2, group: str | None = None, takes: bool = True) -> Machine:
    return Machine(name, group, takes, {A100: devices})


def use(node: str | None = "one", hours: float | None = 1, **fields: Any) -> Use:
    ends_at = NOW + timedelta(hours=hours) if hours is not None else None
    return Use(**({"accelerator": A100, "count": 1, "node": node, "ends_at": ends_at} | fields))


def node(name: str = "one", **fields: Any) -> dict[str, Any]:
    entry = VALUES.accelerators[A100]
    return {
        "metadata": {"name": name, "labels": dict(entry.node_selector)},
        "spec": {key: value for key, value in fields.items() if key in ("taints", "unschedulable")},
        "status": {
            "allocatable": fields.get("allocatable", {str(entry.resource): "7"}),
            "conditions": [{"type": "Ready", "status": fields.get("ready", "True")}],
        },
    }


def test_a_node_is_read_with_what_it_has_and_for_whom() -> None:
    assert read_machine(VALUES, node()) == Machine("one", None, True, {A100: 7})
    assert not read_machine(VALUES, node(unschedulable=True)).takes
    assert not read_machine(VALUES, node(ready="Unknown")).takes
    reserved = node(taints=[{"key": "reserved", "value": "flash", "effect": "NoSchedule"}])
    assert read_machine(VALUES, reserved) == Machine("one", "flash", True, {A100: 7})
    passing = {"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"}
    assert not read_machine(VALUES, node(taints=[passing])).takes
    strange = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    assert not read_machine(VALUES, node(taints=[strange])).takes
    soft = {"key": "reserved", "value": "flash", "effect": "PreferNoSchedule"}
    assert read_machine(VALUES, node(taints=[soft])).group is None
    both = [{"key": "reserved", "value": group, "effect": "NoSchedule"} for group in ("a", "b")]
    assert not read_machine(VALUES, node(taints=both)).takes


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), JSON), JSON)
def test_nothing_that_a_node_says_makes_it_fail(whole: dict[str, Any], amount: Any) -> None:
    read_machine(VALUES, whole)
    found = read_machine(VALUES, node(allocatable={str(VALUES.accelerators[A100].resource): amount}))
    assert all(one >= 0 for one in found.devices.values())


def test_what_runs_on_a_node_that_takes_nobody_counts_and_its_free_devices_do_not() -> None:
    found = count([machine(takes=False), machine("two", 3)], [use(), use("two")])
    assert (found.total, found.used, found.free) == (4, 2, 2)
    gone = count([machine("two", 3)], [use("vanished")])  # its node is not known at this moment
    assert (gone.total, gone.used, gone.free) == (4, 1, 3)


def test_batch_counts_as_used_and_gives_way() -> None:
    found = count([machine()], [use(gives_way=True), use()])
    assert (found.total, found.used, found.gives_way, found.free, found.next_free_at) == (2, 2, 1, 1, None)


def test_the_next_is_free_when_those_who_wait_are_served() -> None:
    held = [use(hours=3), use(hours=1)]
    assert count([machine()], held).next_free_at == NOW + timedelta(hours=1)
    waits = use(node=None, hours=9)
    found = count([machine()], [*held, waits])
    assert (found.used, found.free, found.next_free_at) == (3, 0, NOW + timedelta(hours=3))
    assert count([machine()], [*held, waits, waits]).next_free_at is None  # nobody knows
    assert count([machine()], [use(hours=None), use(hours=None)]).next_free_at is None
    assert count([machine()], [use(hours=5)]).next_free_at is None  # one is free now


def test_reserved_nodes_are_counted_for_members_only() -> None:
    found = count([machine(), machine("two", 1, "flash")], [use(), use("two")])
    assert (found.total, found.used) == (2, 1)
    mine, others = found.seen_by({"flash", "x"}), found.seen_by({"x"})
    assert (mine.total, mine.used, mine.free) == (3, 2, 1)
    assert (others.total, others.used, others.reserved) == (2, 1, ())
    only = count([machine("two", 1, "flash")])
    assert (only.total, only.reason != "", only.seen_by(["flash"]).reason) == (0, True, "")
    full = count([machine("two", 1, "flash")], [use("two")]).seen_by(["flash"])
    assert full.next_free_at == NOW + timedelta(hours=1)
    waits = count([machine("two", 1, "flash")], [use(None)]).seen_by(["flash"])  # there alone it can be going
    assert (waits.total, waits.used) == (1, 1)


def guaranteed(amount: int) -> tuple[Values, str, str]:
    key, project = next((key, one) for key, one in PLAIN.projects.items() if one.groups)
    changed = project.model_copy(update={"guaranteed": {A100: amount}})
    return PLAIN.model_copy(update={"projects": {**PLAIN.projects, key: changed}}), key, project.groups[0]


def test_a_guarantee_that_is_not_used_is_kept_for_its_members() -> None:
    values, key, group = guaranteed(2)
    idle = count([machine(devices=3)], [], values)
    assert (idle.free, idle.seen_by([group]).free, idle.seen_by(["x"]).free) == (1, 3, 1)
    half = count([machine(devices=3)], [use(guarantee=key)], values)
    assert (half.free, half.seen_by([group]).free) == (1, 2)
    full = count([machine(devices=3)], [use(guarantee=key), use(guarantee=key), use()], values)
    assert (full.total, full.used, full.reserved) == (3, 3, ())
    lent = count([machine(devices=2)], [use(gives_way=True), use(gives_way=True)], values)
    assert (lent.free, lent.seen_by([group]).free) == (0, 2)


def test_a_guarantee_is_on_the_own_nodes_of_its_group_first() -> None:
    values, _, group = guaranteed(2)
    found = count([machine(devices=2), machine("two", 1, group)], [], values)
    assert (found.free, found.seen_by([group]).free) == (1, 3)


MACHINES = st.lists(
    st.builds(
        machine,
        st.sampled_from(["a", "b", "c", "d"]),
        st.integers(0, 8),
        st.none() | st.sampled_from(["flash", "lab"]),
        st.booleans(),
    ),
    unique_by=lambda one: one.name,
    max_size=4,
)
USES = st.lists(
    st.builds(
        use,
        st.none() | st.sampled_from(["a", "b", "c", "d", "gone"]),
        st.none() | st.integers(0, 9),
        count=st.integers(1, 3),
        gives_way=st.booleans(),
        guarantee=st.none() | st.sampled_from(sorted(VALUES.projects)),
    ),
    max_size=8,
)


@pytest.mark.parametrize("values", [VALUES, PLAIN], ids=["guarantees", "plain"])
@given(machines=MACHINES, uses=USES)
def test_nothing_is_counted_twice_or_promised_to_two(values: Values, machines: list[Machine], uses: list[Use]) -> None:
    found = count(machines, uses, values)
    shares = [found, *found.reserved]
    assert sum(one.used for one in shares) == sum(one.count for one in uses)
    held = {one.name: sum(each.count for each in uses if each.node == one.name) for one in machines}
    there = sum(max(held[one.name], one.devices[A100] if one.takes else 0) for one in machines)
    there += sum(one.count for one in uses if one.node is not None and one.node not in held)
    assert sum(one.total for one in shares) == there
    assert all(one.total >= 0 for one in shares)
    everybody = found.seen_by({group for one in found.reserved for group in one.groups})
    assert everybody.total == there
    assert all(found.seen_by([group]).total <= there for group in ("flash", "lab", "nobody"))
