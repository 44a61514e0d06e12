"""What `aiinfn values check` finds: everything at once, with path, line, rule, value and remedy."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterhub_aiinfn.errors import Problem, ValuesError
from jupyterhub_aiinfn.values import Values, parse_values

GPU = {"type": "gpu", "name": "Card", "resource": "nvidia.com/gpu"}
GOOD: dict[str, Any] = {
    "version": 1,
    "site": {"name": "Site", "units": ["FI", "BA"]},
    "accelerators": {
        "a100": {**GPU, "node_selector": {"product": "a100"}},
        "t4": {**GPU, "node_selector": {"product": "t4"}},
    },
    "images": {"python": {"name": "Python", "folder": "images/python"}},
    "projects": {"one": {"groups": ["one"], "unit": "FI", "accelerators": ["t4"], "at_most": {"t4": 2}}},
    "profiles": {
        "gpu": {
            "name": "GPU",
            "image": "python",
            "accelerators": ["t4"],
            "sizes": {"small": {"cores": 1, "memory_gib": 2.5}},
            "max": "8h",
        }
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The good data with one entry set, or removed when the value is ``...``."""
    data = copy.deepcopy(GOOD)
    *parents, last = path.split("/")
    inner: Any = data
    for part in parents:
        inner = inner.setdefault(part, {})
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return data


def problems(data: Any) -> list[Problem]:
    with pytest.raises(ValuesError) as caught:
        parse_values(yaml.safe_dump(data, sort_keys=False), "x")
    return list(caught.value.problems)


def test_the_good_data_is_good() -> None:
    values = parse_values(yaml.safe_dump(GOOD), "x")
    assert values.profiles["gpu"].sizes["small"].cores == 1.0
    assert values.profiles["gpu"].max.total_seconds() == 8 * 3600


@pytest.mark.parametrize(
    ("path", "value", "where", "rule", "shown", "hint"),
    [
        ("version", 2, "version", "must be 1", "2", ""),
        ("version", "1", "version", "must be 1", '"1"', ""),
        ("version", 1.0, "version", "must be 1", "1.0", ""),
        ("version", True, "version", "must be 1", "true", ""),
        ("version", ..., "version", "is missing", "", ""),
        ("site", None, "site", "must be a map of keys and values", "nothing", ""),
        ("site/name", 3, "site.name", "must be a text", "3", ""),
        ("site/name", "", "site.name", "must be one line of text, not empty", '""', ""),
        ("site/name", "x" * 121, "site.name", "must be at most 120 characters long", "121 characters", ""),
        ("site/timezone", "Europe/Roma", "site.timezone", "must be an IANA time zone", "Europe/Roma", ""),
        ("site/timezone", "../../etc/passwd", "site.timezone", "must be an IANA time zone", "passwd", ""),
        ("site/url", "https://192.0.2.1", "site.url", "must be the address of a host by its name", "192.0.2.1", ""),
        ("site/url", "https://hub.example.org/hub", "site.url", "without a path", "/hub", ""),
        ("site/url", "hub.example.org", "site.url", "such as https://hub.example.org", "hub.example.org", ""),
        ("site/url", "javascript:alert(1)", "site.url", "must be the address of a host", "javascript", ""),
        ("images/python/description", "a\x1b[31m", "images.python.description", "without control characters", "", ""),
        ("site/unit", ["FI"], "site.unit", "is not a known key", "a list of 1", 'did you mean "units"?'),
        ("storages", {}, "storages", "is not a known key", "a map of 0 keys", 'did you mean "storage"?'),
        ("profiles/gpu/sizes/small/core", 1, "profiles.gpu.sizes.small.core", "is not a known key", "1", '"cores"'),
        ("profiles/gpu/for_groups", [], "profiles.gpu.for_groups", "is not a known key", "a list of 0", "known are"),
        ("profiles/gpu/sizes/small/cores", "2", "profiles.gpu.sizes.small.cores", "must be a number", '"2"', ""),
        ("profiles/gpu/sizes/small/cores", True, "profiles.gpu.sizes.small.cores", "must be a number", "true", ""),
        ("profiles/gpu/sizes/small/cores", 0, "profiles.gpu.sizes.small.cores", "must be greater than 0", "0", ""),
        ("profiles/gpu/sizes/small/memory_gib", 1e9, "memory_gib", "must be at most 65536", "1000000000", ""),
        ("profiles/gpu/sizes", {}, "profiles.gpu.sizes", "must have at least 1 entry", "a map of 0 keys", ""),
        ("profiles/gpu/sizes", [], "profiles.gpu.sizes", "must be a map", "a list of 0", ""),
        ("profiles/gpu/max", 3600, "profiles.gpu.max", "must be a duration such as", "3600", ""),
        ("profiles/gpu/max", "8 hours", "profiles.gpu.max", "must be a duration such as", "8 hours", ""),
        ("profiles/gpu/max", "0s", "profiles.gpu.max", "must be between 1m and 3650d", "0s", ""),
        ("profiles/gpu/max", "9" * 9 + "d", "profiles.gpu.max", "must be at most 3650d", "999999999d", ""),
        ("profiles/gpu/image", "pyhton", "profiles.gpu.image", "is not an image", '"pyhton"', 'did you mean "python"?'),
        (
            "profiles/gpu/accelerators",
            ["t5"],
            "profiles.gpu.accelerators[0]",
            "is not an accelerator",
            "t5",
            "known are a100, t4",
        ),
        ("profiles/gpu/accelerators", ["t4", "t4"], "profiles.gpu.accelerators[1]", "is listed twice", "t4", ""),
        ("profiles/gpu/accelerators", "t4", "profiles.gpu.accelerators", "must be a list", '"t4"', ""),
        ("profiles/GPU", {}, "profiles.GPU", "the key must be 1 to 63 lower-case letters", "GPU", ""),
        ("accelerators/t4/type", "cpu", "accelerators.t4.type", "must be 'gpu', 'fpga' or 'qpu'", "cpu", ""),
        ("accelerators/t4/fraction", "8/7", "accelerators.t4.fraction", "must be at most 1", "8/7", ""),
        ("accelerators/t4/fraction", "1.5", "accelerators.t4.fraction", "must be a fraction such as 1/7", "1.5", ""),
        ("accelerators/t4/per_session", [], "accelerators.t4.per_session", "at least 1 entry", "a list of 0", ""),
        ("accelerators/t4/per_session", [0], "accelerators.t4.per_session[0]", "must be at least 1", "0", ""),
        ("accelerators/t4/per_session", [1, 1], "accelerators.t4.per_session", "must not list a number twice", "", ""),
        ("accelerators/t4/per_session", [1.0], "accelerators.t4.per_session[0]", "must be a whole number", "1.0", ""),
        ("accelerators/t4/emulated", True, "accelerators.t4.emulated", "must be a whole number", "true", ""),
        ("accelerators/t4/node_selector", {}, "accelerators.t4.node_selector", "has the same resource", "", "label"),
        ("accelerators/t4/node_selector", {"product": "a100"}, "t4.node_selector", '"a100"', "a map of 1 key", ""),
        ("accelerators/t4/node_selector", {"other": "t4"}, "t4.node_selector", "a node could be both", "", ""),
        ("images/python/folder", ..., "images.python", "must have a folder or a reference", "", "Kubernetes"),
        ("images", {}, "images", "must have at least 1 entry", "a map of 0 keys", ""),
        ("projects/one/unit", "FO", "projects.one.unit", "is not one of site.units", "FO", "known are FI, BA"),
        ("projects/one/groups", [], "projects.one", "nobody would be a member", "", "personal: true"),
        ("projects/one/groups", ["a b"], "projects.one.groups[0]", "must be a group name", "a b", ""),
        (
            "projects/one/accelerators",
            ["x9"],
            "projects.one.accelerators[0]",
            "is not an accelerator",
            "x9",
            "known are",
        ),
        ("projects/one/at_most", {"a100": 1}, "projects.one.at_most.a100", "may not use", "a100", "remove the limit"),
        ("projects/one/at_most", {"t4": -1}, "projects.one.at_most.t4", "must be at least 0", "-1", ""),
        (
            "projects/one/per_user",
            {"accelerators": {"t": 1}},
            "per_user.accelerators.t",
            "is not an accelerator",
            "",
            "",
        ),
        ("projects/one/from", "2026-13-01", "projects.one.from", "must be a date such as", "2026-13-01", ""),
        ("projects/one/from", 2026, "projects.one.from", "must be a date such as", "2026", ""),
        ("projects/one/personal", "true", "projects.one.personal", "must be true or false", '"true"', ""),
        ("projects/one/personal", True, "projects.one.groups", "a personal project has no groups", "", ""),
        ("identity/users", {"Alice": {}}, "identity.users.Alice", "the key must be a login name", "Alice", ""),
        ("identity/users", {"alice": None}, "identity.users.alice", "must be a map", "nothing", ""),
        ("storage", {"home": {"path": "x"}}, "storage.home.path", "must hold {name} once", "x", ""),
        ("limits", {"start_timeout": "1s"}, "limits.start_timeout", "must be between 10s and 3650d", "", ""),
    ],
)
def test_one_problem(path: str, value: Any, where: str, rule: str, shown: str, hint: str) -> None:
    data = changed(path, value)
    found = [one for one in problems(data) if one.path.endswith(where) and rule in one.rule]
    assert found, problems(data)
    assert shown in found[0].value
    assert hint in found[0].hint


def test_every_problem_is_reported_at_once_with_its_line() -> None:
    data = changed("profiles/gpu/image", "pyhton")
    data["profiles"]["gpu"]["sizes"]["small"]["core"] = 1
    data["projects"]["two"] = {"personal": True}
    data["projects"]["three"] = {"personal": True, "from": "2026-02-01", "until": "2026-01-01"}
    data["versoin"] = 1
    found = {problem.path: problem for problem in problems(data)}
    assert set(found) == {
        "profiles.gpu.image",
        "profiles.gpu.sizes.small.core",
        "projects.three.personal",
        "projects.three.until",
        "versoin",
    }
    lines = yaml.safe_dump(data, sort_keys=False).splitlines()
    for path, problem in found.items():
        assert problem.line is not None
        assert path.split(".")[-1] in lines[problem.line - 1]


def test_two_accelerators_of_one_resource_need_one_label_that_differs() -> None:
    data = changed("accelerators/t4/node_selector", {"product": "t4", "zone": "x"})
    data["accelerators"]["a100"]["node_selector"]["zone"] = "x"
    assert parse_values(yaml.safe_dump(data), "x")


@pytest.mark.parametrize("path", ["site", "accelerators", "images", "projects", "profiles", "identity"])
@settings(max_examples=60, deadline=None)
@given(
    junk=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text("abc\u00e9-", max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["name", "resource", "accelerators", "per_user", "fraction", "at_most", "from", "x"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_data_makes_the_check_fail_otherwise(path: str, junk: Any) -> None:
    for data in (changed(path, junk), changed(f"{path}/t4", junk)):
        with contextlib.suppress(ValuesError):
            assert isinstance(parse_values(yaml.safe_dump(data), "x"), Values)
