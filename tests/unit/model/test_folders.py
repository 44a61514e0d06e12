"""Who has which shared folders."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from jupyterhub_aiinfn.model.folders import Folders, folders_of, has_folder
from jupyterhub_aiinfn.model.requests import Person
from jupyterhub_aiinfn.values.document import Values

DATA: dict[str, Any] = {
    "version": 1,
    "site": {"name": "Test"},
    "images": {"python": {"name": "Python", "folder": "images/python"}},
    "projects": {
        "lab": {"groups": ["lab"], "leaders": ["lee"]},
        "over": {"groups": ["lab"], "until": "2026-10-31"},
        "later": {"groups": ["lab"], "from": "2026-12-01"},
        "own": {"personal": True},
    },
    "profiles": {
        "python": {"name": "P", "image": "python", "sizes": {"s": {"cores": 1, "memory_gib": 1}}, "max": "1h"}
    },
    "storage": {"public": {"writers": ["teachers"]}},
}
TODAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("name", "groups", "projects", "writes"),
    [
        ("alice", {"lab"}, ("lab",), False),
        ("lee", set(), ("lab",), False),
        ("tina", {"teachers"}, (), True),
        ("anna", {"lab", "teachers"}, ("lab",), True),
        ("nobody", set(), (), False),
        ("mallory", {"own", "over", "LAB", "lab "}, (), False),
    ],
)
def test_folders_follow_groups_leaders_and_dates(name: str, groups: set[str], projects: Any, writes: bool) -> None:
    values = Values.model_validate(DATA, strict=False)
    found = folders_of(values, Person(name, frozenset(groups)), TODAY)
    assert found == Folders(projects, public=True, writes_public=writes)


def test_without_a_public_folder_nobody_writes_it() -> None:
    values = Values.model_validate({**DATA, "storage": {}}, strict=False)
    assert folders_of(values, Person("tina", frozenset({"teachers"})), TODAY) == Folders()


def test_which_projects_have_a_folder() -> None:
    values = Values.model_validate(DATA, strict=False)
    assert [has_folder(values, key) for key in ("lab", "over", "own", "none")] == [True, True, False, False]
