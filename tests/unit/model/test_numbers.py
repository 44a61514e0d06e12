"""Whose number a person's files have: fixed, computed or claimed; and never somebody else's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.model.numbers import numbers_of
from jupyterhub_aiinfn.values import Values, parse_values
from jupyterhub_aiinfn.values.numbers import computed_gid, computed_uid

DATA: dict[str, Any] = yaml.safe_load((Path(__file__).parents[3] / "config" / "kubernetes.yaml").read_text())


def farm(**uid: Any) -> Values:
    identity = {**DATA["identity"], "uid": uid}
    return parse_values(yaml.safe_dump(DATA | {"identity": identity}), "farm")


CRC32 = farm(method="crc32", table={"rossi": 61234}, project_gids={"virgo-denoising": 2750})
CLAIM = farm(method="claim", claim="uid_number")
FIXED = farm(method="fixed", uid=1000)


def test_computed_numbers_and_those_of_the_table() -> None:
    # written out: homes of today belong to these numbers
    assert numbers_of(CRC32, "alice").uid == 115_735
    assert numbers_of(CRC32, "alice", ["quantum-lab"]).projects == {"quantum-lab": 42_070}
    found = numbers_of(CRC32, "rossi", ["virgo-denoising", "quantum-lab"], writes_public=True)
    assert (found.uid, found.gid) == (61234, 61234)
    assert found.projects == {"virgo-denoising": 2750, "quantum-lab": computed_gid("quantum-lab")}
    assert found.supplementary == sorted([2750, computed_gid("quantum-lab"), computed_gid("/public")])
    assert numbers_of(CRC32, "rossi").supplementary == []


def test_everybody_the_same() -> None:
    assert {numbers_of(FIXED, name).uid for name in ("alice", "bob", "..", "")} == {1000}
    assert numbers_of(FIXED, "alice", ["quantum-lab"]).supplementary == [computed_gid("quantum-lab")]


@pytest.mark.parametrize("said", [4711, "4711", 1, 2_147_483_647])
def test_what_the_provider_says(said: object) -> None:
    assert numbers_of(CLAIM, "alice", claimed=said).uid == int(str(said))


@pytest.mark.parametrize(
    "said", [None, 0, -1, "0", "root", "", 1.0, True, False, 2_147_483_648, "9" * 11, "٣", [], {}, "1 ", "x" * 10_000]
)
def test_what_is_no_uid_is_a_sentence_for_the_person(said: object) -> None:
    with pytest.raises(
        BackendError, match='as "uid_number" of "alice", which is not the uid of a person; ask an'
    ) as found:
        numbers_of(CLAIM, "alice", claimed=said)
    assert len(str(found.value)) < 300


def twin_of(number: int) -> str:
    """A login name whose computed uid is ``number``, found by trying."""
    count = 0
    while computed_uid(f"p{count}") != number:
        count += 1
    return f"p{count}"


def test_who_would_have_anothers_files_is_refused_with_both_names() -> None:
    other = twin_of(61234)
    with pytest.raises(
        BackendError, match=f'"{other}" and "rossi" would both have the uid 61234, and each the other'
    ) as found:
        numbers_of(CRC32, other)
    assert "identity.uid.table" in str(found.value)


def test_who_came_later_is_refused_and_who_was_there_is_not() -> None:
    later = twin_of(computed_uid("alice"))
    assert numbers_of(CRC32, "alice", before=["bob"]).uid == numbers_of(CRC32, later, before=["bob"]).uid
    with pytest.raises(BackendError, match=f'"{later}" and "alice" would both have the uid 115735'):
        numbers_of(CRC32, later, before=["bob", "alice", later])
    moved = farm(method="crc32", table={later: 300_000})
    assert numbers_of(moved, later, before=["alice"]).uid == 300_000


def test_nobody_has_the_number_of_a_project() -> None:
    values = farm(method="claim")
    gid = computed_gid("quantum-lab")
    with pytest.raises(BackendError, match=f'"alice" has the uid {gid}, which is the gid of project "quantum-lab"'):
        numbers_of(values, "alice", claimed=gid)
    moved = farm(method="claim", project_gids={"quantum-lab": 3333})
    assert numbers_of(moved, "alice", claimed=gid).uid == gid


def test_without_a_method_nobody_has_a_number() -> None:
    local = parse_values((Path(__file__).parents[3] / "config" / "local.yaml").read_text(), "local")
    with pytest.raises(BackendError, match=r"identity\.uid is missing .*; add it"):
        numbers_of(local, "alice")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.lists(st.sampled_from(["quantum-lab", "lhcb-flashsim"]), unique=True))
def test_a_number_is_never_roots(name: str, projects: list[str]) -> None:
    for values in (CRC32, FIXED):
        found = numbers_of(values, name, projects)
        assert found.uid > 0
        assert found.gid == found.uid
        assert all(gid > 0 for gid in found.supplementary)
        assert found.gid not in found.supplementary
