"""The difference between two values: nothing is missed, and what is held together is what was said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterhub_aiinfn.values import Values, load_values, parse_values, values_hash
from jupyterhub_aiinfn.values.current import CurrentValues
from jupyterhub_aiinfn.values.difference import differences, held_together

LOCAL = Path(__file__).parents[3] / "config" / "local.yaml"
DATA: dict[str, Any] = yaml.safe_load(LOCAL.read_text())


def values(**changes: Any) -> Values:
    return parse_values(yaml.safe_dump(DATA | changes, sort_keys=False), "test")


def said(old: Values, new: Values) -> list[str]:
    return [str(one) for one in differences(old, new)]


def test_each_kind_is_said_with_its_path() -> None:
    profiles = {key: profile for key, profile in DATA["profiles"].items() if key != "gpu"}
    profiles["python"] = profiles["python"] | {"max": "1h30m"}
    profiles["more"] = profiles["quantum"] | {"name": "M" * 110}
    lines = said(values(), values(profiles=profiles))
    assert '~ profiles.python.max: "12h" -> "1h30m"' in lines
    assert any(line.startswith('- profiles.gpu: {"name": "GPU"') for line in lines)
    assert any(line.startswith('+ profiles.more: {"name": "MMM') and line.endswith("…") for line in lines)
    assert max(map(len, lines)) < 200


def test_the_order_of_entries_is_a_difference() -> None:
    turned = dict(reversed(DATA["profiles"].items()))
    assert said(values(), values(profiles=turned)) == [
        '~ profiles (order): ["python", "quantum", "gpu", "fpga"] -> ["fpga", "gpu", "quantum", "python"]'
    ]


@pytest.mark.parametrize(
    ("section", "key", "value", "waits"),
    [
        ("site", "name", "Other", True),
        ("limits", "stop_grace", "9s", True),
        ("storage", "home", DATA["storage"]["home"] | {"path": "h-{name}"}, True),
        ("identity", "admin_groups", ["users"], False),
        ("identity", "allowed_groups", ["users"], False),
        ("accounting", "cpu_core_hour", 0.01, False),
        ("accounting", "memory_gib_hour", [{"from": "2026-01-01", "price": 0.002}], False),
        ("site", "currency", "CHF", False),
        ("nodes", "big", {"selector": {"a": "b"}}, False),
    ],
)
def test_what_waits_is_not_held_and_the_rest_is(section: str, key: str, value: object, waits: bool) -> None:
    old, new = values(), values(**{section: DATA.get(section, {}) | {key: value}})
    assert [one.needs_restart for one in differences(old, new)] == [waits]
    assert values_hash(held_together(old, new)) == values_hash(old if waits else new)


SECTIONS = st.sampled_from(["profiles", "projects", "accelerators", "images"])
CHANGES = st.dictionaries(SECTIONS, st.text("abc", min_size=1, max_size=3), max_size=3)


@settings(max_examples=40, deadline=None)
@given(CHANGES, CHANGES)
def test_there_is_no_difference_exactly_when_the_hashes_are_the_same(one: Any, other: Any) -> None:
    def changed(names: dict[str, str]) -> Values:
        """The first entry of each section again, under another key."""
        return values(**{name: DATA[name] | {key: copy(name)} for name, key in names.items()})

    def copy(section: str) -> Any:
        first = next(iter(DATA[section].values()))
        return {key: value for key, value in first.items() if key not in ("resource", "personal")}

    old, new = changed(one), changed(other)
    assert bool(differences(old, new)) == (values_hash(old) != values_hash(new))


def test_a_switch_changes_values_hash_and_folder_together_and_tells() -> None:
    current, told = CurrentValues(values()), []
    current.on_switch(lambda: told.append((current.hash, current.folder)))
    new = values(site=DATA["site"] | {"name": "Other"})
    current.switch(new, Path("/elsewhere"))
    assert (current.values, current.hash, current.folder) == (new, values_hash(new), Path("/elsewhere"))
    assert told == [(values_hash(new), Path("/elsewhere"))]
    assert current.switches == 1
    assert CurrentValues.of(current) is current
    assert CurrentValues.of(load_values(LOCAL)).hash == values_hash(load_values(LOCAL))
