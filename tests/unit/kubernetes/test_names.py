"""Names of objects and folders: valid whatever a person is called, and never the same for two."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterhub_aiinfn.api.workloads import WorkloadKind
from jupyterhub_aiinfn.backends.kubernetes import names, volumes

from .farms import HOSTILE, NAMES
from .test_manifests import DNS_LABEL, a_session


@settings(max_examples=200, deadline=None)
@given(NAMES, NAMES)
def test_two_people_never_share_a_name(one: str, other: str) -> None:
    for name in (one, other):
        assert DNS_LABEL.fullmatch(names.slug(name))
        assert len(names.home_claim(name)) <= 63
    if one != other:
        assert names.slug(one) != names.slug(other)
        assert names.folder_name("user-{name}", "name", one) != names.folder_name("user-{name}", "name", other)
        assert names.home_claim(one) != names.home_claim(other)
        assert volumes.home_path(one) != volumes.home_path(other)


@given(HOSTILE)
def test_a_changed_name_is_nobody_elses_unchanged_one(name: str) -> None:
    changed = names.slug(name)
    assert changed == name or names.slug(changed) != changed


@pytest.mark.parametrize("name", ["rossi", "lucio.anderlini", "maria_rosa", "8abc", "m.rossi@unifi.it"])
def test_folders_of_today_keep_their_names(name: str) -> None:
    assert names.folder_name("user-{name}", "name", name) == f"user-{name}"


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../x", "a\x00b", "{name}", "$(HOME)", "", "x" * 300])
def test_folders_of_hostile_names_are_one_folder(name: str) -> None:
    for pattern in ("user-{name}", "{name}"):
        folder = names.folder_name(pattern, "name", name)
        assert re.fullmatch(r"[a-z0-9_-]+", folder), folder


@given(st.lists(st.text(min_size=1), unique=True, min_size=2, max_size=5))
def test_a_key_is_one_object(keys: list[str]) -> None:
    """At most one live workload has a key: two starts with it ask for the same name, and the API server refuses one."""
    specs = [a_session(key=key, kind=WorkloadKind.job) for key in keys]
    assert len({names.object_name(spec) for spec in specs}) == len(keys)
    assert names.object_name(replace(specs[0], id="w" + "0" * 20)) == names.object_name(specs[0])
