"""A person inside a session attacks: the machine, the platform, other people."""

from __future__ import annotations

from jupyterhub_aiinfn.backends.local.landlock import can_scope
from jupyterhub_aiinfn.backends.local.listening import root_has_ports
from jupyterhub_aiinfn.backends.local.uids import UIDS

from .conftest import ORDINARY_UID, ROOT, Platform


def test_nothing_is_reached_from_inside(platform: Platform) -> None:
    found = platform.run("probe")["probe"]
    assert found["breaches"] == []
    assert len(found["refused"]) > 40
    facts = found["facts"]
    assert facts["homes"] == ["alice"]
    assert facts["home"] == "/home/alice"
    assert len(facts["processes"]) <= 3
    assert len(facts["reached"]) == 2
    assert set(facts["reached"].values()) == {not enforced(platform)["abstract sockets"][0]}
    if platform.as_root:
        assert facts["uid"] >= UIDS.first
    elif ROOT:
        assert facts["uid"] == ORDINARY_UID


def test_a_port_taken_by_another_is_noticed(platform: Platform) -> None:
    assert platform.run("impostor") == {
        "alice": [True, False, False, False, False],  # bob listens on another address of the first: he is not reached
        "bob": [False, True, True, True, False],
    }


def enforced(platform: Platform) -> dict[str, tuple[bool, str]]:
    return {item["name"]: (item["enforced"], item["sentence"]) for item in platform.run("enforcement")}


def test_what_is_not_enforced_is_said(platform: Platform) -> None:
    said = enforced(platform)
    assert said["sandbox"][0]
    assert said["uid"][0] is platform.as_root
    assert ("share the uid" in said["uid"][1]) is not platform.as_root
    assert not said["network"][0]
    assert not said["addresses"][0]
    assert said["ports"][0] is (platform.as_root and root_has_ports())
    assert said["abstract sockets"][0] is can_scope()
    limits = {"memory", "cores", "processes"}
    assert said["size"][0] or "counted, and nothing refuses" in said["size"][1]
    assert set(said) == {
        "sandbox",
        "uid",
        "system calls",
        "abstract sockets",
        "network",
        "ports",
        "size",
        "addresses",
        *limits,
    }


def test_a_fork_bomb_ends_with_its_session(platform: Platform) -> None:
    result = platform.run("fork_bomb")
    assert result["reason"] == "stopped"
    assert result["seconds"] < 10
    assert ("refused after" in result["log"]) is enforced(platform)["processes"][0]


def test_memory_is_limited_wherever_it_is_taken(platform: Platform) -> None:
    if enforced(platform)["memory"][0]:
        assert platform.run("memory_bomb") == ["out-of-memory"] * 3
    else:
        assert "may use all memory" in enforced(platform)["memory"][1]


def test_cores_are_limited(platform: Platform) -> None:
    share = platform.run("core_hog")
    if enforced(platform)["cores"][0]:
        assert 0.05 < share < 0.4
    else:
        assert "may use all processors" in enforced(platform)["cores"][1]
