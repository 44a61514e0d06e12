"""What a person may start, as the service tells it to programs and to JupyterLab."""

from __future__ import annotations

from datetime import UTC, datetime

from jupyterhub_aiinfn.api.availability import Availability, DeviceAvailability
from jupyterhub_aiinfn.model.requests import Person
from jupyterhub_aiinfn.service.availability.watch import Snapshot
from jupyterhub_aiinfn.service.profiles.routes import situation_without

from .running import API, Platform, workload

ALICE = Person("alice", frozenset(), admin=False)


def snapshot(*sessions) -> Snapshot:
    used = sum(one.accelerator_count for one in sessions)
    device = DeviceAvailability(accelerator="card", total=2, used=used)
    return Snapshot(Availability(taken_at=datetime.now(UTC), devices={"card": device}), {s.id: s for s in sessions})


def held_by(person: str, server_name: str = "", count: int = 1):
    card = {"accelerator": "card", "accelerator_count": count}
    return workload("session", person=person, server_name=server_name, project="lab", **card)


def test_the_session_that_asks_counts_as_gone():
    seen = snapshot(held_by("alice"), held_by("alice", "other"), held_by("bob", count=0))
    situation = situation_without(seen, ALICE, "")
    assert situation.devices is not None
    assert (situation.devices["card"].used, len(situation.held)) == (1, 2)


def test_a_browser_asks_for_the_world_as_it_is():
    situation = situation_without(snapshot(held_by("alice"), held_by("bob")), ALICE, None)
    assert situation.devices is not None
    assert (situation.devices["card"].used, len(situation.held)) == (2, 2)


def test_a_person_sees_their_profiles_with_the_reason(platform: Platform, browse) -> None:
    browser = browse(platform, "alice")
    browser.visit("/services/aiinfn/")
    found = browser.get(f"{API}/profiles", headers={"Accept": "application/json"})
    assert found.status_code == 200, found.text
    offers = {one["key"]: one for one in found.json()["profiles"]}
    assert offers["quantum"]["sizes"] == ["small: 1 core, 1 GiB"]
    assert offers["quantum"]["available"], offers["quantum"]["reason"]


def test_a_program_of_the_hub_has_no_profiles(platform: Platform) -> None:
    answer = platform.get(f"{API}/profiles", platform.tokens["reader"])
    assert answer.status_code == 403
    assert "for people" in answer.json()["error"]["message"]


def test_nobody_else_is_answered(platform: Platform) -> None:
    assert platform.get(f"{API}/profiles", "no-token").status_code == 401
